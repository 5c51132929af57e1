"""Do scores mean what they say: precision of the detections of each score range, and the expected calibration error.

Definition: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, with "right" meaning matched at IoU 0.5; detections on
crowds are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bdd_inst.evaluation.matching import Matches
from bdd_inst.evaluation.results import Results


@dataclass(frozen=True)
class Calibration:
    """B score ranges: ``edges`` B+1, ``count``, mean ``score`` and ``precision`` (NaN where empty), and the weighted gap ``error``."""

    edges: np.ndarray
    count: np.ndarray
    score: np.ndarray
    precision: np.ndarray
    error: float | None


def calibration(
    results: Results, matches: Matches, bins: int = 10, chosen: np.ndarray | None = None
) -> Calibration:
    """Calibration at the first threshold of ``matches``; ``chosen`` (D bool) restricts it, to one class say. Scores are taken as 0..1."""
    kept = matches.counted & ~matches.out[0] & (True if chosen is None else chosen)
    scores, hit = np.clip(results.scores[kept], 0, 1), matches.hit[0][kept]
    edges = np.linspace(0, 1, bins + 1)
    # A score of 1 belongs to the last bin, not to one of its own.
    place = np.minimum((scores * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        score = np.bincount(place, scores, bins) / count
        precision = np.bincount(place, hit, bins) / count
    # An empty bin is 0/0 and weighs nothing.
    gap = np.nansum(np.abs(score - precision) * count)
    return Calibration(
        edges,
        count=count,
        score=score,
        precision=precision,
        error=float(gap / count.sum()) if count.sum() else None,
    )
