"""Cells of an outline against exact areas by rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bdd_inst.masks.coverage import outline_cells, touched_places

SIDE = 12
CORNERS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(3, 6), st.just(2)),
    elements=st.integers(0, SIDE * 16).map(lambda v: v / 16),
)


def ring(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points, np.roll(points, -1, axis=0)], axis=1)


def area_in_pixel(points: list, column: int, row: int) -> Fraction:
    """The signed area of a ring within one pixel: the ring cut to the pixel side by side, then the shoelace formula."""
    for axis, bound, above in (
        (0, column, True),
        (0, column + 1, False),
        (1, row, True),
        (1, row + 1, False),
    ):
        cut = []
        for a, b in zip(points, points[1:] + points[:1]):
            inside_a, inside_b = ((p[axis] >= bound) == above or p[axis] == bound for p in (a, b))
            if inside_a:
                cut.append(a)
            if inside_a != inside_b:
                share = (bound - a[axis]) / (b[axis] - a[axis])
                cut.append(tuple(a[k] + share * (b[k] - a[k]) for k in (0, 1)))
        points = cut
        if not points:
            return Fraction(0)
    return (
        sum(
            (a[0] * b[1] - b[0] * a[1] for a, b in zip(points, points[1:] + points[:1])),
            Fraction(0),
        )
        / 2
    )


@given(CORNERS)
def test_areas_are_exact_to_the_rounding_of_lines(points):
    cells = outline_cells(ring(points), np.zeros(len(points), dtype=np.int64), SIDE, SIDE)
    key, cover, area = cells
    exact_points = [(Fraction(x), Fraction(y)) for x, y in points.tolist()]
    places, _ = touched_places(cells, SIDE, SIDE)
    flat = np.zeros(SIDE * SIDE + 1, dtype=int)
    np.add.at(flat, places, 1)
    mask = (np.cumsum(flat)[:-1] % 2 == 1).reshape(SIDE, SIDE).T
    for row in range(SIDE):
        winding = 0
        found = dict(zip(key.tolist(), zip(cover.tolist(), area.tolist())))
        for column in range(SIDE):
            own_cover, own_area = found.get(row * (SIDE + 2) + column, (0, 0))
            winding += own_cover
            # In units of 1 / (2 * 256 * 256) pixel; rows and columns cut lines at whole 1/256, so each line in the pixel may be off by one.
            signed = 512 * winding - own_area
            exact = -area_in_pixel(exact_points, column, row) * 2 * 65536
            assert abs(signed - exact) <= 1024 * len(points)
            assert mask[row, column] == (signed < 0 or signed >= 512)


def test_rings_keep_apart():
    points = np.array([[1, 1], [5, 1], [5, 4], [1, 4.0]])
    edges = np.concatenate([ring(points), ring(points + 3)])
    owner = np.repeat([0, 1], 4)
    places, owners = touched_places(outline_cells(edges, owner, SIDE, SIDE), SIDE, SIDE)
    alone, _ = touched_places(
        outline_cells(ring(points + 3), np.zeros(4, dtype=np.int64), SIDE, SIDE), SIDE, SIDE
    )
    assert np.array_equal(places[owners == 1], alone)
    assert (np.bincount(owners) % 2 == 0).all()


def test_no_edges():
    cells = outline_cells(np.empty((0, 4)), np.empty(0, dtype=np.int64), SIDE, SIDE)
    assert all(len(column) == 0 for column in (*cells, *touched_places(cells, SIDE, SIDE)))
