"""The reasons behind the figures, each against its definition written out plainly."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from bdd_inst.evaluation import boundary, coco, tide
from bdd_inst.evaluation.analysis import analyze
from bdd_inst.evaluation.calibration import calibration
from bdd_inst.evaluation.compare import compare
from bdd_inst.evaluation.confusion import confusion
from bdd_inst.evaluation.curves import best_thresholds, pr_curves
from bdd_inst.evaluation.ground_truth import GroundTruthBuilder
from bdd_inst.evaluation.matching import match, overlapping_pairs, precision
from bdd_inst.evaluation.results import ResultsBuilder
from bdd_inst.evaluation.slices import slices
from bdd_inst.evaluation.worst import rank_images
from bdd_inst.masks import run_lengths
from tests.evaluation.cases import random_case

NAMES = ["car", "bus", "train"]


def scene(objects, found, images=1):
    """objects: (image, class, box); found: (image, class, box, score); boxes x, y, w, h on 100x100 images."""
    truth, results = GroundTruthBuilder(NAMES, [1, 2, 3], "made up"), ResultsBuilder()
    for i in range(images):
        truth.image(i + 1, f"{i}.png", 100, 100, {"weather": ["clear", "rainy"][i % 2]})
        for j, k, box in objects:
            if i == j:
                truth.add(
                    k,
                    box=box,
                    mask=mask_of(box),
                    area=None,
                    crowd=False,
                    ignored=False,
                    attributes={"occluded": box[0] > 40},
                )
        mine = [f for f in found if f[0] == i]
        boxes = np.array([f[2] for f in mine], float).reshape(-1, 4)
        results.add(
            i,
            np.array([f[1] for f in mine], int),
            np.array([f[3] for f in mine], float),
            boxes,
            [mask_of(f[2]) for f in mine],
        )
    return truth.build(), results.build()


def mask_of(box):
    x, y, w, h = (int(v) for v in box)
    mask = np.zeros((100, 100), bool)
    mask[y : y + h, x : x + w] = True
    return run_lengths.encode(mask)


def errors_of(truth, results, kind="bbox"):
    pairs = overlapping_pairs(truth, results, kind)
    matches = match(truth, results, pairs, [0.5])
    errors = tide.classify(truth, results, pairs, matches)
    return errors, tide.costs(truth, results, matches, errors)


OBJECT = (0, 0, [10, 10, 20, 20])


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ((0, 0, [10, 10, 20, 20], 0.9), ""),
        ((0, 0, [22, 10, 20, 20], 0.9), "Loc"),  # IoU 1/4
        ((0, 1, [10, 10, 20, 20], 0.9), "Cls"),
        ((0, 1, [22, 10, 20, 20], 0.9), "Both"),
        ((0, 0, [70, 70, 20, 20], 0.9), "Bkg"),
    ],
)
def test_errors_have_tides_names(found, kind):
    errors, _ = errors_of(*scene([OBJECT], [found]))
    assert errors.kind.tolist() == [kind]
    assert errors.missed.tolist() == [kind in ("Bkg", "Both")]


def test_a_second_find_is_a_duplicate():
    errors, costs = errors_of(
        *scene([OBJECT], [(0, 0, [10, 10, 20, 20], 0.8), (0, 0, [11, 10, 20, 20], 0.9)])
    )
    assert errors.kind.tolist() == ["Dupe", ""]
    assert costs["AP"] == pytest.approx(100)


def test_costs_are_ap_regained():
    objects = [OBJECT, (0, 0, [60, 60, 20, 20])]
    found = [
        (0, 0, [70, 10, 5, 5], 0.95),
        (0, 0, [10, 10, 20, 20], 0.9),
        (0, 0, [72, 60, 20, 20], 0.5),
    ]
    _, costs = errors_of(*scene(objects, found))
    # Right: one of two, at precision 1/2; 51 of 101 recall points.
    assert costs["AP"] == pytest.approx(100 * 0.5 * 51 / 101)
    assert costs["Bkg"] == pytest.approx(100 * (51 / 101) - costs["AP"])
    assert costs["Loc"] == pytest.approx(
        100 * (2 / 3) - costs["AP"]
    )  # both found, the envelope is 2/3 throughout
    assert costs["Miss"] == costs["Cls"] == costs["Dupe"] == 0


@pytest.mark.parametrize("seed", range(6))
def test_tides_base_is_ap50(seed):
    truth, results = random_case(seed)
    _, costs = errors_of(truth, results, "segm")
    expected = coco.evaluate(truth, results, "segm").average_precision(0.5)
    assert costs["AP"] == pytest.approx(0.0 if expected is None else expected)


@pytest.mark.parametrize("seed", range(6))
def test_confusion_agrees_with_counting(seed):
    truth, results = random_case(seed)
    pairs = overlapping_pairs(truth, results, "segm")
    table = confusion(truth, results, pairs, 0.5)
    shown = results.take(results.scores >= 0.5)
    alone = match(truth, shown, overlapping_pairs(truth, shown, "segm"), [0.5])
    for k in range(len(truth.class_names)):
        hits = (alone.hit[0] & ~alone.out[0])[shown.category == k].sum()
        assert table.matrix[k, k] == hits  # the diagonal: true positives of precision and recall
        assert table.matrix[k].sum() == (~truth.crowd & (truth.category == k)).sum()
        assert (
            table.matrix[:, k].sum()
            == (shown.category == k).sum() - alone.out[0][shown.category == k].sum()
        )
    assert table.matrix[-1, -1] == 0


def test_confused_false_and_missed_are_told_apart():
    objects = [
        (0, 0, [0, 0, 20, 20]),
        (0, 1, [30, 0, 20, 20]),
        (0, 2, [60, 0, 20, 20]),
        (1, 0, [0, 0, 20, 20]),
    ]
    found = [
        (0, 0, [0, 0, 20, 14], 0.9),
        (0, 2, [30, 0, 20, 20], 0.8),
        (0, 1, [60, 60, 20, 20], 0.7),
        (1, 0, [0, 0, 20, 20], 0.9),
        (0, 2, [60, 0, 20, 20], 0.1),
    ]
    truth, results = scene(objects, found, images=2)
    pairs = overlapping_pairs(truth, results, "bbox")
    table = confusion(truth, results, pairs, 0.5)
    assert table.verdict.tolist() == ["right", "confused", "false", "", "right"]
    assert table.missed.tolist() == [False, False, True, False]
    ranked = rank_images(truth, results, pairs, table)
    assert [p.position for p in ranked] == [0, 1]
    assert ranked[0].reasons == "missed 1 train; false 1 bus; badly cut 1 car; bus taken for train"
    assert ranked[1].reasons == ""
    assert ranked[1].badness == 0


def test_calibration_by_hand():
    objects = [(0, 0, [0, 0, 20, 20]), (0, 0, [30, 0, 20, 20])]
    found = [
        (0, 0, [0, 0, 20, 20], 0.95),
        (0, 0, [30, 0, 20, 20], 0.91),
        (0, 0, [60, 60, 9, 9], 0.93),
        (0, 1, [60, 60, 9, 9], 0.25),
    ]
    truth, results = scene(objects, found)
    pairs = overlapping_pairs(truth, results, "bbox")
    made = calibration(results, match(truth, results, pairs, [0.5]))
    assert made.count.tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0, 3]
    assert made.score[9] == pytest.approx(0.93)
    assert made.precision[9] == pytest.approx(2 / 3)
    assert made.error == pytest.approx((3 * (0.93 - 2 / 3) + 0.25) / 4)


def test_f1_best_thresholds():
    objects = [(0, 0, [0, 0, 20, 20]), (0, 0, [30, 0, 20, 20])]
    found = [(0, 0, [0, 0, 20, 20], 0.9), (0, 0, [30, 0, 20, 20], 0.6), (0, 0, [60, 60, 9, 9], 0.3)]
    truth, results = scene(objects, found)
    best = best_thresholds(pr_curves(coco.evaluate(truth, results, "bbox"), "bbox"))
    assert [(b.name, b.score, b.f1) for b in best] == [("car", 0.6, 1.0)]


def test_slices_by_image_and_by_object():
    objects = [(0, 0, [0, 0, 20, 20]), (1, 0, [0, 0, 20, 20]), (1, 0, [50, 0, 20, 20])]
    found = [(0, 0, [0, 0, 20, 20], 0.9), (1, 0, [50, 0, 20, 20], 0.8)]
    truth, results = scene(objects, found, images=2)
    rows = {
        (s.attribute, s.value): s
        for s in slices(truth, results, overlapping_pairs(truth, results, "segm"))
    }
    assert set(rows) == {
        ("weather", "clear"),
        ("weather", "rainy"),
        ("occluded", "yes"),
        ("occluded", "no"),
    }
    assert rows["weather", "clear"].ap == pytest.approx(100)
    assert rows["weather", "rainy"].ap == pytest.approx(100 * 51 / 101)
    assert rows["weather", "rainy"].objects == 2
    assert rows["occluded", "yes"].ap == pytest.approx(100)
    assert rows["occluded", "no"].ar == pytest.approx(50)


@pytest.mark.parametrize("seed", range(4))
def test_boundaries_are_what_erosion_takes(seed):
    rng = np.random.default_rng(seed)
    mask = cv2.GaussianBlur(rng.random((60, 90)), (0, 0), 6) > 0.5
    distance = int(rng.integers(1, 5))
    expected = np.zeros_like(mask)
    outside = np.pad(~mask, distance, constant_values=True)
    for y, x in np.argwhere(mask):
        expected[y, x] = outside[y : y + 2 * distance + 1, x : x + 2 * distance + 1].any()
    np.testing.assert_array_equal(boundary.boundary(mask, distance), expected)


@pytest.mark.parametrize("seed", range(4))
def test_boundary_pairs_are_the_smaller_iou(seed):
    truth, results = random_case(seed)
    pairs = overlapping_pairs(truth, results, "segm")
    cut = boundary.boundary_pairs(truth, results, pairs)
    for n in range(len(pairs.iou)):
        d, g = pairs.found[n], pairs.object[n]
        if truth.crowd[g] or pairs.iou[n] < 0.5 or results.category[d] != truth.category[g]:
            assert cut.iou[n] == pairs.iou[n]
            continue
        a, b = (
            boundary.boundary(run_lengths.decode(m), boundary.width_of(120, 120))
            for m in (results.masks[d], truth.masks[g])
        )
        assert cut.iou[n] == pytest.approx(min(pairs.iou[n], (a & b).sum() / (a | b).sum()))


def test_a_paired_bootstrap_knows_noise_from_progress():
    truth, results = random_case(11, images=60, crowds=False)
    same = compare(truth, results, results, "bbox", resamples=200)
    assert same[0].name == "AP"
    assert (same[0].difference, same[0].low, same[0].high) == (0, 0, 0)
    perfect = ResultsBuilder()
    for i in range(len(truth.image_ids)):
        own = np.flatnonzero(truth.image == i)
        perfect.add(
            i,
            truth.category[own],
            np.ones(len(own)),
            truth.boxes[own],
            [truth.masks[n] for n in own],
        )
    better = compare(truth, results, perfect.build(), "bbox", resamples=200)[0]
    assert better.certain
    assert 0 < better.low < better.difference < better.high


def test_the_interval_is_that_of_drawing_images_by_hand():
    truth, results = random_case(12, images=40, crowds=False)
    weaker = results.take(np.random.default_rng(0).random(len(results)) < 0.7)
    found = compare(truth, results, weaker, "bbox", resamples=2000)[0]
    rng = np.random.default_rng(1)
    differences = []
    for _ in range(150):
        drawn = rng.integers(0, len(truth.image_ids), len(truth.image_ids))
        differences.append(resampled_ap(truth, weaker, drawn) - resampled_ap(truth, results, drawn))
    low, high = np.percentile(differences, [2.5, 97.5])
    spread = high - low
    assert found.low == pytest.approx(low, abs=0.3 * spread)
    assert found.high == pytest.approx(high, abs=0.3 * spread)


def resampled_ap(truth, results, drawn):
    """AP of a data set made of the drawn images, copies under new ids."""
    objects = [np.flatnonzero(truth.image == i) for i in drawn]
    found = [np.flatnonzero(results.image == i) for i in drawn]
    bigger = truth.take(np.concatenate(objects))
    bigger.image = np.repeat(np.arange(len(drawn)), [len(o) for o in objects])
    more = results.take(np.concatenate(found))
    more.image = np.repeat(np.arange(len(drawn)), [len(f) for f in found])
    return coco.evaluate(replace(bigger), more, "bbox").average_precision() or 0.0


def test_the_whole_analysis_is_plain_json():
    truth, results = random_case(5)
    for kind in ("bbox", "segm"):
        made = analyze(truth, results, coco.evaluate(truth, results, kind), kind)
        content = json.loads(json.dumps(made.as_dict(truth), allow_nan=False))
        assert content["kind"] == kind
        assert len(content["worst"]) == len(truth.image_ids)
        assert ("AP" in content["boundary"]) == (kind == "segm")
    pairs = overlapping_pairs(truth, results, "segm")
    ordinary = precision(truth, results, match(truth, results, pairs))
    assert content["boundary"]["AP"] <= 100 * ordinary[ordinary > -1].mean() + 1e-9


def test_images_of_background_alone_are_analyzed():
    """Nothing is labeled, something was found: every figure is undefined, and nothing falls over."""
    truth, results = scene([], [(0, 0, [10, 10, 20, 20], 0.9), (0, 1, [50, 50, 9, 9], 0.4)])
    for kind in ("bbox", "segm"):
        scores = coco.evaluate(truth, results, kind)
        found = analyze(truth, results, scores, kind)
        assert json.dumps(found.as_dict(truth))
