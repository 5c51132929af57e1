"""Panoptic FPN against what Detectron2 computed: objects, logits, segments, losses and gradient norms in both precisions."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pycocotools.mask as coco_mask
import pytest
import torch

from bdd_inst.structures import Boxes, Instances, PolygonMasks
from tests.parity import test_model as objects
from tests.parity.test_semantic import LOGIT

VARIANT = "panoptic_r50_fpn"
SAME_PIXELS = 0.999


def config(settings: dict | None = None):
    zoo = {"MODEL.META_ARCHITECTURE": "PanopticFPN", "MODEL.SEM_SEG_HEAD.LOSS_WEIGHT": 0.5}
    return objects.config(VARIANT, zoo | (settings or {}))


@cache
def panoptic() -> torch.nn.Module:
    return objects.build(VARIANT, config()).eval()


@cache
def outputs(index: int) -> dict:
    model = panoptic()
    return model([objects.mapped(VARIANT, index)])[0]


@pytest.mark.parametrize("index", [0, 1])
class TestOutputs:
    def test_objects(self, index):
        want, got = objects.expected(VARIANT, index), outputs(index)["instances"]
        rows = objects.paired(got, want["boxes"], want["classes"])
        assert np.abs(got.pred_boxes.tensor[rows].numpy() - want["boxes"]).max() < objects.BOX
        assert np.abs(got.scores[rows].numpy() - want["scores"]).max() < objects.SCORE
        size = [int(side) for side in want["mask_size"]]
        for mask, counts in zip(got.pred_masks[rows].numpy(), want["mask_rle_counts"], strict=True):
            other = coco_mask.decode({"size": size, "counts": str(counts)}).astype(bool)
            assert (mask != other).sum() <= objects.PIXELS

    def test_logits(self, index):
        want, got = objects.expected(VARIANT, index)["sem_seg"], outputs(index)["sem_seg"].numpy()
        assert got.shape == want.shape
        assert np.abs(got - want).max() < LOGIT

    def test_segments(self, index):
        want = objects.expected(VARIANT, index)
        ids, segments = outputs(index)["panoptic_seg"]
        assert (ids.numpy() == want["panoptic"]).mean() >= SAME_PIXELS
        known = json.loads(str(want["segments"]))
        assert len(segments) == len(known) > 5
        for got, other in zip(segments, known, strict=True):
            assert {k: got[k] for k in ("id", "isthing", "category_id")} == {
                k: other[k] for k in ("id", "isthing", "category_id")
            }
            assert got.keys() == other.keys()
            if got["isthing"]:
                assert got["score"] == pytest.approx(other["score"], abs=objects.SCORE)
            else:
                assert got["area"] == pytest.approx(other["area"], abs=40)

    def test_run_lengths_give_the_same_segments(self, index):
        batch = [objects.mapped(VARIANT, index)]
        ids, segments = panoptic()(batch, mask_format="rle")[0]["panoptic_seg"]
        assert torch.equal(ids, outputs(index)["panoptic_seg"][0])
        assert segments == outputs(index)["panoptic_seg"][1]


def training_batch() -> list[dict]:
    batch = []
    for index in (0, 1):
        with np.load(objects.FOLDER / VARIANT / f"train{index}.npz") as file:
            image, polygons, boxes, classes, labels = (
                file[k] for k in ("image_bgr", "polygons", "boxes", "classes", "sem_seg")
            )
        assert (labels == 255).any()
        instances = Instances(
            image.shape[:2],
            gt_boxes=Boxes(boxes),
            gt_classes=torch.from_numpy(classes),
            gt_masks=PolygonMasks([[polygon.reshape(-1)] for polygon in polygons]),
        )
        batch.append(
            {
                "image": torch.from_numpy(image).permute(2, 0, 1),
                "instances": instances,
                "sem_seg": torch.from_numpy(labels.astype(np.int64)),
            }
        )
    return batch


@pytest.mark.parametrize("file", objects.PRECISIONS)
def test_losses_and_gradients(file):
    reference = json.loads((objects.FOLDER / VARIANT / file).read_text())
    want = reference["polygon"]
    model = objects.build(VARIANT, config(reference["settings"])).train()
    losses = model.to(objects.PRECISIONS[file])(training_batch())
    assert set(losses) == set(want["losses"])
    for name, value in want["losses"].items():
        allowed = objects.TIPPED.get(name, objects.LOSS)
        assert losses[name].item() == pytest.approx(value, rel=allowed), name
    sum(losses.values()).backward()
    norms = {n: p.grad.norm().item() for n, p in model.named_parameters() if p.grad is not None}
    assert set(norms) == set(want["gradient_norms"])
    tolerance = max(objects.LEAST_GRADIENT, objects.STABILITIES * reference["stability"])
    for name, value in want["gradient_norms"].items():
        assert norms[name] == pytest.approx(value, rel=tolerance, abs=1e-12), name
