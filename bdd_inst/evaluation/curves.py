"""Precision over recall, by class and IoU threshold, and the score threshold where F1 is best."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bdd_inst.evaluation.coco import CocoScores

MEAN = "all classes"
# Of a table of curves: 80 classes with boxes and masks have 163,000, some 8 MB.
MOST_ROWS = 200_000


@dataclass(frozen=True)
class Curve:
    """One PR curve on COCO's 101 recall points: ``recall``, ``precision``, ``scores`` each R; ``average`` its mean precision in percent."""

    kind: str
    name: str
    iou: float
    recall: np.ndarray
    precision: np.ndarray
    scores: np.ndarray

    @property
    def average(self) -> float:
        """AP at this IoU threshold, percent."""
        return float(self.precision.mean()) * 100


@dataclass(frozen=True)
class BestThreshold:
    """Where F1 = 2PR/(P+R) is highest on a curve; all as fractions, ``score`` is the threshold to use."""

    name: str
    score: float
    f1: float
    precision: float
    recall: float


def pr_curves(scores: CocoScores, kind: str) -> list[Curve]:
    """Every class (and the mean over classes that have objects) at every IoU threshold, areas ``all``, the last detection limit.

    Args:
        scores: precision arrays of one evaluation.
        kind: ``bbox`` or ``segm``, for the curves' names.

    Returns:
        one a class and threshold, the mean of all classes first.
    """
    precision, score = scores.precision[..., 0, -1], scores.scores[..., 0, -1]
    out = []
    for t, iou in enumerate(scores.iou_thresholds):
        # A class without objects has no curve, and is not in the mean.
        known = [k for k in range(len(scores.class_names)) if (precision[t, :, k] > -1).all()]
        if known:
            mean = precision[t][:, known].mean(axis=1)
            out.append(
                Curve(
                    kind,
                    name=MEAN,
                    iou=float(iou),
                    recall=scores.recall_points,
                    precision=mean,
                    scores=np.full_like(mean, np.nan),
                )
            )
        out += [
            Curve(
                kind,
                name=scores.class_names[k],
                iou=float(iou),
                recall=scores.recall_points,
                precision=precision[t, :, k],
                scores=score[t, :, k],
            )
            for k in known
        ]
    return out


def best_thresholds(curves: list[Curve], iou: float = 0.5) -> list[BestThreshold]:
    """The F1-best score threshold of each class at one IoU threshold; classes that are never found get threshold 1."""
    out = []
    for curve in curves:
        if curve.name == MEAN or not np.isclose(curve.iou, iou):
            continue
        total = curve.precision + curve.recall
        f1 = np.divide(
            2 * curve.precision * curve.recall, total, out=np.zeros_like(total), where=total > 0
        )
        best = int(f1.argmax())
        found = f1[best] > 0
        out.append(
            BestThreshold(
                curve.name,
                score=float(curve.scores[best]) if found else 1.0,
                f1=float(f1[best]),
                precision=float(curve.precision[best]) if found else 0.0,
                recall=float(curve.recall[best]) if found else 0.0,
            )
        )
    return out


def fitted(curves: list[Curve]) -> tuple[list[Curve], int]:
    """What a table of at most MOST_ROWS rows has room for: of many classes fewer IoU thresholds, then fewer recall points.

    Args:
        curves: of every class and threshold.

    Returns:
        The curves to write, the means at every threshold among them, and the step from one recall point to the next.
    """
    for wanted in ((), (0.5, 0.75), (0.5,)):
        kept = [
            c for c in curves if c.name == MEAN or not wanted or np.isclose(c.iou, wanted).any()
        ]
        rows = sum(len(c.recall) for c in kept)
        if rows <= MOST_ROWS:
            return kept, 1
    return kept, next((step for step in (2, 5, 10, 20, 50) if rows <= step * MOST_ROWS), 100)


def csv_rows(curves: list[Curve]) -> Iterator[tuple]:
    """``kind, class, iou, recall, precision, score`` with a header row first; score is empty where the curve has no detection.

    Of hundreds of classes not every threshold and recall point: see :func:`fitted`.
    """
    yield ("kind", "class", "iou", "recall", "precision", "score")
    curves, step = fitted(curves)
    for curve in curves:
        for recall, precision, score in zip(
            curve.recall[::step], curve.precision[::step], curve.scores[::step], strict=True
        ):
            shown = f"{score:.6g}" if np.isfinite(score) and precision > 0 else ""
            yield (
                curve.kind,
                curve.name,
                f"{curve.iou:.2f}",
                f"{recall:.2f}",
                f"{precision:.6f}",
                shown,
            )
