"""Cascade heads: any number of stages, what the stages pass on, images without objects, every box loss."""

from __future__ import annotations

import pytest
import torch

from tests.modeling.small import batch, model

CASCADE = {
    "MODEL.ROI_HEADS.NAME": "CascadeROIHeads",
    "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": True,
}
TWO = {
    "MODEL.ROI_BOX_CASCADE_HEAD.IOUS": [0.5, 0.65],
    "MODEL.ROI_BOX_CASCADE_HEAD.BBOX_REG_WEIGHTS": [
        [10.0, 10.0, 5.0, 5.0],
        [20.0, 20.0, 10.0, 10.0],
    ],
}


@pytest.mark.parametrize(("keys", "stages"), [({}, 3), (TWO, 2)])
def test_losses_and_names_of_every_stage(keys, stages):
    net = model(keys=CASCADE | keys)
    losses = net.train()(batch())
    assert {name for name in losses if "stage" in name} == {
        f"loss_{kind}_stage{stage}" for kind in ("cls", "box_reg") for stage in range(stages)
    }
    names = {name for name, _ in net.named_parameters()}
    assert f"roi_heads.box_predictor.{stages - 1}.cls_score.weight" in names
    assert f"roi_heads.box_head.{stages}.fc1.weight" not in names
    detections = net.eval()(batch())[0]["instances"]
    assert len(detections)
    assert detections.pred_masks.shape[1:] == detections.image_size


def test_features_learn_as_from_one_stage_and_heads_from_all():
    """The gradient of the sum of losses over the pooled features is a third of what the heads hand down."""
    net = model(keys=CASCADE).train()
    heads, seen = net.roi_heads, []
    pooled = []
    original = heads.box_pooler.forward
    heads.box_pooler.forward = lambda maps, boxes: (
        pooled.append(original(maps, boxes)) or pooled[-1]
    )
    for head in heads.box_head:
        head.register_full_backward_hook(lambda module, given, out: seen.append(given[0]))
    losses = net(batch())
    for part in pooled:
        part.retain_grad()
    sum(value for name, value in losses.items() if "stage" in name).backward()
    assert len(seen) == len(pooled) == 3
    for part, gradient in zip(pooled, reversed(seen), strict=True):
        torch.testing.assert_close(part.grad, gradient / 3)


@pytest.mark.parametrize("kind", ["smooth_l1", "giou", "ciou"])
def test_images_without_objects_train(kind):
    keys = CASCADE | {"MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_TYPE": kind}
    losses = model(keys=keys).train()(batch(objects=0))
    assert all(torch.isfinite(value) for value in losses.values())
    assert losses["loss_box_reg_stage2"] == losses["loss_mask"] == 0


def test_a_score_is_the_mean_of_the_stages():
    net = model(keys=CASCADE).eval()
    seen = []
    for predictor in net.roi_heads.box_predictor:
        predictor.register_forward_hook(
            lambda module, given, out: seen.append(out[0].softmax(dim=1))
        )
    found = net.inference(batch(1), do_postprocess=False)[0]
    mean = sum(seen) / 3
    best = mean[:, :-1].amax(dim=1).sort(descending=True).values
    torch.testing.assert_close(found.scores[0], best[0])
    assert torch.isin(found.scores.round(decimals=5), mean.round(decimals=5)).all()
