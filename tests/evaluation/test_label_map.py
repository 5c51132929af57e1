"""Label-map figures against definitions written out pixel by pixel, and the sweep against doing it threshold by threshold."""

from __future__ import annotations

import numpy as np
import pytest

from bdd_inst.evaluation.label_map import LabelMapCounter, LabelMapScores, report
from bdd_inst.masks import run_lengths
from bdd_inst.masks.flatten import to_label_map

NAMES = ["skin", "hair", "dress"]


def confusion_of_maps(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """K+1,K+1 int64 pixels of two label maps H,W; truth values above K (255 for void) count nowhere, such predictions as background."""
    counted = truth <= classes
    guess = np.where(predicted <= classes, predicted, 0)
    joint = truth[counted].astype(np.int64) * (classes + 1) + guess[counted]
    return np.bincount(joint, minlength=(classes + 1) ** 2).reshape(classes + 1, classes + 1)


def random_image(rng, objects=6, height=24, width=18):
    truth = rng.integers(0, 4, (height, width)).astype(np.uint8)
    truth[rng.random((height, width)) < 0.05] = 255
    masks = [rng.random((height, width)) < 0.3 for _ in range(objects)]
    return truth, masks, rng.integers(0, 3, objects), rng.integers(0, 21, objects) / 20


def slow_map(masks, classes, scores, threshold):
    out = np.zeros(masks[0].shape, int)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            best = -1.0
            for mask, label, score in zip(masks, classes, scores, strict=True):
                if mask[y, x] and score >= threshold and score >= best:
                    best, out[y, x] = score, label + 1
    return out


@pytest.mark.parametrize("seed", range(5))
def test_instances_combine_by_score(seed):
    _, masks, classes, scores = random_image(np.random.default_rng(seed))
    made = to_label_map([run_lengths.encode(m) for m in masks], classes, scores, 24, 18, 0.4)
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, slow_map(masks, classes, scores, 0.4))


def test_no_instances_are_background():
    assert not to_label_map([], [], [], 3, 4).any()


@pytest.mark.parametrize("seed", range(3))
def test_one_painting_serves_every_threshold(seed):
    rng = np.random.default_rng(seed)
    images = [random_image(rng) for _ in range(3)]
    counter = LabelMapCounter(NAMES)
    for truth, masks, classes, scores in images:
        counter.add(truth, [run_lengths.encode(m) for m in masks], classes, scores)
    for threshold in (0.0, 0.05, 0.3, 0.55, 0.95, 1.0):
        expected = sum(
            confusion_of_maps(t, slow_map(m, c, s, threshold), 3) for t, m, c, s in images
        )
        np.testing.assert_array_equal(
            counter.scores(threshold).confusion, expected, err_msg=str(threshold)
        )
    best = counter.best_threshold()
    assert counter.scores(best).mean_iou == max(value for _, value in counter.sweep())


def test_figures_are_their_definitions():
    rng = np.random.default_rng(0)
    truth, guess = rng.integers(0, 4, (40, 50)), rng.integers(0, 4, (40, 50))
    truth[:3] = 255
    figures = LabelMapScores(confusion_of_maps(truth, guess, 3), NAMES).figures()
    seen = truth != 255
    for k, name in enumerate(["background", *NAMES]):
        hit = (truth == k) & (guess == k) & seen
        false, missed = (truth != k) & (guess == k) & seen, (truth == k) & (guess != k) & seen
        assert figures[f"IoU-{name}"] == pytest.approx(
            100 * hit.sum() / (hit.sum() + false.sum() + missed.sum())
        )
        assert figures[f"Dice-{name}"] == pytest.approx(
            200 * hit.sum() / (2 * hit.sum() + false.sum() + missed.sum())
        )
    assert figures["accuracy"] == pytest.approx(100 * (truth == guess)[seen].mean())
    assert figures["mIoU"] == pytest.approx(np.mean([figures[f"IoU-{n}"] for n in NAMES]))


def test_a_class_that_is_nowhere_is_undefined_and_left_out():
    truth = np.zeros((4, 4), np.uint8)
    truth[:2] = 1
    figures = LabelMapScores(confusion_of_maps(truth, truth, 3), NAMES).figures()
    assert figures["IoU-hair"] is None
    assert figures["mIoU"] == 100.0


def test_a_threshold_from_elsewhere_is_kept_and_named():
    truth, masks, classes, scores = random_image(np.random.default_rng(1))
    counter = LabelMapCounter(NAMES)
    counter.add(truth, [run_lengths.encode(m) for m in masks], classes, scores)
    own, given = report(counter, None, ""), report(counter, 0.35, "fashion_person_val")
    assert own["threshold_chosen_on"] == "these images"
    assert (given["threshold"], given["threshold_chosen_on"]) == (0.35, "fashion_person_val")
    assert own["mIoU"] >= given["mIoU"]
    assert len(own["sweep"]) == 19
