"""Geometry of outlines that a check needs: do edges cross, how large is the area. Vertices are V,2 float64 x, y in pixels."""

from __future__ import annotations

import numpy as np

# Edges compared with all others at once; longer outlines are taken in pieces of this many.
BLOCK = 512


def signed_area(points: np.ndarray) -> float:
    """The area that a closed outline V,2 encloses, negative where it runs against the clock (y downwards)."""
    x, y = points[:, 0], points[:, 1]
    return 0.5 * float(x @ np.roll(y, -1) - np.roll(x, -1) @ y)


def on_a_line(points: np.ndarray) -> bool:
    """Whether all points V,2 lie on one line (to a millionth of a pixel), so that they enclose nothing."""
    return (
        len(points) < 3
        or float(np.linalg.svd(points - points.mean(axis=0), compute_uv=False)[1]) < 1e-6
    )


def first_crossing(points: np.ndarray) -> tuple[int, int] | None:
    """Two edges of a closed outline V,2 that cross properly (edge i runs from vertex i to i + 1), or None.

    Edges that only touch, or lie on one another, do not count: annotators close outlines by going over the first point again.
    """
    number = len(points)
    if number < 4:
        return None
    start, end = points, np.roll(points, -1, axis=0)
    low, high = np.minimum(start, end), np.maximum(start, end)
    index = np.arange(number)
    for first in range(0, number, BLOCK):
        block = slice(first, min(first + BLOCK, number))
        near = (
            (index[block, None] < index[None])
            & (low[block, None] <= high[None]).all(2)
            & (low[None] <= high[block, None]).all(2)
        )
        rows, others = np.nonzero(near)
        rows += first
        if not len(rows):
            continue
        a, b, c, d = start[rows], end[rows], start[others], end[others]
        cross = (_side(a, b, c) * _side(a, b, d) < 0) & (_side(c, d, a) * _side(c, d, b) < 0)
        found = np.flatnonzero(cross)
        if len(found):
            return int(rows[found[0]]), int(others[found[0]])
    return None


def _side(a: np.ndarray, b: np.ndarray, p: np.ndarray) -> np.ndarray:
    """On which side of the lines a-b the points p lie: 1, -1, or 0 on the line."""
    return np.sign(
        (b[:, 0] - a[:, 0]) * (p[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (p[:, 0] - a[:, 0])
    )
