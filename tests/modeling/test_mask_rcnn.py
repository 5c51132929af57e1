"""The contract of the model: inputs, losses, detections, random draws, memory."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from bdd_inst.base.errors import DataError
from bdd_inst.structures import Boxes, RLEMasks
from tests.modeling.small import C4, DC5, batch, model

LOSSES = {"loss_rpn_cls", "loss_rpn_loc", "loss_cls", "loss_box_reg", "loss_mask"}
VARIANTS = {
    "r50": {},
    "r18": {"MODEL.RESNETS.DEPTH": 18, "MODEL.RESNETS.RES2_OUT_CHANNELS": 64},
    "class-agnostic": {
        "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": True,
        "MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK": True,
    },
    "sigmoid": {"MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE": True},
    "predicted boxes": {"MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES": True},
    "giou": {
        "MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_TYPE": "giou",
        "MODEL.RPN.BBOX_REG_LOSS_TYPE": "ciou",
    },
    "batch norm": {"MODEL.RESNETS.NORM": "BN", "MODEL.FPN.NORM": "SyncBN"},
    "two rpn convolutions": {"MODEL.RPN.CONV_DIMS": [-1, 8]},
    "average fusion": {"MODEL.FPN.FUSE_TYPE": "avg"},
    "C4": C4,
    "DC5": DC5,
}


@pytest.mark.parametrize("name", VARIANTS)
def test_trains_and_detects(name):
    built = model(keys=VARIANTS[name]).train()
    losses = built(batch())
    assert set(losses) == LOSSES
    sum(losses.values()).backward()
    for parameter_name, parameter in built.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, parameter_name
            assert torch.isfinite(parameter.grad).all(), parameter_name
    built.eval()
    inputs = batch()
    for entry, out in zip(inputs, built(inputs), strict=True):
        found = out["instances"]
        size = (entry["height"], entry["width"])
        assert found.image_size == size
        assert len(found) > 0
        assert found.pred_masks.shape == (len(found), *size)
        assert found.pred_masks.dtype == torch.bool
        assert (found.scores.diff() <= 0).all()
        assert (found.pred_boxes.tensor[:, 2] <= size[1]).all()
        assert found.pred_classes.max() < 3


def test_without_masks():
    built = model(MODEL__MASK_ON=False).train()
    inputs = batch()
    for entry in inputs:
        entry["instances"].remove("gt_masks")
    assert set(built(inputs)) == LOSSES - {"loss_mask"}
    assert not built.eval()(inputs)[0]["instances"].has("pred_masks")


def test_images_without_objects_train():
    built = model().train()
    losses = built(batch(objects=0))
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert losses["loss_mask"].item() == 0
    assert losses["loss_box_reg"].item() == 0
    sum(losses.values()).backward()
    missing = [name for name, p in built.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []  # data-parallel training waits for every gradient


def test_an_image_without_instances_is_named_in_training():
    images = batch(2)
    images[1]["file_name"] = "street.jpg"
    del images[1]["instances"]
    built = model()
    with pytest.raises(DataError, match=r'image street\.jpg of the batch has no "instances"'):
        built.train()(images)
    assert len(built.eval()(images)) == 2


def test_mixed_batch_with_and_without_objects():
    losses = model().train()([batch(1)[0], batch(2, objects=0)[1]])
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_detections_do_not_depend_on_the_company():
    built = model().eval()
    images = [batch(1, seed=s)[0] for s in (1, 2)]
    together = built(images)
    for entry, out in zip(images, together, strict=True):
        alone = built([entry])[0]["instances"]
        assert len(alone) == len(out["instances"])
        torch.testing.assert_close(
            alone.pred_boxes.tensor, out["instances"].pred_boxes.tensor, rtol=1e-4, atol=1e-2
        )


def test_rle_and_bitmask_are_the_same_masks():
    built = model().eval()
    plain = built(batch(1))[0]["instances"]
    coded = built(batch(1), mask_format="rle")[0]["instances"]
    assert isinstance(coded.pred_masks, RLEMasks)
    assert (coded.pred_masks.decode() == plain.pred_masks).all()


def test_size_of_the_result_defaults_to_the_image():
    entry = batch(1)[0]
    found = model().eval()([{"image": entry["image"]}])[0]["instances"]
    assert found.image_size == tuple(entry["image"].shape[1:])


def test_float_images_are_as_good_as_bytes():
    built = model().eval()
    image = batch(1)[0]["image"]
    first, second = (built([{"image": i}])[0]["instances"] for i in (image, image.float()))
    assert torch.equal(first.pred_boxes.tensor, second.pred_boxes.tensor)


class TestSampleSeed:
    def losses(self, seeds, global_seed, order=(0, 1)):
        built = model(
            MODEL__RPN__BATCH_SIZE_PER_IMAGE=8, MODEL__ROI_HEADS__BATCH_SIZE_PER_IMAGE=8
        ).train()
        inputs = batch()
        for entry, seed in zip(inputs, seeds, strict=True):
            entry["sample_seed"] = seed
            if seed is None:
                entry.pop("sample_seed")
        torch.manual_seed(global_seed)
        return {k: v.item() for k, v in built([inputs[i] for i in order]).items()}

    def test_seed_decides_whatever_the_global_state(self):
        assert self.losses((1, 2), 0) == self.losses((1, 2), 99)

    def test_other_seed_other_draw(self):
        assert self.losses((1, 2), 0) != self.losses((3, 4), 0)

    def test_without_seed_the_global_state_decides(self):
        assert self.losses((None, None), 0) == self.losses((None, None), 0)
        assert self.losses((None, None), 0) != self.losses((None, None), 1)

    def test_order_in_the_batch_does_not_matter(self):
        first, second = self.losses((1, 2), 0), self.losses((1, 2), 0, order=(1, 0))
        assert first == pytest.approx(second, rel=1e-5)


def test_diverged_training_says_so():
    built = model().train()
    with torch.no_grad():
        built.proposal_generator.rpn_head.anchor_deltas.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="diverged"):
        built(batch())


def test_copies_and_pickles():
    built = model().eval()
    want = built(batch(1))[0]["instances"].pred_boxes.tensor
    for other in (copy.deepcopy(built), pickle.loads(pickle.dumps(built))):
        assert torch.equal(other(batch(1))[0]["instances"].pred_boxes.tensor, want)


def test_objects_may_fill_the_image_or_be_points():
    inputs = batch(1, objects=2)
    height, width = inputs[0]["image"].shape[1:]
    inputs[0]["instances"].set("gt_boxes", Boxes([[0, 0, width, height], [10, 10, 10.5, 10.5]]))
    assert all(torch.isfinite(loss) for loss in model().train()(inputs).values())
