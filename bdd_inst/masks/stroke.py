"""Open paths (lane marks) to the outlines of the thin lines that the official tool draws along them.

The official tool strokes them one point wide on a canvas of 100 dots an inch, which is 100 / 72 pixels, with butt ends and mitered corners.
The outline runs along one side of the line, around its end and back along the other, as Agg's stroker lays it; painting every touched pixel
of it gives the mask.
"""

from __future__ import annotations

import itertools

import numpy as np

_HALF_WIDTH = 100 / 72 / 2
_MITER_LIMIT = 100 / 72  # the canvas sets it to the line width
# Agg's default limit for the inner side of a corner, in half widths.
_INNER_LIMIT = 1.01
# What snapped vertices of a line this wide are moved by: it is an odd number of pixels wide when rounded, so it runs through pixel centers.
CENTER = 0.5


def stroke_outlines(corners: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lines end to end (V,2 float64, ``lengths`` corners each) -> the rings around them and their number of corners.

    A line of fewer than two different corners has an empty ring.
    """
    line = np.repeat(np.arange(len(lengths)), lengths)
    fresh = np.ones(len(corners), dtype=bool)
    fresh[1:] = (corners[1:] != corners[:-1]).any(axis=1) | (line[1:] != line[:-1])
    corners, line = corners[fresh], line[fresh]
    long_enough = np.bincount(line, minlength=len(lengths))[line] >= 2
    corners, line = corners[long_enough], line[long_enough]
    if not len(corners):
        return np.empty((0, 2)), np.zeros(len(lengths), dtype=np.int64)
    # Walk each line there and back: at every stop the corner before, this one and the one after.
    count = len(corners)
    starts = np.flatnonzero(np.concatenate(([True], line[1:] != line[:-1])))
    ends = np.append(starts[1:], count) - 1
    there = np.arange(count)
    before, after = there - 1, there + 1
    before[starts], after[ends] = starts + 1, ends - 1
    stop = np.concatenate([there, there])
    came, goes = np.concatenate([before, after]), np.concatenate([after, before])
    is_cap = np.zeros(2 * count, dtype=bool)
    is_cap[starts], is_cap[ends + count] = True, True
    # An end is visited once: the way there begins with it, the way back begins with the other one.
    visited = np.ones(2 * count, dtype=bool)
    visited[ends], visited[starts + count] = False, False
    keys = np.lexsort((np.concatenate([there, -there]), np.repeat([0, 1], count), line[stop]))
    keys = keys[visited[keys]]
    stop, came, goes, is_cap = stop[keys], came[keys], goes[keys], is_cap[keys]
    pairs, both = _corner_points(corners[came], corners[stop], corners[goes], is_cap)
    present = np.stack([np.ones(len(both), dtype=bool), both], axis=1)
    ring = np.repeat(line[stop], 2).reshape(-1, 2)[present]
    return pairs[present], np.bincount(ring, minlength=len(lengths))


def _corner_points(
    v0: np.ndarray, v1: np.ndarray, v2: np.ndarray, is_cap: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each stop v1 between v0 and v2 (T,2 each): up to two points of the outline (T,2,2) and whether the second counts (T bool)."""
    out_length = np.hypot(v2[:, 0] - v1[:, 0], v2[:, 1] - v1[:, 1])
    in_length = np.hypot(v1[:, 0] - v0[:, 0], v1[:, 1] - v0[:, 1])
    side1 = _side(v0, v1, in_length)
    side2 = _side(v1, v2, out_length)
    # A cap stands across the way out: from one side of it to the other.
    side1[is_cap] = -side2[is_cap]
    pairs = np.stack([v1 + side1, v1 + side2], axis=1)
    turn = (v2[:, 0] - v1[:, 0]) * (v1[:, 1] - v0[:, 1]) - (v2[:, 1] - v1[:, 1]) * (
        v1[:, 0] - v0[:, 0]
    )
    # On the inner side of a turn the sides meet before the corner, at most as far back as the shorter segment.
    inner_limit = np.maximum(np.minimum(in_length, out_length) / _HALF_WIDTH, _INNER_LIMIT)
    limit = _HALF_WIDTH * np.where(turn > 0, inner_limit, _MITER_LIMIT)
    single, miter = _miters(v0, v1, v2=v2, side1=side1, side2=side2, limit=limit)
    single &= ~is_cap
    pairs[single, 0] = miter[single]
    return pairs, ~single


def _side(start: np.ndarray, end: np.ndarray, length: np.ndarray) -> np.ndarray:
    """The step of half a width from a segment's axis to its side."""
    dx = _HALF_WIDTH * (end[:, 1] - start[:, 1]) / length
    dy = _HALF_WIDTH * (end[:, 0] - start[:, 0]) / length
    return np.stack([dx, -dy], axis=1)


def _miters(
    v0: np.ndarray,
    v1: np.ndarray,
    v2: np.ndarray,
    side1: np.ndarray,
    side2: np.ndarray,
    limit: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Where the two sides at v1 meet within ``limit`` of it (T bool), and that point (T,2); elsewhere the corner is cut off."""
    a, b, c, d = v0 + side1, v1 + side1, v1 + side2, v2 + side2
    numerator = (a[:, 1] - c[:, 1]) * (d[:, 0] - c[:, 0]) - (a[:, 0] - c[:, 0]) * (
        d[:, 1] - c[:, 1]
    )
    denominator = (b[:, 0] - a[:, 0]) * (d[:, 1] - c[:, 1]) - (b[:, 1] - a[:, 1]) * (
        d[:, 0] - c[:, 0]
    )
    parallel = np.abs(denominator) < 1e-30
    with np.errstate(divide="ignore", invalid="ignore"):
        meet = a + (numerator / denominator)[:, None] * (b - a)
        near = np.hypot(meet[:, 0] - v1[:, 0], meet[:, 1] - v1[:, 1]) <= limit
    # Parallel sides: straight on is one point, turning back is two.
    onward = (_left_of(v0, v1, b) < 0) == (_left_of(v1, v2, b) < 0)
    meet = np.where(parallel[:, None], b, meet)
    return np.where(parallel, onward, near), meet


def _left_of(start: np.ndarray, end: np.ndarray, point: np.ndarray) -> np.ndarray:
    return (point[:, 0] - end[:, 0]) * (end[:, 1] - start[:, 1]) - (point[:, 1] - end[:, 1]) * (
        end[:, 0] - start[:, 0]
    )


def clip_line(points: np.ndarray, height: int, width: int) -> list[np.ndarray]:
    """Cut a line of straight segments (V,2 float64) to the image and one pixel around it, as is done before its vertices snap -> its pieces."""
    low, high = np.array([-1.0, -1.0]), np.array([width + 1.0, height + 1.0])
    if ((points >= low) & (points <= high)).all():
        return [points]
    pieces: list[list[np.ndarray]] = []
    for start, end in itertools.pairwise(points):
        cut = _clip_segment(start, end, low, high)
        if cut is None:
            continue
        if not pieces or not np.array_equal(pieces[-1][-1], cut[0]):
            pieces.append([cut[0]])
        pieces[-1].append(cut[1])
    return [np.array(piece) for piece in pieces]


def _clip_segment(
    start: np.ndarray, end: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """The part of a segment within a box, or None; a point is moved to the box's column side first and then to its row side."""
    if ((start < low) & (end < low)).any() or ((start > high) & (end > high)).any():
        return None
    ends = []
    for point in (start.copy(), end.copy()):
        for axis in (0, 1):
            bound = (
                low[axis]
                if point[axis] < low[axis]
                else high[axis]
                if point[axis] > high[axis]
                else None
            )
            if bound is None:
                continue
            if start[axis] == end[axis]:
                return None
            point[1 - axis] = (bound - start[axis]) * (end[1 - axis] - start[1 - axis]) / (
                end[axis] - start[axis]
            ) + start[1 - axis]
            point[axis] = bound
        ends.append(point)
    if np.array_equal(ends[0], ends[1]) or ((np.stack(ends) < low) | (np.stack(ends) > high)).any():
        return None
    return ends[0], ends[1]
