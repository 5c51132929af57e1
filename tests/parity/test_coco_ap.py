"""Every figure and the whole precision array equal pycocotools', over hundreds of generated cases."""

from __future__ import annotations

import contextlib
import copy
import io
import sys

import numpy as np
import pytest

from bdd_inst.base.errors import DataError
from bdd_inst.evaluation import coco
from bdd_inst.evaluation.compare import compare
from bdd_inst.evaluation.results import Results
from bdd_inst.masks import run_lengths
from tests.evaluation.cases import random_case

# name -> (keyword arguments of random_case, number of seeds)
FAMILIES = {
    "mixed": ({}, 60),
    "no crowds": ({"crowds": False}, 20),
    "crowded images": ({"images": 2, "classes": 1, "detections": 160}, 12),
    "one image": ({"images": 1}, 40),
    "many classes, most empty": ({"classes": 12, "images": 4}, 15),
}
CASES = [
    pytest.param(kwargs, seed, id=f"{name} {seed}")
    for name, (kwargs, seeds) in FAMILIES.items()
    for seed in range(seeds)
]


def reference(truth, results, kind, limits=(1, 10, 100)):
    """pycocotools by its own door: dicts in, loadRes, evaluate, accumulate, summarize."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        ours = COCO()
        ours.dataset = copy.deepcopy(coco.truth_dict(truth, kind))
        ours.createIndex()
        rows = []
        for n in range(len(results)):
            row = {
                "image_id": int(results.image[n]) + 1,
                "category_id": int(results.category[n]) + 1,
                "score": float(results.scores[n]),
            }
            row |= (
                {"bbox": results.boxes[n].tolist()}
                if kind == "bbox"
                else {"segmentation": dict(results.masks[n])}
            )
            rows.append(row)
        if rows:
            found = ours.loadRes(rows)
        else:  # loadRes cannot read an empty list
            found = COCO()
            found.dataset = {
                "images": ours.dataset["images"],
                "categories": ours.dataset["categories"],
                "annotations": [],
            }
            found.createIndex()
        evaluator = COCOeval(ours, found, kind)
        evaluator.params.maxDets = list(limits)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


def assert_same(truth, results, kind):
    expected = reference(truth, results, kind)
    scores = coco.evaluate(truth, results, kind, backend="hotcoco")
    np.testing.assert_array_equal(scores.precision, expected.eval["precision"])
    np.testing.assert_array_equal(scores.recall, expected.eval["recall"])
    np.testing.assert_array_equal(scores.scores, expected.eval["scores"])
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
    figures = scores.figures()
    for name, value in zip(names, expected.stats, strict=True):
        assert figures[name] == (
            None if value == -1 else pytest.approx(value * 100, rel=1e-14, abs=0)
        ), name


@pytest.mark.parametrize(("kwargs", "seed"), CASES)
@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_all_numbers_equal_pycocotools(kwargs, seed, kind):
    truth, results = random_case(seed, **kwargs)
    assert_same(truth, results, kind)


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(5))
def test_no_detections_at_all(seed, kind):
    truth, _ = random_case(seed)
    nothing = Results(np.zeros(0, int), np.zeros(0, int), np.zeros(0), np.zeros((0, 4)), [])
    assert_same(truth, nothing, kind)
    assert coco.evaluate(truth, nothing, kind).figures()["AP"] == (
        0.0 if (~truth.crowd).any() else None
    )


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(5))
def test_no_ground_truth_at_all(seed, kind):
    truth, results = random_case(seed)
    assert_same(truth.take(np.zeros(len(truth), bool)), results, kind)


@pytest.mark.parametrize("seed", range(4))
def test_the_fallback_is_the_reference(seed):
    truth, results = random_case(seed)
    for kind in ("bbox", "segm"):
        fast, slow = (
            coco.evaluate(truth, results, kind, backend=backend)
            for backend in ("hotcoco", "pycocotools")
        )
        np.testing.assert_array_equal(fast.precision, slow.precision)
        assert fast.figures() == slow.figures()


def hide_the_package(patch):
    patch.setitem(sys.modules, "hotcoco", None)


def hide_the_stream(patch):
    patch.delattr("hotcoco.StreamingEval")


def make_it_old(patch):
    patch.setattr(coco.importlib.metadata, "version", lambda package: "1.1.0")


@pytest.mark.parametrize("hide", [hide_the_package, hide_the_stream, make_it_old])
def test_without_a_hotcoco_that_works_the_reference_scores_and_says_so_once(
    hide, monkeypatch, caplog
):
    truth, results = random_case(0)
    expected = coco.evaluate(truth, results, "segm").figures()
    coco.warn_of_fallback.cache_clear()
    hide(monkeypatch)
    for _ in range(2):
        assert coco.evaluate(truth, results, "segm").figures() == expected
    assert len(caplog.records) == 1
    assert "hotcoco>=1.2" in caplog.records[0].getMessage()
    with pytest.raises(DataError, match="needs hotcoco: .*pip install"):
        compare(truth, results, results, "segm")


@pytest.mark.parametrize("limits", [(1, 10, 300), (5, 20, 50)])
def test_other_detection_limits_follow_the_reference(limits):
    truth, results = random_case(3, images=2, classes=1, detections=220)
    expected = reference(truth, results, "bbox", limits).eval
    scores = coco.evaluate(truth, results, "bbox", max_detections=limits)
    np.testing.assert_array_equal(scores.precision, expected["precision"])
    last = expected["precision"][..., 0, -1]
    assert scores.average_precision() == pytest.approx(100 * last[last > -1].mean())
    assert f"AR{limits[-1]}" in scores.figures()


def test_mask_sizes_are_mask_areas_though_boxes_are_given():
    # A thin diagonal: 60 pixels of mask (small) in a box of 3600 (medium).
    truth, results = random_case(1)
    thin = np.eye(120, dtype=bool)
    thin[60:] = False
    truth = truth.take(np.zeros(1, int))
    truth.masks, truth.area = [run_lengths.encode(thin)], np.array([60.0])
    truth.boxes, truth.crowd = np.array([[0, 0, 60, 60.0]]), np.array([False])
    results = results.take(np.zeros(1, int))
    results.image, results.category = truth.image.copy(), truth.category.copy()
    results.masks, results.boxes = [run_lengths.encode(thin)], np.array([[0, 0, 60, 60.0]])
    figures = coco.evaluate(truth, results, "segm").figures()
    assert figures["APs"] == pytest.approx(100)
    assert figures["APm"] is None
