"""Bezier curves to corners, by the rule that the official BDD100K masks were drawn with.

The official tool draws with matplotlib's Agg canvas, whose cubic curves are halved until a half is flat: its two control points lie,
together, no farther from the chord than half a pixel (Maxim Shemanarev's adaptive subdivision, angle tolerance off). A flat half adds
one point, the middle between its control points. The same halvings in the same arithmetic give the same corners, to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bdd_inst.masks.outlines import Outline

# Agg's constants: the same limits end the halving at the same places.
_DISTANCE_TOLERANCE = 0.25  # square pixels: half a pixel, squared
_COLLINEAR = 1e-30
_MAX_LEVEL = 32


def flatten(path: Outline) -> np.ndarray:
    """The corners of ``path`` with each curve replaced by short lines: V,2 float64. A closed path does not repeat its first corner."""
    return flatten_many([path])[0]


def flatten_many(paths: Sequence[Outline]) -> list[np.ndarray]:
    """:func:`flatten` for many paths at once.

    Args:
        paths: N outlines, vertices in pixels.

    Returns:
        N arrays V,2 float64 of corners x, y, in pixels.
    """
    if not paths:
        return []
    points = np.concatenate([path.vertices for path in paths])
    corners, lengths = flatten_points(points, paths)
    return np.split(corners, np.cumsum(lengths)[:-1])


def flatten_points(
    points: np.ndarray, paths: Sequence[Outline], corner: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Flatten ``paths`` with their vertices replaced by ``points`` (V,2 float64, end to end) -> corners and their number a path.

    ``corner`` decides what becomes of a curve that the path has too few vertices for (a fault in the file). None: a closed path's curve
    ends at its first vertex, an open path's letters are taken for corners. A number: the missing points lie at (corner, corner), as they do
    for the official tool, whose canvas reads on past the path's end.
    """
    lengths = np.array([len(path.vertices) for path in paths], dtype=np.int64)
    if not any("C" in path.types for path in paths):
        return points, lengths
    curves = _find_curves(paths, corner is not None)
    if not len(curves):
        return points, lengths
    missing = len(points)
    # A row past the last stands for every missing vertex, so that indices need no case of their own.
    known = np.concatenate([points, np.full((1, 2), corner or 0.0)])
    which, share, added = _subdivide(known[curves])
    control = np.zeros(missing + 1, dtype=bool)
    control[curves[:, 1]] = True
    control[curves[:, 2][curves[:, 2] > curves[:, 1]]] = True
    kept = np.flatnonzero(~control[:missing])
    open_ended = curves[curves[:, 3] == missing, 1]
    # A curve's new points take its first control point's place in the order, by where they lie along the curve.
    places = np.concatenate([kept, curves[which, 1], open_ended])
    order = np.lexsort(
        (np.concatenate([np.zeros(len(kept)), share, np.ones(len(open_ended))]), places)
    )
    values = np.concatenate([known[kept], added, known[np.full(len(open_ended), missing)]])
    owner = np.repeat(np.arange(len(paths)), lengths)[places]
    return values[order], np.bincount(owner, minlength=len(paths))


def _find_curves(paths: Sequence[Outline], read_on: bool) -> np.ndarray:
    """K,4 int64 indices (start, two controls, end) into all vertices end to end; one past the last where a vertex is missing."""
    curves: list[tuple[int, int, int, int]] = []
    first, missing = 0, sum(len(path.vertices) for path in paths)
    for path in paths:
        count = len(path.vertices)
        # A path starts at its first vertex whatever its letter; each curve takes three more.
        place = path.types.find("C", 1)
        while place >= 0:
            ahead = [first + k if k < count else missing for k in (place + 1, place + 2)]
            if path.closed:
                # A closed path comes back to its first vertex.
                ahead = [
                    first
                    if place + k == count or (place + k > count and not read_on)
                    else ahead[k - 1]
                    for k in (1, 2)
                ]
            if ahead[1] == missing and not read_on:
                break
            curves.append((first + place - 1, first + place, *ahead))
            place = path.types.find("C", place + 3)
        first += count
    return np.array(curves, dtype=np.int64).reshape(-1, 4)


def _subdivide(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """K,4,2 control polygons -> for every point in between: its curve (int64), where along it (0 to 1), and x,y; ends not included."""
    which = np.arange(len(curves))
    share = np.zeros(len(curves))
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    size = 1.0
    # All curves of one depth are halved together: 33 rounds at most, instead of one recursion a curve.
    # What is not flat after the last adds no point, as where Agg's recursion gives up.
    for _ in range(_MAX_LEVEL + 1):
        flat, emits, point = _flatness(curves)
        out = flat & emits
        found.append((which[out], share[out], point[out]))
        unfinished = ~flat
        if not unfinished.any():
            break
        curves, which, share = curves[unfinished], which[unfinished], share[unfinished]
        size /= 2
        which = np.concatenate([which, which])
        share = np.concatenate([share, share + size])
        curves = np.concatenate(_halve(curves))
    return tuple(np.concatenate(part) for part in zip(*found))


def _halve(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """De Casteljau: each curve's first and second half."""
    p1, p2, p3, p4 = (curves[:, k] for k in range(4))
    p12, p23, p34 = (p1 + p2) / 2, (p2 + p3) / 2, (p3 + p4) / 2
    p123, p234 = (p12 + p23) / 2, (p23 + p34) / 2
    middle = (p123 + p234) / 2
    return np.stack([p1, p12, p123, middle], axis=1), np.stack([middle, p234, p34, p4], axis=1)


def _flatness(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each curve: may it end here (bool), does it add a point then (bool), and which (x,y)."""
    p1, p2, p3, p4 = (curves[:, k] for k in range(4))
    chord = p4 - p1
    length = chord[:, 0] * chord[:, 0] + chord[:, 1] * chord[:, 1]
    d2 = np.abs((p2[:, 0] - p4[:, 0]) * chord[:, 1] - (p2[:, 1] - p4[:, 1]) * chord[:, 0])
    d3 = np.abs((p3[:, 0] - p4[:, 0]) * chord[:, 1] - (p3[:, 1] - p4[:, 1]) * chord[:, 0])
    near2, near3 = d2 <= _COLLINEAR, d3 <= _COLLINEAR
    # A control point on the chord's line does not count.
    distance = np.where(near2, 0, d2) + np.where(near3, 0, d3)
    # ``distance`` is the true one times the chord's length: comparing squares needs no division and no root.
    flat = distance * distance <= _DISTANCE_TOLERANCE * length
    emits = np.ones(len(curves), dtype=bool)
    point = (p2 + p3) / 2
    line = np.flatnonzero(near2 & near3)
    if len(line):
        flat[line], emits[line], point[line] = _collinear(curves[line], chord[line], length[line])
    return flat, emits, point


def _collinear(
    curves: np.ndarray, chord: np.ndarray, length: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """:func:`_flatness` for curves whose points lie on one line, or whose ends meet."""
    p1, p2, p3, p4 = (curves[:, k] for k in range(4))
    # A chord without length divides by 0: those rows are replaced below, by the distance to an end.
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1 / length
        along = [
            scale * ((p[:, 0] - p1[:, 0]) * chord[:, 0] + (p[:, 1] - p1[:, 1]) * chord[:, 1])
            for p in (p2, p3)
        ]
        between = (along[0] > 0) & (along[0] < 1) & (along[1] > 0) & (along[1] < 1) & (length > 0)
        beyond = []
        for p, t, end in ((p2, along[0], p1), (p3, along[1], p4)):
            foot = p1 + t[:, None] * chord
            foot = np.where((t <= 0)[:, None], p1, np.where((t >= 1)[:, None], p4, foot))
            foot = np.where((length == 0)[:, None], end, foot)
            gap = p - foot
            beyond.append(gap[:, 0] * gap[:, 0] + gap[:, 1] * gap[:, 1])
    second = beyond[0] > beyond[1]
    flat = between | (np.where(second, beyond[0], beyond[1]) < _DISTANCE_TOLERANCE)
    return flat, ~between, np.where(second[:, None], p2, p3)
