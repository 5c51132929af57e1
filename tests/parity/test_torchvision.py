"""torchvision's Mask R-CNNs with random weights, converted: the same detections as torchvision computes in the same process."""

import cv2
import numpy as np
import pytest
import torch
from torchvision.models import detection
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import box_iou

from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.masks.paste import paste_masks
from bdd_inst.weights.checkpoint import load_weights

HEIGHT, WIDTH, PROPOSALS = 128, 192, 60
CASES = [
    ("maskrcnn_resnet50_fpn", "torchvision_maskrcnn_R50_FPN.yaml"),
    ("maskrcnn_resnet50_fpn_v2", "torchvision_maskrcnn_R50_FPN_v2.yaml"),
]


def spread(model) -> None:
    """Random weights that detect: norms with statistics, heads with scores and boxes of every kind."""
    generator = torch.Generator().manual_seed(3)

    def normal(tensor, std):
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * std)

    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            normal(module.running_mean, 0.1)
            normal(module.bias, 0.1)
            module.running_var.copy_(1 + torch.rand(module.running_var.shape, generator=generator))
            module.weight.copy_(0.6 + 0.6 * torch.rand(module.weight.shape, generator=generator))
    for stage in range(1, 5):
        for block in model.backbone.body[f"layer{stage}"]:
            block.bn3.weight.mul_(0.5)
    normal(model.rpn.head.cls_logits.weight, 0.2)
    normal(model.rpn.head.bbox_pred.weight, 0.1)
    normal(model.roi_heads.box_predictor.bbox_pred.weight, 0.3)
    normal(model.roi_heads.mask_predictor.mask_fcn_logits.weight, 2)
    normal(model.roi_heads.box_predictor.cls_score.weight, 2)


def center_scores(model, batch) -> None:
    """Take out of the class scores what all proposals have in common, else one class wins everywhere; let them vary by 3."""
    seen = []
    handle = model.roi_heads.box_head.register_forward_hook(lambda *args: seen.append(args[-1]))
    model(batch)
    handle.remove()
    scores = model.roi_heads.box_predictor.cls_score
    mean = seen[0].mean(dim=0)
    scores.weight.sub_((scores.weight @ mean)[:, None] * mean / mean.dot(mean))
    scores.weight.mul_(3 / (seen[0] @ scores.weight.T).std())


def random_image() -> torch.Tensor:
    """3,H,W uint8 RGB: smooth noise."""
    noise = np.random.default_rng(5).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    smooth = cv2.normalize(cv2.GaussianBlur(noise, (9, 9), 3), None, 0, 255, cv2.NORM_MINMAX)
    return torch.from_numpy(smooth.transpose(2, 0, 1).copy())


def torchvision_raw(model, image) -> dict:
    """Detections before pasting: ``masks`` N,1,28,28 probabilities."""
    images, _ = model.transform([image])
    features = model.backbone(images.tensors)
    proposals, _ = model.rpn(images, features)
    return model.roi_heads(features, proposals, images.image_sizes)[0][0]


def paired(got, expected: dict) -> torch.Tensor:
    """The row of ours for each of theirs: same class, best overlap; nearly equal scores may stand in another order.

    Our class 0 is their label 1: their label 0 is the background.
    """
    overlap = box_iou(expected["boxes"], got.pred_boxes.tensor)
    overlap[expected["labels"][:, None] != got.pred_classes[None] + 1] = -1
    best, rows = overlap.max(dim=1)
    assert best.min() > 0.999
    assert len(rows.unique()) == len(rows)
    return rows


@pytest.fixture(
    scope="module",
    params=[CASES[0], pytest.param(CASES[1], marks=pytest.mark.slow)],
    ids=[name for name, _ in CASES],
)
def pair(request, tmp_path_factory):
    """Their model, ours with its weights through a file, and an image that neither resizes."""
    name, config = request.param
    # No limit on detections: of nearly equal scores either side might keep another.
    sizes = {
        "min_size": HEIGHT,
        "max_size": WIDTH,
        "rpn_post_nms_top_n_test": PROPOSALS,
        "box_detections_per_img": 9999,
    }
    theirs = getattr(detection, name)(weights=None, weights_backbone=None, **sizes).eval()
    with torch.no_grad():
        spread(theirs)
        center_scores(theirs, [random_image() / 255])
    path = tmp_path_factory.mktemp("torchvision") / "model.pth"
    torch.save(theirs.state_dict(), path)
    overrides = {
        "MODEL.DEVICE": "cpu",
        "MODEL.RPN.POST_NMS_TOPK_TEST": str(PROPOSALS),
        "TEST.DETECTIONS_PER_IMAGE": "9999",
    }
    cfg = load_cfg(config, [text for item in overrides.items() for text in item])
    ours = build_model(cfg).eval()
    report = load_weights(ours, path, cfg)
    assert report.complete
    assert not report.warnings
    return theirs, ours


@torch.no_grad()
def test_detections_are_torchvisions(pair):
    theirs, ours = pair
    image = random_image()
    expected = torchvision_raw(theirs, image / 255)
    got = ours.inference([{"image": image}], do_postprocess=False)[0]
    assert len(got) == len(expected["scores"]) > 20
    assert len(expected["labels"].unique()) > 5
    rows = paired(got, expected)
    torch.testing.assert_close(got.scores[rows], expected["scores"], rtol=0, atol=1e-4)
    torch.testing.assert_close(got.pred_boxes.tensor[rows], expected["boxes"], rtol=0, atol=1e-2)
    torch.testing.assert_close(got.pred_masks[rows], expected["masks"], rtol=0, atol=1e-3)


def test_pasted_masks_differ_by_a_pixel_of_outline():
    """torchvision pastes into boxes cut to whole pixels, we as Detectron2 into the exact box; on round masks that is what differs."""
    grid = (torch.arange(28) - 13.5) / 14
    probabilities = (1.2 - (grid[:, None] ** 2 + grid[None] ** 2)).clamp(0, 1).expand(50, 1, 28, 28)
    corners = torch.rand(50, 2, generator=torch.Generator().manual_seed(1)) * 100
    boxes = torch.cat([corners, corners + 20 + corners.flip(0)], dim=1)
    reference = paste_masks_in_image(probabilities, boxes, (256, 256))[:, 0] > 0.5
    masks = paste_masks(probabilities[:, 0], boxes, (256, 256), 0.5)
    overlap = (masks & reference).flatten(1).sum(dim=1) / (masks | reference).flatten(1).sum(dim=1)
    perimeter = 2 * (boxes[:, 2:] - boxes[:, :2]).sum(dim=1)
    assert ((masks ^ reference).flatten(1).sum(dim=1) <= perimeter).all()
    assert overlap.mean() > 0.94


def test_config_of_another_kind_is_warned_of(pair, tmp_path):
    theirs, _ = pair
    torch.save(theirs.state_dict(), tmp_path / "m.pth")
    cfg = load_cfg("Base-MaskRCNN-FPN.yaml", ["MODEL.DEVICE", "cpu"])
    report = load_weights(build_model(cfg), tmp_path / "m.pth", cfg)
    for key in ("INPUT.FORMAT", "MODEL.PIXEL_MEAN", "MODEL.PIXEL_STD", "STRIDE_IN_1X1"):
        assert any(key in line for line in report.warnings)
    assert len(report.reinitialized) == 6
