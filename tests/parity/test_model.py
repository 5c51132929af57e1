"""The builtin engine against what Detectron2 computed: resized images, detections, losses, gradient norms."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pycocotools.mask as coco_mask
import pytest
import torch

from bdd_inst.config.loading import load_cfg, merge_tree, read_tree
from bdd_inst.data.mapper import DatasetMapper
from bdd_inst.engines import build_model
from bdd_inst.structures import BitMasks, Boxes, Instances, PolygonMasks, pairwise_iou

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "parity"
VARIANTS = ("r50_fpn", "x101_fpn", "gn_conv_heads")
CASCADE = "cascade_r50_fpn"  # whose files hold no masks before postprocessing
BOX, SCORE, PIXELS, LOSS = 0.01, 2e-4, 14, 1e-5
# Processors sum in different orders. A pixel of a mask target on a polygon's edge can tip, which moves loss_mask by up to 5.7e-5.
TIPPED = {"loss_mask": 2e-4}
# A ReLU near zero tips as well, and GroupNorm on features that are almost constant enlarges rounding: each file of losses says
# under "stability" how far Detectron2's own float32 gradient norms lie from its float64 ones.
LEAST_GRADIENT, STABILITIES = 1e-4, 10
PRECISIONS = {"losses.json": torch.float32, "losses64.json": torch.float64}


def config(variant: str, settings: dict | None = None):
    cfg = load_cfg("Base-MaskRCNN-FPN.yaml")
    file = FOLDER / variant / "config.yaml"
    tree = read_tree(file)
    for note in ("_ZOO_", "_WEIGHTS_OF_"):
        tree.pop(note, None)
    merge_tree(cfg, tree, str(file))
    cfg.MODEL.DEVICE = "cpu"
    cfg.merge_from_list([item for pair in (settings or {}).items() for item in pair])
    return cfg


def build(variant: str, cfg=None) -> torch.nn.Module:
    model = build_model(config(variant) if cfg is None else cfg)
    with np.load(FOLDER / variant / "weights.npz") as weights:
        report = model.load_state_dict(
            {name: torch.from_numpy(weights[name]) for name in weights.files}, strict=False
        )
    assert not report.missing_keys
    assert not report.unexpected_keys
    return model


@cache
def detector(variant: str) -> torch.nn.Module:
    return build(variant).eval()


@cache
def expected(variant: str, index: int) -> dict[str, np.ndarray]:
    with np.load(FOLDER / variant / f"outputs{index}.npz") as file:
        return dict(file)


def mapped(variant: str, index: int) -> dict:
    """The image as the data room feeds it to the model."""
    mapper = DatasetMapper(config(variant), is_train=False)
    path = FOLDER / variant / f"image{index}.png"
    return mapper({"file_name": str(path), "image_id": index}, np.random.default_rng(0))


def paired(instances: Instances, boxes: np.ndarray, classes: np.ndarray) -> torch.Tensor:
    """For each expected detection the row of the one that matches it: same class, best IoU, none used twice."""
    overlap = pairwise_iou(Boxes(boxes), instances.pred_boxes) * (
        torch.from_numpy(classes)[:, None] == instances.pred_classes
    )
    best, rows = overlap.max(dim=1)
    assert len(instances) == len(boxes)
    assert best.min() > 0.95
    assert len(rows.unique()) == len(boxes)
    return rows


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("variant", [*VARIANTS, CASCADE])
class TestDetections:
    def test_resized_image_is_equal(self, variant, index):
        image = mapped(variant, index)["image"]
        np.testing.assert_array_equal(
            image.permute(1, 2, 0).numpy(), expected(variant, index)["resized"]
        )

    def test_before_postprocessing(self, variant, index):
        want = expected(variant, index)
        if variant == CASCADE:
            pytest.skip("its file holds what came after postprocessing only")
        image = torch.from_numpy(want["resized"]).permute(2, 0, 1)
        got = detector(variant).inference([{"image": image}], do_postprocess=False)[0]
        rows = paired(got, want["resized_boxes"], want["classes"])
        assert np.abs(got.pred_boxes.tensor[rows].numpy() - want["resized_boxes"]).max() < BOX
        assert np.abs(got.scores[rows].numpy() - want["scores"]).max() < SCORE
        assert np.abs(got.pred_masks[rows, 0].numpy() - want["mask_probs"]).max() < 5e-3

    @pytest.mark.parametrize("mask_format", ["bitmask", "rle"])
    def test_on_the_original_image(self, variant, index, mask_format):
        want = expected(variant, index)
        model = detector(variant)
        got = model([mapped(variant, index)], mask_format=mask_format)[0]["instances"]
        rows = paired(got, want["boxes"], want["classes"])
        assert np.abs(got.pred_boxes.tensor[rows].numpy() - want["boxes"]).max() < BOX
        assert np.abs(got.scores[rows].numpy() - want["scores"]).max() < SCORE
        masks = (got.pred_masks.decode() if mask_format == "rle" else got.pred_masks)[rows].numpy()
        size = [int(side) for side in want["mask_size"]]
        for mask, counts in zip(masks, want["mask_rle_counts"], strict=True):
            assert (
                mask != coco_mask.decode({"size": size, "counts": str(counts)}).astype(bool)
            ).sum() <= PIXELS


def training_batch(variant: str, kind: str) -> list[dict]:
    batch = []
    for index in (0, 1):
        with np.load(FOLDER / variant / f"train{index}.npz") as file:
            image, polygons, boxes, classes = (
                file[k] for k in ("image_bgr", "polygons", "boxes", "classes")
            )
        masks = PolygonMasks([[polygon.reshape(-1)] for polygon in polygons])
        if kind == "bitmask":
            masks = BitMasks.from_polygon_masks(masks, *image.shape[:2])
        instances = Instances(
            image.shape[:2],
            gt_boxes=Boxes(boxes),
            gt_classes=torch.from_numpy(classes),
            gt_masks=masks,
        )
        batch.append({"image": torch.from_numpy(image).permute(2, 0, 1), "instances": instances})
    return batch


@pytest.mark.parametrize("file", PRECISIONS)
@pytest.mark.parametrize(
    ("variant", "kind"),
    [
        *((variant, "bitmask") for variant in VARIANTS),
        # The slowest model learns from outlines too, in make test-all.
        *((variant, "polygon") for variant in VARIANTS if variant != "gn_conv_heads"),
        pytest.param("gn_conv_heads", "polygon", marks=pytest.mark.slow),
        (CASCADE, "polygon"),
    ],
)
def test_losses_and_gradients(variant, kind, file):
    reference = json.loads((FOLDER / variant / file).read_text())
    model = build(variant, config(variant, reference["settings"])).train().to(PRECISIONS[file])
    losses = model(training_batch(variant, kind))
    want = reference[kind]
    assert set(losses) == set(want["losses"])
    for name, value in want["losses"].items():
        assert losses[name].item() == pytest.approx(value, rel=TIPPED.get(name, LOSS)), name
    sum(losses.values()).backward()
    norms = {
        name: p.grad.norm().item() for name, p in model.named_parameters() if p.grad is not None
    }
    assert set(norms) == set(want["gradient_norms"])
    tolerance = max(LEAST_GRADIENT, STABILITIES * reference["stability"])
    for name, value in want["gradient_norms"].items():
        assert norms[name] == pytest.approx(value, rel=tolerance, abs=1e-12), name
