"""Which pixels an outline touches: exact signed areas in 1/256 pixel arithmetic, from the outline's edges alone.

The official BDD100K masks come from an Agg canvas with antialiasing off, which paints every pixel whose covered area does not round
to nothing. For each pixel that an edge crosses, Agg sums the edge's height in the pixel (``cover``) and that height times twice its
distance from the pixel's left side (``area``); the running sum of covers along a row, minus the pixel's own area, is the signed area
of the outline in the pixel. Here the same integers are computed for all edges of many outlines at once: the pixel row and column
boundaries that an edge crosses are found by one exact division each, as Agg's incremental line drawing (David Turner's FreeType scan
conversion) finds them step by step.
"""

from __future__ import annotations

import numpy as np

SUBPIXELS = 256
# Pixels crossed by the edges taken in one go: bounds memory at some 100 MB however long an outline is.
_CELLS_AT_ONCE = 400_000


def outline_cells(
    edges: np.ndarray, owner: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pixels that edges cross, with their sums.

    Args:
        edges: E,4 float64, x1,y1,x2,y2 in pixels; the edges of one outline form closed rings.
        owner: E int64, the outline that each edge belongs to.
        height, width: the image; edges outside are cut or pressed to its left and right side.

    Returns:
        key (ascending, unique), cover and area, int64 each. The key is ``(owner * (height + 1) + row) * (width + 2) + column``.
    """
    edges, owner = _clip(edges, owner, height, width)
    fixed = _to_fixed(edges)
    # A level edge covers no height: it adds to neither sum.
    upright = fixed[:, 1] != fixed[:, 3]
    fixed, owner = fixed[upright], owner[upright]
    whole = fixed >> 8
    sizes = np.abs(whole[:, 2] - whole[:, 0]) + np.abs(whole[:, 3] - whole[:, 1]) + 2
    cuts = np.flatnonzero(np.diff(np.cumsum(sizes) // _CELLS_AT_ONCE)) + 1
    parts, held = [], 0
    for lines, owners in zip(np.split(fixed, cuts), np.split(owner, cuts)):
        parts.append(_reduce(*_cells(_rows(lines, owners), height, width)))
        held += len(parts[-1][0])
        # Outlines that wind over the same pixels again and again: summed early, their portions stay bounded too.
        if held > 4 * _CELLS_AT_ONCE:
            parts, held = [_merge(parts)], 0
    return _merge(parts)


def _to_fixed(values: np.ndarray) -> np.ndarray:
    """Pixels to whole 1/256 pixels, halves away from zero, int64."""
    scaled = values * SUBPIXELS
    # Agg's rounding; ``np.rint`` would send halves to the even neighbor and move edges by 1/256 pixel.
    return np.trunc(scaled + np.copysign(0.5, scaled)).astype(np.int64)


def _clip(
    edges: np.ndarray, owner: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut edges to the image. What is left or right of it becomes an upright edge on that side, so areas inside stay the same."""
    x, y = edges[:, 0::2], edges[:, 1::2]
    outside = ((x < 0) | (x > width) | (y < 0) | (y > height)).any(axis=1)
    if not outside.any():
        return edges, owner
    cut = np.flatnonzero(outside)
    hidden = (edges[cut][:, 1::2] < 0).all(axis=1) | (edges[cut][:, 1::2] > height).all(axis=1)
    cut = cut[~hidden]
    pieces = _clip_rows(_clip_columns(edges[cut], width), height)
    keep = ~outside
    return np.concatenate([edges[keep], pieces.reshape(-1, 4)]), np.concatenate(
        [owner[keep], np.repeat(owner[cut], 3)]
    )


def _clip_columns(edges: np.ndarray, width: int) -> np.ndarray:
    """E,4 -> E,3,4: the pieces before, within and after the image's columns, the outer ones pressed to its sides."""
    x1, y1, x2, y2 = edges.T
    with np.errstate(divide="ignore", invalid="ignore"):
        at_left = y1 + (0 - x1) * (y2 - y1) / (x2 - x1)
        at_right = y1 + (width - x1) * (y2 - y1) / (x2 - x1)
    start, stop = np.clip(x1, 0, width), np.clip(x2, 0, width)
    enter = np.where(
        x1 < 0,
        np.where(x2 < 0, y2, at_left),
        np.where(x1 > width, np.where(x2 > width, y2, at_right), y1),
    )
    leave = np.where(
        x2 < 0,
        np.where(x1 < 0, y2, at_left),
        np.where(x2 > width, np.where(x1 > width, y2, at_right), y2),
    )
    before = np.stack([start, y1, start, enter], axis=1)
    within = np.stack([start, enter, stop, leave], axis=1)
    after = np.stack([stop, leave, stop, y2], axis=1)
    return np.stack([before, within, after], axis=1)


def _clip_rows(pieces: np.ndarray, height: int) -> np.ndarray:
    """Cut pieces (...,4) to the image's rows; those wholly above or below shrink to nothing."""
    x1, y1, x2, y2 = (pieces[..., k] for k in range(4))
    with np.errstate(divide="ignore", invalid="ignore"):
        at_top = x1 + (0 - y1) * (x2 - x1) / (y2 - y1)
        at_foot = x1 + (height - y1) * (x2 - x1) / (y2 - y1)
    out = pieces.copy()
    for column, (x, y) in ((0, (x1, y1)), (2, (x2, y2))):
        out[..., column] = np.where(y < 0, at_top, np.where(y > height, at_foot, x))
        out[..., column + 1] = np.clip(y, 0, height)
    gone = ((y1 < 0) & (y2 < 0)) | ((y1 > height) & (y2 > height))
    out[gone] = 0
    return out


def _rows(lines: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, ...]:
    """Cut lines (E,4 int64 fixed point, none level) at pixel rows -> x1, y1, x2, y2, row, owner of the pieces; y from 0 to 256."""
    x1, y1, x2, y2 = lines.T
    down = y2 > y1
    row1, row2 = y1 >> 8, y2 >> 8
    count = np.abs(row2 - row1) + 1
    index, step = _spread(count)
    dx, dy = (x2 - x1).astype(np.float64), np.abs(y2 - y1).astype(np.float64)
    within = y1 & 255
    # ``lead / dy`` is how far x has moved at the first row boundary; every further row adds ``256 dx / dy``.
    lead = np.where(down, SUBPIXELS - within, within) * dx
    # x where piece k (k >= 1) begins. Quotients are far below 2**53 and at least 1/dy from the next integer: floor of the float is exact.
    begin = x1[index] + np.floor(
        (lead[index] + (step - 1) * (SUBPIXELS * dx[index])) / dy[index]
    ).astype(np.int64)
    first, last = step == 0, step == count[index] - 1
    begin[first] = x1
    end = np.empty_like(begin)
    end[:-1] = begin[1:]
    end[last] = x2
    forward = down[index]
    top = np.where(forward, 0, SUBPIXELS)
    top[first] = within
    foot = np.where(forward, SUBPIXELS, 0)
    foot[last] = y2 & 255
    row = row1[index] + np.where(forward, step, -step)
    # A line that ends on a row boundary leaves a piece without height in the next row.
    real = top != foot
    return begin[real], top[real], end[real], foot[real], row[real], owner[index][real]


def _cells(
    pieces: tuple[np.ndarray, ...], height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut the pieces of :func:`_rows` at pixel columns -> key, cover and area of each bit."""
    x1, y1, x2, y2, row, owner = pieces
    right = x2 > x1
    column1, column2 = x1 >> 8, x2 >> 8
    count = np.abs(column2 - column1) + 1
    index, step = _spread(count)
    dy, dx = (y2 - y1).astype(np.float64), np.maximum(np.abs(x2 - x1), 1).astype(np.float64)
    within = x1 & 255
    lead = np.where(right, SUBPIXELS - within, within) * dy
    begin = y1[index] + np.floor(
        (lead[index] + (step - 1) * (SUBPIXELS * dy[index])) / dx[index]
    ).astype(np.int64)
    first, last = step == 0, step == count[index] - 1
    begin[first] = y1
    cover = np.empty_like(begin)
    cover[:-1] = begin[1:]
    cover[last] = y2
    cover -= begin
    forward = right[index]
    enter = np.where(forward, 0, SUBPIXELS)
    leave = SUBPIXELS - enter
    enter[first] = within
    leave[last] = x2 & 255
    column = column1[index] + np.where(forward, step, -step)
    # A row and two columns more than the image has: edges pressed to the right side lie in column ``width``,
    # and changes are written one column to the right of a cell and one row below it.
    key = ((owner * (height + 1) + row) * (width + 2))[index] + column
    return key, cover, (enter + leave) * cover


def _spread(count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts -> for each of their units: which count it belongs to, and its number there from 0."""
    index = np.repeat(np.arange(len(count)), count)
    return index, np.arange(len(index)) - np.repeat(np.cumsum(count) - count, count)


def _reduce(
    key: np.ndarray, cover: np.ndarray, area: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum cover and area over equal keys; keys ascending."""
    if not len(key):
        return key, cover, area
    order = np.argsort(key, kind="stable")
    key = key[order]
    starts = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    return key[starts], np.add.reduceat(cover[order], starts), np.add.reduceat(area[order], starts)


def _merge(
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        parts[0]
        if len(parts) == 1
        else _reduce(*(np.concatenate(column) for column in zip(*parts)))
    )


def touched_places(
    cells: tuple[np.ndarray, np.ndarray, np.ndarray], height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cells of :func:`outline_cells` -> where each outline's mask changes, column by column, and the outline (int64 both, ascending).

    A pixel is in the mask where its signed area, cut to 1/256 pixel by rounding down, is not zero; between cells, where the winding
    number is not. The places are column-major (``column * height + row``).
    """
    key, cover, area = cells
    if not len(key):
        return key, key
    winding = np.cumsum(cover)
    # Agg shifts this sum down by 9 bits and paints where anything is left: below 0, or from 512 on.
    signed = 512 * winding - area
    here = ((signed < 0) | (signed >= 512)) & (key % (width + 2) < width)
    beyond = winding != 0
    # What lies left of each cell: the cell before where it touches, else the gap between them.
    adjacent = key[1:] == key[:-1] + 1
    left = np.concatenate(([False], np.where(adjacent, here[:-1], beyond[:-1])))
    right_changes = (here != beyond) & ~np.append(adjacent, False)
    toggles = np.concatenate([key[here != left], key[right_changes] + 1])
    # A mask changes down a column where its row differs from the row above: toggles of both rows, less those in common.
    both = np.sort(np.concatenate([toggles, toggles + (width + 2)]))
    both = _odd(both)
    begin, end = both[0::2], both[1::2]
    index, step = _spread(end - begin)
    place = begin[index] + step
    owner_row, column = np.divmod(place, width + 2)
    owner, row = np.divmod(owner_row, height + 1)
    # One more than the image holds, so that the foot of the last column stays with its outline.
    pixels = height * width + 1
    merged = np.sort(owner * pixels + column * height + row)
    return np.divmod(merged, pixels)[::-1]


def _odd(ascending: np.ndarray) -> np.ndarray:
    """The values that occur an odd number of times (at most twice each)."""
    if not len(ascending):
        return ascending
    alone = np.ones(len(ascending), dtype=bool)
    same = ascending[1:] == ascending[:-1]
    alone[1:] &= ~same
    alone[:-1] &= ~same
    return ascending[alone]
