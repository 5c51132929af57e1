"""COCO's accumulation: from which detections hit and which are out of the count to precision at 101 recalls."""

from __future__ import annotations

import numpy as np

RECALLS = np.linspace(0, 1, 101)


def accumulate(
    scores: np.ndarray, hit: np.ndarray, out: np.ndarray, wanted: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and score thresholds of one class.

    Args:
        scores: D, in image order and by score within an image (ties keep this order, as in COCO's code).
        hit: T,D bool: matched an object. out: T,D bool: counts neither way.
        wanted: objects to find, more than 0.

    Returns:
        precision T,R (the envelope), final recall T, score T,R at which each recall is reached (0 beyond).
    """
    # A stable sort, as COCO's: among equal scores the order decides which detection is the false one.
    order = np.argsort(-scores, kind="mergesort")
    hit, out, scores = hit[:, order], out[:, order], scores[order]
    true, false = (
        np.cumsum(hit & ~out, axis=1, dtype=float),
        np.cumsum(~hit & ~out, axis=1, dtype=float),
    )
    rows = len(hit)
    precision, recall, at = (
        np.zeros((rows, len(RECALLS))),
        np.zeros(rows),
        np.zeros((rows, len(RECALLS))),
    )
    if not scores.size:
        return precision, recall, at
    for t in range(rows):
        # By all objects, not by those found so far: recall only rises.
        rises = true[t] / wanted
        recall[t] = rises[-1]
        # The spacing keeps 0/0 out of the first entries, as COCO's code does.
        # The best precision at this recall or any higher one (COCO, after PASCAL VOC 2010).
        envelope = np.maximum.accumulate((true[t] / (true[t] + false[t] + np.spacing(1)))[::-1])[
            ::-1
        ]
        # The first place that reaches each recall; recalls beyond the last stay 0, which is what lowers AP for objects never found.
        places = np.searchsorted(rises, RECALLS, side="left")
        inside = places < scores.size
        precision[t, inside] = envelope[places[inside]]
        at[t, inside] = scores[places[inside]]
    return precision, recall, at
