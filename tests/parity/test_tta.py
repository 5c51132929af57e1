"""Test-time augmentation of Mask R-CNN, image file to masks, against what Detectron2 computed."""

from __future__ import annotations

import numpy as np
import pycocotools.mask as coco_mask
import pytest

from bdd_inst.inference.predictor import Predictor
from tests.parity import test_model as objects

VARIANT, WEIGHTS = "tta_r50_fpn", "r50_fpn"


@pytest.fixture(scope="module")
def predictor():
    cfg = objects.config(VARIANT)
    assert cfg.TEST.AUG.ENABLED
    return Predictor(cfg, objects.build(WEIGHTS, cfg))


@pytest.mark.parametrize("index", [0, 1])
def test_detections_of_all_views(predictor, index, monkeypatch):
    want = objects.expected(VARIANT, index)
    got = predictor(objects.FOLDER / VARIANT / f"image{index}.png")["instances"]
    rows = objects.paired(got, want["boxes"], want["classes"])
    assert np.abs(got.pred_boxes.tensor[rows].numpy() - want["boxes"]).max() < objects.BOX
    assert np.abs(got.scores[rows].numpy() - want["scores"]).max() < objects.SCORE
    size = [int(side) for side in want["mask_size"]]
    for mask, counts in zip(got.pred_masks[rows].numpy(), want["mask_rle_counts"], strict=True):
        other = coco_mask.decode({"size": size, "counts": str(counts)}).astype(bool)
        assert (mask != other).sum() <= objects.PIXELS


def test_features_that_were_not_kept_are_computed_again(predictor, monkeypatch):
    image = objects.FOLDER / VARIANT / "image1.png"
    kept = predictor(image)["instances"]
    monkeypatch.setattr("bdd_inst.modeling.meta.rcnn_tta.KEPT_BYTES", 0)
    again = predictor(image)["instances"]
    assert again.pred_masks.rles == kept.pred_masks.rles
