"""The reasons behind the figures in one call: thresholds, errors, confusions, calibration, slices, boundary AP, worst images."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np

from bdd_inst.evaluation import boundary, curves, tide, worst
from bdd_inst.evaluation.calibration import Calibration, calibration
from bdd_inst.evaluation.coco import CocoScores
from bdd_inst.evaluation.confusion import Confusion, confusion, matrix_content
from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.matching import Pairs, match, overlapping_pairs, precision
from bdd_inst.evaluation.results import Results
from bdd_inst.evaluation.slices import Slice, percent, slices


@dataclass
class Analysis:
    """What :func:`analyze` finds for one kind (``bbox`` or ``segm``); everything in percent where it is a figure."""

    kind: str
    threshold: float
    pairs: Pairs
    confusion: Confusion
    errors: dict[str, float]
    error_counts: dict[str, int]
    calibration: Calibration
    best: list[curves.BestThreshold]
    slices: list[Slice]
    worst: list[worst.Image]
    boundary: dict[str, float | None] = field(default_factory=dict)

    def as_dict(self, truth: GroundTruth, images: int = 100) -> dict:
        """For ``analysis.json``: plain values, percent, None where undefined; the worst ``images`` of them."""
        return {
            "kind": self.kind,
            "best_thresholds": [asdict(best) for best in self.best],
            "tide": {
                "AP50": self.errors["AP"],
                "cost": {k: v for k, v in self.errors.items() if k != "AP"},
                "count": self.error_counts,
            },
            "confusion": {
                "score_threshold": self.threshold,
                "iou": self.confusion.iou,
                "classes": [*truth.class_names, "background"],
                **matrix_content(self.confusion.matrix),
            },
            "calibration": {
                "expected_error": self.calibration.error,
                "bins": [
                    {
                        "from": float(low),
                        "to": float(high),
                        "count": int(n),
                        "score": plain(s),
                        "precision": plain(p),
                    }
                    for low, high, n, s, p in zip(
                        self.calibration.edges,
                        self.calibration.edges[1:],
                        self.calibration.count,
                        self.calibration.score,
                        self.calibration.precision,
                    )
                ],
            },
            "slices": [asdict(one) for one in self.slices],
            "boundary": self.boundary,
            "worst": [
                {
                    "file_name": truth.file_names[one.position],
                    "image_id": truth.image_ids[one.position],
                }
                | asdict(one)
                for one in self.worst[:images]
            ],
        }


def plain(value: float) -> float | None:
    """A float for JSON; None for NaN."""
    return float(value) if np.isfinite(value) else None


def analyze(
    truth: GroundTruth,
    results: Results,
    scores: CocoScores,
    kind: str,
    threshold: float | None = None,
) -> Analysis:
    """Look into one evaluation.

    Args:
        scores: COCO's of the same kind, for curves and F1-best thresholds.
        threshold: score from which detections are shown in the confusion matrix and the worst images; None takes the median of the
            classes' F1-best thresholds.
    """
    if kind == "segm":
        results = results.with_masks()
    best = curves.best_thresholds(curves.pr_curves(scores, kind))
    if threshold is None:
        found = [b.score for b in best if b.f1 > 0]
        # One threshold for all classes, for the matrix pairs detections across them. A rare class with an odd best
        # score does not move the median.
        threshold = float(np.median(found)) if found else 0.5
    pairs = overlapping_pairs(truth, results, kind)
    at_half = match(truth, results, pairs, [0.5])
    errors = tide.classify(truth, results, pairs, at_half)
    table = confusion(truth, results, pairs, threshold)
    counts = {name: int((errors.kind == name).sum()) for name in tide.KINDS} | {
        "Miss": int(errors.missed.sum())
    }
    return Analysis(
        kind=kind,
        threshold=threshold,
        pairs=pairs,
        confusion=table,
        errors=tide.costs(truth, results, at_half, errors),
        error_counts=counts,
        calibration=calibration(results, at_half),
        best=best,
        slices=slices(truth, results, pairs),
        worst=worst.rank_images(truth, results, pairs, table),
        boundary=boundary_figures(truth, results, pairs) if kind == "segm" else {},
    )


def boundary_figures(truth: GroundTruth, results: Results, pairs: Pairs) -> dict[str, float | None]:
    """Boundary AP, AP50, AP75 and AP by class, percent."""
    cut = boundary.boundary_pairs(truth, results, pairs)
    p = precision(truth, results, match(truth, results, cut))
    out = {"AP": percent(p), "AP50": percent(p[0]), "AP75": percent(p[5])}
    return out | {f"AP-{name}": percent(p[:, :, k]) for k, name in enumerate(truth.class_names)}
