"""Cuts polygons at the edges of a window.

Vertices are V,2 float64 x, y in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def clip_polygons(
    parts: Sequence[np.ndarray], x: float, y: float, size: tuple[int, int]
) -> list[np.ndarray]:
    """The parts (V,2) of one object inside the window of ``size`` (height, width) at ``x, y``, in the window's coordinates.

    Sutherland and Hodgman (1974), edge by edge: what leaves the window and comes back stays one polygon, its pieces joined along the edge
    by lines of no area. Lines that only run out and back are taken out, for they would widen the box; a part that keeps no area
    is dropped.

    Args:
        parts: arrays V,2 float of x, y in pixels.
        x, y: the window's upper left corner in the same coordinates.
        size: the window's (height, width).

    Returns:
        The parts that are left, V,2 float64 relative to the window; none where nothing is.
    """
    height, width = size
    out = []
    for part in parts:
        points = part - (x, y)
        if not (points.min() >= 0 and (points.max(axis=0) <= (width, height)).all()):
            for axis, limit, sign in ((0, 0, 1), (0, width, -1), (1, 0, 1), (1, height, -1)):
                points = clip_half(points, axis, float(limit), sign)
        points = without_spikes(points)
        # What only ran along the window's side has corners there and no area.
        if len(points) >= 3 and np.ptp(points, axis=0).min() > 0:
            out.append(points)
    return out


def clip_half(points: np.ndarray, axis: int, limit: float, sign: int) -> np.ndarray:
    """What of a polygon (V,2) lies where ``sign * (coordinate - limit) >= 0``."""
    if not len(points):
        return points
    depth = sign * (points[:, axis] - limit)
    # A vertex on the edge is inside: what only touches the window's side is not cut there.
    inside = depth >= 0
    if inside.all():
        return points
    after, depth_after, inside_after = (np.roll(v, -1, axis=0) for v in (points, depth, inside))
    crosses = inside != inside_after
    share = np.zeros_like(depth)
    np.divide(depth, depth - depth_after, out=share, where=crosses)
    cut = points + share[:, None] * (after - points)
    # Set, not computed: rounding would leave some cuts beside the edge, to be cut again by the next.
    cut[:, axis] = np.where(crosses, limit, cut[:, axis])
    # Each vertex is followed by where its edge crosses the limit.
    both = np.stack([points, cut], axis=1).reshape(-1, 2)
    return both[np.stack([inside, crosses], axis=1).reshape(-1)]


def without_spikes(points: np.ndarray) -> np.ndarray:
    """The polygon (V,2) without vertices at which it turns straight back, and without repeated ones."""
    if not len(points):
        return points
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    # Most polygons have no spike: one pass over arrays spares them the walk over vertices.
    if not ((cross(before.T, after.T) == 0) & ((before * after).sum(axis=1) <= 0)).any():
        return points
    kept: list[tuple[float, float]] = []
    waiting = points.tolist()[::-1]
    while waiting:
        kept.append(waiting.pop())
        while (len(kept) >= 3 and turns_back(*kept[-3:])) or (
            len(kept) >= 2 and kept[-1] == kept[-2]
        ):
            del kept[-2]
    # The seam between the last vertex and the first is a place like any other.
    while len(kept) >= 3:
        if kept[0] == kept[-1] or turns_back(kept[-2], kept[-1], kept[0]):
            del kept[-1]
        elif turns_back(kept[-1], kept[0], kept[1]):
            del kept[0]
        else:
            break
    return np.array(kept, float).reshape(-1, 2)


def turns_back(a: list[float], b: list[float], c: list[float]) -> bool:
    """Whether the way from a to b goes on to c along itself, or not at all."""
    first, second = (b[0] - a[0], b[1] - a[1]), (c[0] - b[0], c[1] - b[1])
    return cross(first, second) == 0 and first[0] * second[0] + first[1] * second[1] <= 0


def cross(first, second):
    """The cross product of two vectors, or of two rows x and y of vectors."""
    return first[0] * second[1] - first[1] * second[0]
