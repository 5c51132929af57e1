"""Cuts polygons at the edges of a window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def clip_polygons(parts: Sequence[np.ndarray], x: float, y: float, size: tuple[int, int]) -> list[np.ndarray]:
    """The parts (V,2) of one object inside the window of ``size`` (height, width) at ``x, y``, in the window's coordinates.

    Sutherland and Hodgman (1974), edge by edge: what leaves the window and comes back stays one polygon, its pieces joined along the edge
    by lines of no area. A part that keeps no area is dropped.
    """
    height, width = size
    out = []
    for part in parts:
        points = part - (x, y)
        if not (points.min() >= 0 and (points.max(axis=0) <= (width, height)).all()):
            for axis, limit, sign in ((0, 0, 1), (0, width, -1), (1, 0, 1), (1, height, -1)):
                points = clip_half(points, axis, float(limit), sign)
        if len(points) >= 3 and np.ptp(points, axis=0).min() > 0:
            out.append(points)
    return out


def clip_half(points: np.ndarray, axis: int, limit: float, sign: int) -> np.ndarray:
    """What of a polygon lies where ``sign * (coordinate - limit) >= 0``."""
    if not len(points):
        return points
    depth = sign * (points[:, axis] - limit)
    inside = depth >= 0
    if inside.all():
        return points
    after, depth_after, inside_after = (np.roll(v, -1, axis=0) for v in (points, depth, inside))
    crosses = inside != inside_after
    share = np.zeros_like(depth)
    np.divide(depth, depth - depth_after, out=share, where=crosses)
    cut = points + share[:, None] * (after - points)
    cut[:, axis] = np.where(crosses, limit, cut[:, axis])
    # Each vertex is followed by where its edge crosses the limit.
    both = np.stack([points, cut], axis=1).reshape(-1, 2)
    return both[np.stack([inside, crosses], axis=1).reshape(-1)]
