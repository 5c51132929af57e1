"""Panoptic quality against a second implementation, which compares segments one by one by either rule; the evaluator."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bdd_inst.datasets.panoptic_classes import PanopticClasses
from bdd_inst.evaluation.panoptic import figures, image_counts
from bdd_inst.evaluation.panoptic_evaluator import PanopticEvaluator
from bdd_inst.masks import run_lengths
from bdd_inst.structures import Boxes, BoxMode, Instances, RLEMasks

CLASSES = PanopticClasses(("car", "person"), ("road", "sky", "tree"))


def random_case(seed: int, crowds: bool = True):
    """A true map of blobs, and a prediction that is the same one moved, merged and renamed in places."""
    rng = np.random.default_rng(seed)

    def draw(number):
        ids, segments = np.zeros((24, 30), np.int32), []
        for _ in range(number):
            y, x, h, w = *rng.integers(0, 20, 2), *rng.integers(3, 14, 2)
            name = int(rng.integers(1, 900))
            while any(s["id"] == name for s in segments):
                name += 1
            isthing = bool(rng.random() < 0.5)
            label = int(rng.integers(0, 2)) if isthing else int(rng.integers(1, 4))
            ids[y : y + h, x : x + w] = name
            crowd = int(crowds and isthing and rng.random() < 0.25)
            segments.append(
                {"id": name, "category_id": label, "isthing": isthing, "iscrowd": crowd}
            )
        return ids, [s for s in segments if (ids == s["id"]).any()]

    truth = draw(int(rng.integers(1, 9)))
    ids, segments = truth[0].copy(), [dict(s, iscrowd=0) for s in truth[1]]
    ids = np.roll(ids, rng.integers(-2, 3, 2), (0, 1))
    for segment in segments:
        if rng.random() < 0.2:
            segment["isthing"], segment["category_id"] = True, int(rng.integers(0, 2))
    extra, more = draw(3)
    ids = np.where((extra > 0) & (rng.random(ids.shape) < 0.7), extra + 2000, ids)
    segments += [dict(s, id=s["id"] + 2000, iscrowd=0) for s in more]
    return truth, (ids, [s for s in segments if (ids == s["id"]).any()])


def one_by_one(truth, predicted, rule):
    """The rules as sentences, over masks."""
    counts = np.zeros((len(CLASSES.names), 4))
    ids, segments = truth
    known = np.isin(ids, [s["id"] for s in segments])
    ids = np.where(known, ids, 0)
    free = ids == 0
    masks = [(s, ids == s["id"]) for s in segments]
    found = [(s, predicted[0] == s["id"]) for s in predicted[1]]
    hit_true, hit_pred = set(), set()
    for i, (t, tm) in enumerate(masks):
        for j, (p, pm) in enumerate(found):
            if t["iscrowd"] or CLASSES.number(t) != CLASSES.number(p):
                continue
            both = (tm & pm).sum()
            union = (tm | pm).sum() - ((free & pm).sum() if rule == "coco" else 0)
            if both / union > 0.5:
                counts[CLASSES.number(t), :2] += both / union, 1
                hit_true.add(i)
                hit_pred.add(j)
    for i, (t, _) in enumerate(masks):
        if i not in hit_true and not t["iscrowd"]:
            counts[CLASSES.number(t), 3] += 1
    for j, (p, pm) in enumerate(found):
        if j in hit_pred:
            continue
        crowds = [m for t, m in masks if t["iscrowd"] and CLASSES.number(t) == CLASSES.number(p)]
        excuse = free | crowds[-1] if crowds else free
        if rule == "bdd":
            excuse = ~np.any([m for t, m in masks if not t["iscrowd"]] or [free & False], axis=0)
        if (excuse & pm).sum() / pm.sum() <= 0.5:
            counts[CLASSES.number(p), 2] += 1
    return counts


@pytest.mark.parametrize("rule", ["coco", "bdd"])
def test_counts_equal_segments_compared_one_by_one(rule):
    total = 0
    for seed in range(120):
        truth, predicted = random_case(seed)
        got = image_counts(truth, predicted, CLASSES, rule)
        np.testing.assert_allclose(got, one_by_one(truth, predicted, rule), rtol=1e-12)
        total += got
    assert (total.sum(axis=0)[1:] > 20).all()


def test_undefined_figures_are_none_and_in_no_mean():
    ids = np.ones((4, 4), np.int32)
    road = [{"id": 1, "category_id": 1, "isthing": False, "iscrowd": 0}]
    found = figures(image_counts((ids, road), (ids, road), CLASSES), CLASSES)
    assert found["PQ"] == found["PQ_st"] == found["PQ-road"] == 100
    assert found["PQ_th"] is found["PQ-car"] is None
    nothing = figures(image_counts((ids, road), (ids * 0, []), CLASSES), CLASSES)
    assert nothing["PQ"] == nothing["SQ"] == nothing["RQ"] == 0


def record(image_id):
    ids = np.zeros((10, 12), bool)
    road, car = ids.copy(), ids.copy()
    road[5:], car[2:5, 2:6] = True, True
    return {
        "file_name": f"{image_id}.jpg",
        "image_id": image_id,
        "height": 10,
        "width": 12,
        "annotations": [
            {
                "bbox": [2.0, 2.0, 6.0, 5.0],
                "bbox_mode": BoxMode.XYXY_ABS,
                "category_id": 0,
                "iscrowd": 0,
                "segmentation": run_lengths.encode(car),
            }
        ],
        "segments_info": [
            {
                "id": 1,
                "category_id": 1,
                "isthing": False,
                "iscrowd": 0,
                "segmentation": run_lengths.encode(road),
            }
        ],
    }


@pytest.mark.parametrize("protocol", ["coco", "bdd", "both"])
def test_the_evaluator_scores_objects_and_segments(protocol, tmp_path):
    meta = {"thing_classes": list(CLASSES.things), "stuff_classes": ["things", *CLASSES.stuff]}
    dicts = [record(1), record(2)]
    evaluator = PanopticEvaluator(dicts, meta, protocol, tmp_path)
    car = dicts[0]["annotations"][0]["segmentation"]
    instances = Instances(
        (10, 12),
        pred_boxes=Boxes(torch.tensor([[2.0, 2.0, 6.0, 5.0]])),
        scores=torch.tensor([0.9]),
        pred_classes=torch.tensor([0]),
        pred_masks=RLEMasks([car], (10, 12)),
    )
    ids = torch.zeros(10, 12, dtype=torch.int32)
    ids[5:], ids[2:5, 2:6] = 2, 1
    segments = [
        {"id": 1, "isthing": True, "category_id": 0, "score": 0.9, "instance_id": 0},
        {"id": 2, "isthing": False, "category_id": 1, "area": 60},
        {"id": 3, "isthing": False, "category_id": 2, "area": 0},
    ]
    evaluator.process(dicts[:1], [{"instances": instances, "panoptic_seg": (ids, segments)}])
    metrics = evaluator.evaluate()
    block = metrics["panoptic_seg"]
    # The second image was never predicted: both its segments are missed.
    assert block["PQ"] == block["PQ_th"] == block["PQ-road"] == pytest.approx(200 / 3)
    assert block["SQ"] == 100
    assert block["counts"]["car"] == {"hits": 1, "false": 0, "missed": 1}
    assert metrics["segm"]["AP"] is not None
    if protocol == "both":
        assert metrics["bdd"]["panoptic_seg"]["PQ"] == block["PQ"]
    assert '"PQ"' in (tmp_path / "metrics.json").read_text()
