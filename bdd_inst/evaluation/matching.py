"""Which detection found which object: every overlapping pair of a data set in one table, and COCO's matching on it.

The figures come from :mod:`coco`; this table is for their reasons - errors, confusions, slices, worst images - and gives the same
precision as pycocotools where it is asked for the same thing (tested).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pycocotools.mask as coco_mask

from bdd_inst.evaluation.accumulate import accumulate
from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.results import Results, group

THRESHOLDS = np.linspace(0.5, 0.95, 10)
LEAST = 0.05  # pairs that overlap less are of no interest to any analysis


@dataclass
class Pairs:
    """P overlapping pairs, of any classes: ``found`` and ``object`` positions, ``iou`` (of crowds: the share of the detection inside)."""

    found: np.ndarray
    object: np.ndarray
    iou: np.ndarray

    def take(self, keep: np.ndarray) -> Pairs:
        """Only the pairs of ``keep``, P bool or indices."""
        return Pairs(self.found[keep], self.object[keep], self.iou[keep])


@dataclass
class Matches:
    """What matching decided, T thresholds, D detections, M objects.

    Attributes:
        counted: D bool: within the detection limit of its image and class.
        hit: T,D bool; out: T,D bool: neither right nor wrong.
        partner: T,D int64: the object matched, -1 for none.
        found: T,M bool.
        ignored: M bool: not among the objects to find.
    """

    thresholds: np.ndarray
    counted: np.ndarray
    hit: np.ndarray
    out: np.ndarray
    partner: np.ndarray
    found: np.ndarray
    ignored: np.ndarray


def overlapping_pairs(truth: GroundTruth, results: Results, kind: str) -> Pairs:
    """All pairs of one image that overlap by at least ``LEAST``, classes aside. ``kind``: ``bbox`` or ``segm``."""
    crowd = (truth.crowd | truth.ignored).astype(np.uint8)
    parts: list[tuple] = []
    for own, mine in zip(
        group(truth.image, len(truth.image_ids)),
        group(results.image, len(truth.image_ids)),
        strict=True,
    ):
        own = (
            own
            if kind == "bbox"
            else np.array([n for n in own if truth.masks[n] is not None], np.int64)
        )
        if not len(own) or not len(mine):
            continue
        if kind == "bbox":
            ious = coco_mask.iou(results.boxes[mine], truth.boxes[own], crowd[own])
        else:
            ious = coco_mask.iou(
                [bytes_rle(results.masks[n]) for n in mine], [truth.rle(n) for n in own], crowd[own]
            )
        # Few pairs of an image meet at all: kept sparse, those of a whole data set fit into memory.
        rows, columns = np.nonzero(ious >= LEAST)
        parts.append((mine[rows], own[columns], ious[rows, columns]))
    if not parts:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def bytes_rle(rle: dict) -> dict:
    """An RLE as pycocotools wants it."""
    counts = rle["counts"]
    return {
        "size": rle["size"],
        "counts": counts.encode("ascii") if isinstance(counts, str) else counts,
    }


def match(
    truth: GroundTruth,
    results: Results,
    pairs: Pairs,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    ignored: np.ndarray | None = None,
    max_detections: int = 100,
) -> Matches:
    """COCO's matching within each class, for objects of every size.

    Args:
        ignored: M bool: objects that count neither way beside crowds (each excuses one detection).
    """
    thresholds = np.asarray(thresholds, float)
    crowd = truth.crowd | truth.ignored
    aside = crowd if ignored is None else crowd | ignored
    rank = ranks(results)
    # COCO's limit holds for each image and class.
    counted = rank < max_detections
    same = pairs.take(
        (results.category[pairs.found] == truth.category[pairs.object]) & counted[pairs.found]
    )
    # pycocotools' own limit: a threshold of 1 still lets equal masks match in spite of rounding.
    same = same.take(same.iou >= min(thresholds.min(), 1 - 1e-10) - 1e-12)
    # Detections in the order in which they choose; of each, objects that count before those that do not, then file order.
    order = np.lexsort((same.object, aside[same.object], same.found, rank[same.found]))
    same = same.take(order)
    d, m, t = len(results), len(truth), len(thresholds)
    out = Matches(
        thresholds,
        counted=counted,
        hit=np.zeros((t, d), bool),
        out=np.zeros((t, d), bool),
        partner=np.full((t, d), -1),
        found=np.zeros((t, m), bool),
        ignored=aside,
    )
    starts = np.flatnonzero(np.diff(same.found, prepend=-1))
    bounds = list(zip(starts.tolist(), [*starts[1:].tolist(), len(same.found)]))
    objects, ious, found = same.object.tolist(), same.iou.tolist(), same.found.tolist()
    for row, threshold in enumerate(thresholds.tolist()):
        choose(
            row,
            min(threshold, 1 - 1e-10),
            bounds=bounds,
            found=found,
            objects=objects,
            ious=ious,
            aside=aside.tolist(),
            crowd=crowd.tolist(),
            out=out,
        )
    return out


def choose(
    row: int,
    threshold: float,
    *,
    bounds: list,
    found: list,
    objects: list,
    ious: list,
    aside: list,
    crowd: list,
    out: Matches,
) -> None:
    """One threshold of :func:`match`: each detection takes the best free object; one that counts is preferred to one that does not."""
    taken: set[int] = set()
    for start, end in bounds:
        best, partner = threshold, -1
        for n in range(start, end):
            candidate = objects[n]
            if candidate in taken and not crowd[candidate]:
                continue
            # From here on there are only objects that do not count: a detection that has one that does keeps it.
            if partner >= 0 and not aside[partner] and aside[candidate]:
                break
            # Of equal overlaps the later object is taken, as in COCO's code.
            if ious[n] >= best:
                best, partner = ious[n], candidate
        if partner >= 0:
            taken.add(partner)
            detection = found[start]
            out.hit[row, detection], out.out[row, detection] = True, aside[partner]
            out.partner[row, detection], out.found[row, partner] = partner, True


def ranks(results: Results) -> np.ndarray:
    """D int64: a detection's place among those of its image and class, best score first, ties in file order."""
    # The last key sorts first: by image, by class, by falling score, then as in the file.
    order = np.lexsort((np.arange(len(results)), -results.scores, results.category, results.image))
    key = np.stack([results.image[order], results.category[order]])
    fresh = np.ones(len(order), bool)
    fresh[1:] = (key[:, 1:] != key[:, :-1]).any(axis=0)
    starts = np.flatnonzero(fresh)
    place = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    out = np.empty(len(order), np.int64)
    out[order] = place
    return out


def precision(
    truth: GroundTruth, results: Results, matches: Matches, images: np.ndarray | None = None
) -> np.ndarray:
    """T,R,K precision from matches, -1 where a class has no object; ``images`` (N bool) restricts it to some of them."""
    # Image by image, best score first: the order in which COCO's code joins them, which decides among equal scores.
    order = np.lexsort((ranks(results), results.image))
    kept = matches.counted[order] & (True if images is None else images[results.image[order]])
    order = order[kept]
    classes = len(truth.class_names)
    out = np.full((len(matches.thresholds), 101, classes), -1.0)
    wanted = ~matches.ignored & (True if images is None else images[truth.image])
    for k in range(classes):
        number = int((wanted & (truth.category == k)).sum())
        if number:
            mine = order[results.category[order] == k]
            out[:, :, k] = accumulate(
                results.scores[mine], matches.hit[:, mine], matches.out[:, mine], number
            )[0]
    return out


def recall(truth: GroundTruth, matches: Matches, images: np.ndarray | None = None) -> np.ndarray:
    """T,K float64 share of the objects that were found, -1 where a class has none."""
    wanted = ~matches.ignored & (True if images is None else images[truth.image])
    out = np.full((len(matches.thresholds), len(truth.class_names)), -1.0)
    for k in range(out.shape[1]):
        own = wanted & (truth.category == k)
        if own.any():
            out[:, k] = matches.found[:, own].mean(axis=1)
    return out
