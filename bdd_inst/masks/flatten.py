"""Instances of one image as one label map: every pixel gets the class of the best-scored instance that covers it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bdd_inst.masks.label_runs import drawing_order, paint


def top_instances(
    masks: Sequence[dict], scores: Sequence[float], height: int, width: int
) -> np.ndarray:
    """Which instance lies on top of each pixel.

    Args:
        masks: N RLE dicts of the image's size.
        scores: N; the higher lies on top, among equals the later.
        height, width: of the image, in pixels.

    Returns:
        H,W int64: n + 1 where instance n is on top, 0 where there is none.
    """
    order = drawing_order(list(scores), len(masks))
    return paint(
        [masks[n] for n in order],
        [n + 1 for n in order],
        height=height,
        width=width,
        dtype=np.int64,
    )


def to_label_map(
    masks: Sequence[dict],
    classes: Sequence[int],
    scores: Sequence[float],
    height: int,
    width: int,
    threshold: float = 0.5,
) -> np.ndarray:
    """Instances with a score of at least ``threshold`` combined into one map.

    Args:
        masks: N RLE dicts of the image's size.
        classes: N class indices from 0.

    Returns:
        H,W uint8: 0 background, class index + 1 elsewhere.
    """
    kept = [n for n, score in enumerate(scores) if score >= threshold]
    on_top = top_instances([masks[n] for n in kept], [scores[n] for n in kept], height, width)
    # ``on_top`` numbers the instances that were kept: one table turns its numbers into classes.
    values = np.array([0, *(int(classes[n]) + 1 for n in kept)], np.int64)
    if values.max(initial=0) > 255:
        raise ValueError(f"a label map holds classes up to 255, not {values.max()}")
    return values.astype(np.uint8)[on_top]
