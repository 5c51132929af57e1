"""Panoptic quality (Kirillov et al., CVPR 2019) of segments, by COCO's rules or by BDD100K's.

A predicted segment is a hit where its IoU with a true one of its class is above one half; SQ is the mean IoU of hits, RQ their F1, PQ the
product. Under ``coco`` (panopticapi) unlabeled pixels leave the union, crowds are neither found nor missed, and a false segment counts
only where no more than half of it is unlabeled or a crowd of its class. Under ``bdd`` (the official toolkit) the union keeps those
pixels, and a false segment counts only where at least half of it lies on true segments that are no crowds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bdd_inst.datasets.panoptic_classes import PanopticClasses

IOU, HITS, FALSE, MISSED = range(4)
RULES = ("coco", "bdd")


def image_counts(
    truth: tuple[np.ndarray, Sequence[Mapping]],
    predicted: tuple[np.ndarray, Sequence[Mapping]],
    classes: PanopticClasses,
    rule: str = "coco",
) -> np.ndarray:
    """One image's sums, K,4 float64: IoU of the hits, hits, false segments, missed ones, a row a class.

    Args:
        truth: H,W ids, 0 where nobody labeled, and segments (``id``, ``category_id``, ``isthing``, ``iscrowd``).
        predicted: likewise, without crowds. Segments without a pixel do not count.
    """
    true_ids, true_class, crowd = _columns(*truth, classes)
    ids, pred_class, _ = _columns(*predicted, classes)
    shared = np.bincount(
        true_ids.ravel().astype(np.int64) * len(pred_class) + ids.ravel(),
        minlength=len(true_class) * len(pred_class),
    ).reshape(len(true_class), len(pred_class))
    true_area, area = shared.sum(axis=1), shared.sum(axis=0)
    union = true_area[:, None] + area - shared
    if rule == "coco":
        # Row 0 is what nobody labeled: panopticapi takes these pixels out of the predicted segment.
        union = union - shared[0]
    same = (true_class[:, None] == pred_class) & ~crowd[:, None]
    same[0], same[:, 0] = False, False
    iou = np.divide(shared, union, out=np.zeros(shared.shape), where=same & (union > 0))
    out = np.zeros((len(classes.names), 4))
    # Above one half, and with segments that do not overlap, a segment can have one partner only: no search.
    hits = np.argwhere(iou > 0.5)
    for t, p in hits.tolist():
        out[true_class[t], IOU] += iou[t, p]
        out[true_class[t], HITS] += 1
    missed = np.ones(len(true_class), bool)
    missed[hits[:, 0]] = False
    missed[0] = False
    # ``+=`` with an index would count a class once however many of its segments were missed.
    np.add.at(out[:, MISSED], true_class[missed & ~crowd], 1)
    false = area > 0
    false[hits[:, 1]] = False
    false[0] = False
    false &= ~_over_ignored(shared, true_class, pred_class=pred_class, crowd=crowd, rule=rule)
    np.add.at(out[:, FALSE], pred_class[false], 1)
    return out


def _over_ignored(
    shared: np.ndarray, true_class: np.ndarray, pred_class: np.ndarray, crowd: np.ndarray, rule: str
) -> np.ndarray:
    """P bool: predicted segments that are not false though they hit nothing, for where they lie."""
    area = np.maximum(shared.sum(axis=0), 1)
    if rule == "bdd":
        counted = shared[1:][~crowd[1:]].sum(axis=0)
        return 1 - counted / area > 0.5
    # Of several crowds of a class in one image the last counts, as in panopticapi.
    last = {int(true_class[t]): t for t in np.flatnonzero(crowd)}
    unknown = shared[0].copy()
    for p, label in enumerate(pred_class.tolist()):
        if label in last:
            unknown[p] += shared[last[label], p]
    return unknown / area > 0.5


def _columns(
    ids: np.ndarray, segments: Sequence[Mapping], classes: PanopticClasses
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids renumbered 0 (none), 1, 2, ... in the order of ``segments``; the class and crowd flag of each, place 0 for none."""
    known = np.array([segment["id"] for segment in segments], np.int64)
    # Ids of files are any numbers up to 2^24: renumbered, every pair has a place in a small table.
    table = np.zeros(max(int(ids.max(initial=0)), int(known.max(initial=0))) + 1, np.int32)
    table[known] = np.arange(1, len(known) + 1)
    label = np.array([-1, *(classes.number(segment) for segment in segments)], np.int64)
    crowd = np.array([False, *(bool(segment.get("iscrowd", 0)) for segment in segments)])
    return table[ids], label, crowd


def figures(counts: np.ndarray, classes: PanopticClasses) -> dict[str, float | None]:
    """``PQ``, ``SQ``, ``RQ`` over all classes that occur, of things (``_th``), of stuff (``_st``) and of each class, percent.

    Args:
        counts: K,4 float64, sums over all images. A class without any segment, true or predicted, is undefined (None) and in no mean.
    """
    iou, hits, false, missed = counts.T
    occurs = hits + false + missed > 0
    # PQ = sum of IoU / (hits + false/2 + missed/2): each error counts half, as in F1.
    half = np.where(occurs, hits + 0.5 * false + 0.5 * missed, 1.0)
    values = {
        "PQ": iou / half,
        "SQ": iou / np.maximum(hits, 1),
        "RQ": hits / half,
    }
    thing = np.arange(len(counts)) < len(classes.things)
    out: dict[str, float | None] = {}
    for suffix, chosen in (("", occurs), ("_th", occurs & thing), ("_st", occurs & ~thing)):
        for name, per_class in values.items():
            out[name + suffix] = 100 * float(per_class[chosen].mean()) if chosen.any() else None
    for name, per_class in values.items():
        for label, value, there in zip(classes.names, per_class.tolist(), occurs, strict=True):
            out[f"{name}-{label}"] = 100 * value if there else None
    return out


def report(counts: np.ndarray, classes: PanopticClasses) -> dict:
    """The ``panoptic_seg`` block of ``metrics.json``: figures, and what was counted in each class (``counts`` K,4 float64: sum of IoU, hits, false, missed)."""
    names = ("hits", "false", "missed")
    rows = {
        label: dict(zip(names, map(int, row[1:]), strict=True))
        for label, row in zip(classes.names, counts.tolist(), strict=True)
    }
    return figures(counts, classes) | {"things": list(classes.things), "counts": rows}
