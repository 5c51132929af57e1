"""The bitmask protocol: the official toolkit's published test case, a slow second implementation, and the mended faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bdd_inst.base.vocabulary import BDD100K_INS_SEG
from bdd_inst.evaluation import bdd, coco
from bdd_inst.evaluation.ground_truth import GroundTruthBuilder
from bdd_inst.evaluation.results import ResultsBuilder
from bdd_inst.masks import label_runs, run_lengths
from tests.evaluation.cases import SIDE, random_case


def rectangle(y1, y2, x1, x2, height=100, width=100):
    mask = np.zeros((height, width), bool)
    mask[y1:y2, x1:x2] = True
    return run_lengths.encode(mask)


def make(objects, found, images=1, size=(100, 100)):
    """objects: (image, class, mask, crowd, ignored); found: (image, class, mask, score)."""
    truth = GroundTruthBuilder(list(BDD100K_INS_SEG), list(range(1, 9)), "made up")
    results = ResultsBuilder()
    for i in range(images):
        truth.image(i + 1, f"{i}.png", *size)
        for _, k, mask, crowd, ignored in (o for o in objects if o[0] == i):
            truth.add(
                k,
                box=[0, 0, 1, 1],
                mask=mask,
                area=None,
                crowd=crowd,
                ignored=ignored,
                attributes={},
            )
        mine = [f for f in found if f[0] == i]
        results.add(
            i,
            np.array([f[1] for f in mine], int),
            np.array([f[3] for f in mine], float),
            None,
            [f[2] for f in mine],
        )
    return truth.build(), results.build()


def test_the_official_test_case():
    # The toolkit's own tests/eval/ins_seg_test.py: these rectangles, these scores, these figures.
    objects = [
        (0, 0, rectangle(0, 10, 0, 10), False, False),
        (0, 1, rectangle(20, 40, 10, 20), False, False),
        (0, 2, rectangle(20, 40, 20, 30), False, False),
        (0, 2, rectangle(40, 60, 10, 30), False, False),
        (0, 2, rectangle(40, 60, 30, 40), False, False),
        (0, 2, rectangle(60, 70, 50, 60), False, False),
    ]
    found = [
        (0, 0, rectangle(0, 10, 0, 10), 0.4),
        (0, 1, rectangle(20, 40, 10, 19), 0.9),
        (0, 2, rectangle(20, 40, 20, 27), 0.8),
        (0, 2, rectangle(40, 60, 10, 22), 0.9),
        (0, 2, rectangle(40, 60, 30, 35), 0.9),
        (0, 2, rectangle(60, 70, 50, 54), 0.9),
    ]
    figures = bdd.evaluate(*make(objects, found)).figures()
    expected = {
        "AP": 68.60561056105611, "AP50": 89.68646864686468, "AP75": 66.66666666666666, "APs": 68.60561056105611, "APm": None, "APl": None,
        "AR1": 65.83333333333333, "AR10": 70.83333333333334, "AR100": 70.83333333333334, "ARs": 70.83333333333334, "ARm": None,
        "ARl": None, "AP-pedestrian": 100.0, "AP-rider": 90.0, "AP-car": 15.816831683168317, "AP-truck": None, "AP-bicycle": None,
    }  # fmt: skip
    for name, value in expected.items():
        assert figures[name] == (None if value is None else pytest.approx(value, abs=1e-9)), name


def slow_precision(truth, results, official_crowds):
    """The protocol pixel by pixel and loop by loop, for areas ``all`` and up to 100 detections: T,R,K."""
    out = np.full((10, 101, len(truth.class_names)), -1.0)
    masks = [run_lengths.decode(m) for m in truth.masks]
    for k in range(len(truth.class_names)):
        for t, threshold in enumerate(np.linspace(0.5, 0.95, 10)):
            rows, wanted = [], 0
            for i in range(len(truth.image_ids)):
                layer = np.zeros(
                    (SIDE, SIDE), int
                )  # ground truth: later objects paint over earlier ones
                for n in np.flatnonzero(truth.image == i):
                    layer[masks[n]] = n + 1
                mine = sorted(np.flatnonzero(results.image == i), key=lambda n: -results.scores[n])
                top = np.zeros((SIDE, SIDE), int)
                for n in sorted(mine, key=lambda n: (results.scores[n], n)):
                    top[run_lengths.decode(results.masks[n])] = n + 1
                objects = [
                    n
                    for n in np.flatnonzero((truth.image == i) & (truth.category == k))
                    if (layer == n + 1).any()
                ]
                excused = {
                    n: truth.ignored[n] or (truth.crowd[n] and not official_crowds) for n in objects
                }
                wanted += sum(not excused[n] for n in objects)
                taken = set()
                for d in mine:
                    area = top == d + 1
                    if results.category[d] != k or not area.any():
                        continue
                    ious = {
                        n: (area & (layer == n + 1)).sum() / (area | (layer == n + 1)).sum()
                        for n in objects
                        if n not in taken
                    }
                    best = max(ious, key=ious.get, default=None)
                    if best is None or ious[best] < threshold:
                        rows.append((results.scores[d], False))
                        continue
                    if not truth.crowd[best]:
                        taken.add(best)
                    if not excused[best]:
                        rows.append((results.scores[d], True))
            if wanted:
                out[t, :, k] = interpolated(rows, wanted)
    return out


def interpolated(rows, wanted):
    """Precision at 101 recalls of (score, hit) rows, best score first."""
    rows = sorted(rows, key=lambda row: -row[0])
    hits = np.cumsum([hit for _, hit in rows]) if rows else np.zeros(0)
    precision, recall = hits / np.arange(1, len(rows) + 1), hits / wanted
    return [
        max((p for p, r in zip(precision, recall) if r >= point), default=0.0)
        for point in np.linspace(0, 1, 101)
    ]


@pytest.mark.parametrize("official_crowds", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_a_slow_second_implementation(seed, official_crowds):
    truth, results = random_case(seed, images=3, detections=8)
    truth.ignored = np.random.default_rng(seed).random(len(truth)) < 0.2
    fast = bdd.evaluate(truth, results, official_crowds=official_crowds).precision[..., 0, -1]
    np.testing.assert_allclose(fast, slow_precision(truth, results, official_crowds), atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_without_overlaps_or_crowds_it_is_cocos_protocol(seed):
    truth, results = random_case(seed, crowds=False)
    for i in range(len(truth.image_ids)):
        own = np.flatnonzero(truth.image == i)
        for n, mask in zip(
            own, label_runs.resolve_overlaps([truth.masks[n] for n in own]), strict=True
        ):
            truth.masks[n], truth.area[n] = mask, run_lengths.area(mask)
    truth = truth.take(truth.area > 0)
    disjoint, _ = bdd.without_overlaps(truth, results)
    ours, theirs = bdd.evaluate(truth, disjoint), coco.evaluate(truth, disjoint, "segm")
    # Of disjoint masks at most one reaches IoU 0.5, so the rules of choice cannot differ.
    np.testing.assert_array_equal(ours.precision, theirs.precision)
    np.testing.assert_array_equal(ours.recall, theirs.recall)


def test_overlaps_cost_the_lower_score_its_pixels():
    objects = [(0, 2, rectangle(0, 40, 0, 40), False, False)]
    found = [(0, 2, rectangle(0, 40, 0, 40), 0.5), (0, 2, rectangle(0, 40, 20, 60), 0.9)]
    truth, results = make(objects, found)
    resolved, changed = bdd.without_overlaps(truth, results)
    assert changed == 1
    assert [run_lengths.area(m) for m in resolved.masks] == [800, 1600]
    assert coco.evaluate(truth, replace(results), "segm").figures()["AP50"] == pytest.approx(50.0)
    assert bdd.evaluate(truth, results).figures()["AP50"] == pytest.approx(
        50.0
    )  # IoU is 0.5 exactly, which counts
    assert bdd.evaluate(truth, results).figures()["AP75"] == 0.0


def test_a_mask_painted_over_wholly_is_gone():
    objects = [(0, 2, rectangle(0, 40, 0, 40), False, False)]
    found = [
        (0, 2, rectangle(10, 20, 10, 20), 0.5),
        (0, 0, rectangle(0, 40, 0, 40), 0.9),
        (0, 2, rectangle(0, 40, 0, 40), 0.9),
    ]
    truth, results = make(objects, found)
    resolved, _ = bdd.without_overlaps(truth, results)
    assert resolved.category.tolist() == [
        2
    ]  # among equals the later stays on top, as the official converter paints


def test_more_than_a_hundred_and_more_than_255_objects():
    cells = [
        (0, 2, rectangle(4 * r, 4 * r + 3, 4 * c, 4 * c + 3), False, False)
        for r in range(25)
        for c in range(25)
    ]
    found = [(0, 2, cell[2], 0.9) for cell in cells]
    truth, results = make(cells, found)
    scores = bdd.evaluate(truth, results)
    assert scores.figures()["AR100"] == pytest.approx(100 * 100 / 625)


def test_crowds_are_ignored_unless_the_official_way_is_asked_for():
    objects = [
        (0, 2, rectangle(0, 40, 0, 40), True, False),
        (0, 2, rectangle(50, 60, 0, 10), False, False),
    ]
    found = [(0, 2, rectangle(0, 40, 0, 40), 0.9), (0, 2, rectangle(50, 60, 0, 10), 0.8)]
    truth, results = make(objects, found)
    assert bdd.evaluate(truth, results).figures()["AP-car"] == pytest.approx(100)
    crowd_only = results.take(np.array([0]))
    assert bdd.evaluate(truth, crowd_only).figures()["AP-car"] == 0.0
    assert bdd.evaluate(truth, crowd_only, official_crowds=True).figures()[
        "AR100"
    ] == pytest.approx(50)
