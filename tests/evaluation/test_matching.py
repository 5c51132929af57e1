"""Matching on the pair table gives pycocotools' precision; slices by image are evaluations of those images alone."""

from __future__ import annotations

import numpy as np
import pytest

from bdd_inst.evaluation import coco
from bdd_inst.evaluation.matching import match, overlapping_pairs, precision, recall
from tests.evaluation.cases import random_case


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(25))
def test_same_precision_as_coco(seed, kind):
    truth, results = random_case(seed)
    expected = coco.evaluate(truth, results, kind)
    matches = match(truth, results, overlapping_pairs(truth, results, kind))
    np.testing.assert_array_equal(
        precision(truth, results, matches), expected.precision[..., 0, -1]
    )
    np.testing.assert_allclose(recall(truth, matches), expected.recall[:, :, 0, -1])


def test_the_detection_limit_holds():
    truth, results = random_case(4, images=2, classes=1, detections=160)
    expected = coco.evaluate(truth, results, "bbox", max_detections=(1, 10, 20))
    matches = match(truth, results, overlapping_pairs(truth, results, "bbox"), max_detections=20)
    np.testing.assert_array_equal(
        precision(truth, results, matches), expected.precision[..., 0, -1]
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_slice_by_image_is_an_evaluation_of_those_images(seed):
    truth, results = random_case(seed)
    chosen = np.random.default_rng(seed).random(len(truth.image_ids)) < 0.5
    matches = match(truth, results, overlapping_pairs(truth, results, "segm"))
    sliced = precision(truth, results, matches, chosen)
    alone = coco.evaluate(
        truth.take(chosen[truth.image]), results.take(chosen[results.image]), "segm"
    ).precision[..., 0, -1]
    np.testing.assert_array_equal(sliced, alone)


@pytest.mark.parametrize("seed", range(5))
def test_objects_set_aside_count_neither_way(seed):
    # pycocotools has the same notion for areas: objects outside the range, each excusing one detection.
    truth, results = random_case(seed, crowds=False)
    aside = np.random.default_rng(seed).random(len(truth)) < 0.5
    moved = truth.take(np.arange(len(truth)))
    moved.area = np.where(aside, 1e11, truth.area)
    expected = coco.evaluate(moved, results, "bbox", backend="pycocotools").precision[..., 0, -1]
    matches = match(truth, results, overlapping_pairs(truth, results, "bbox"), ignored=aside)
    np.testing.assert_array_equal(precision(truth, results, matches), expected)
