"""The confusion matrix of detections, background included, at one score threshold; its diagonal agrees with precision and recall.

Detections at or above the threshold are first matched within their class, as the protocol does at IoU 0.5; what is left over on both
sides is then paired across classes, highest IoU first. So a class' row sum is its objects, its column sum its detections, and the
diagonal its true positives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.matching import Pairs, match
from bdd_inst.evaluation.results import Results

# Classes, background included, up to which a file holds the whole matrix, and the cells that it holds of a larger one.
WHOLE, CELLS = 101, 20_000


@dataclass(frozen=True)
class Confusion:
    """``matrix`` K+1,K+1 int64: rows the truth, columns the prediction, background last. ``partner`` D and ``verdict`` D (``right``,
    ``confused``, ``false``, ``ignored``, or empty below the threshold), ``missed`` M bool (not paired with anything)."""

    matrix: np.ndarray
    threshold: float
    iou: float
    partner: np.ndarray
    verdict: np.ndarray
    missed: np.ndarray


def confusion(
    truth: GroundTruth, results: Results, pairs: Pairs, threshold: float, iou: float = 0.5
) -> Confusion:
    """Pair detections of a score of at least ``threshold`` with objects.

    Args:
        truth, results: what was scored.
        pairs: their overlaps.
        threshold: of the score.
        iou: overlap from which on two belong together, whatever their classes.

    Returns:
        the table of classes, and the verdict on every detection and object.
    """
    shown = results.scores >= threshold
    kept = pairs.take(shown[pairs.found])
    rows = np.flatnonzero(shown)
    # Matching sees only what is shown, so that a hidden detection takes nothing away.
    place = np.full(len(results), -1)
    place[rows] = np.arange(len(rows))
    few = results.take(rows)
    matches = match(truth, few, Pairs(place[kept.found], kept.object, kept.iou), [iou])
    partner, verdict = np.full(len(results), -1), np.full(len(results), "", dtype="<U8")
    partner[rows] = matches.partner[0]
    verdict[rows] = np.where(matches.out[0], "ignored", np.where(matches.hit[0], "right", "false"))
    # What the protocol has paired stays: a pair across classes may not take an object from one of its own class.
    free = ~matches.found[0] & ~matches.ignored
    order = np.argsort(-kept.iou, kind="stable")
    for n in order[kept.iou[order] >= iou].tolist():
        d, g = int(kept.found[n]), int(kept.object[n])
        if verdict[d] == "false" and free[g]:
            partner[d], verdict[d], free[g] = g, "confused", False
    return Confusion(
        count(truth, results, partner=partner, verdict=verdict, missed=free),
        threshold=threshold,
        iou=iou,
        partner=partner,
        verdict=verdict,
        missed=free,
    )


def count(
    truth: GroundTruth,
    results: Results,
    partner: np.ndarray,
    verdict: np.ndarray,
    missed: np.ndarray,
) -> np.ndarray:
    """The matrix K+1,K+1 int64 of paired and unpaired objects and detections; the last row and column are those without partner."""
    k = len(truth.class_names)
    matrix = np.zeros((k + 1, k + 1), np.int64)
    paired = np.isin(verdict, ("right", "confused"))
    # Unlike ``+=``, this counts a cell as often as it is named.
    np.add.at(matrix, (truth.category[partner[paired]], results.category[paired]), 1)
    np.add.at(
        matrix,
        (np.full(int((verdict == "false").sum()), k), results.category[verdict == "false"]),
        1,
    )
    np.add.at(matrix, (truth.category[missed], np.full(int(missed.sum()), k)), 1)
    return matrix


def matrix_content(matrix: np.ndarray, key: str = "matrix") -> dict:
    """A confusion matrix for a file: whole, or of many classes its fullest cells, for most of a large one is nothing.

    Args:
        matrix: N,N int64 counts, rows the truth.
        key: what a whole one is called.

    Returns:
        ``key``, N lists of N; or ``cells``, lists of row, column and count, the largest first, and ``left_out``, the sum of the others.
    """
    if len(matrix) <= WHOLE:
        return {key: matrix.tolist()}
    rows, columns = np.nonzero(matrix)
    counts = matrix[rows, columns]
    order = np.argsort(-counts, kind="stable")[:CELLS]
    cells = np.stack([rows, columns, counts], axis=1)[order]
    return {"cells": cells.tolist(), "left_out": int(counts.sum() - cells[:, 2].sum())}


def matrix_from(content: dict, number: int, key: str = "matrix") -> np.ndarray:
    """What :func:`matrix_content` has made of a matrix, as a matrix again; cells that it left out are 0.

    Args:
        content: of a file.
        number: N, its rows.
        key: what a whole one is called.

    Returns:
        N,N int64.
    """
    if key in content:
        return np.asarray(content[key], np.int64).reshape(number, number)
    matrix = np.zeros((number, number), np.int64)
    rows, columns, counts = np.asarray(content["cells"], np.int64).reshape(-1, 3).T
    matrix[rows, columns] = counts
    return matrix
