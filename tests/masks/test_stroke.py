"""Thin lines: their outlines and their masks (identity with the official drawing is held in tests/parity)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bdd_inst.masks.outlines import Outline
from bdd_inst.masks.rasterize import polygons_to_mask
from bdd_inst.masks.stroke import clip_line, stroke_outlines

WIDTH = 100 / 72


def test_a_straight_line_is_a_box_of_its_width():
    ring, lengths = stroke_outlines(np.array([[2.0, 5], [9, 5]]), np.array([2]))
    assert lengths.tolist() == [4]
    assert ring[:, 0].tolist() == [2, 2, 9, 9]
    assert np.allclose(sorted(ring[:, 1]), [5 - WIDTH / 2] * 2 + [5 + WIDTH / 2] * 2)


def test_a_line_is_painted_where_it_touches():
    mask = polygons_to_mask([Outline(np.array([[2.0, 5], [9, 5]]), "", closed=False)], 12, 12)
    rows, columns = np.nonzero(mask)
    # Snapped to the middle of row 5 and a little wider than it, from the middle of one column to that of another.
    assert set(rows) == {4, 5, 6}
    assert (columns.min(), columns.max()) == (2, 9)


@pytest.mark.parametrize(("last", "outer"), [((10, 10), 2), ((18, 8), 1), ((2, 8), 2)])
def test_corners_are_mitered_unless_they_are_sharp(last, outer):
    ring, _ = stroke_outlines(np.array([[0.0, 0], [10, 0], last]), np.array([3]))
    away = np.linalg.norm(ring - [10, 0], axis=1)
    at_corner = ring[away < 3]
    # One point on the inner side; on the outer one the tip of the miter, or the two ends of the cut that takes it off.
    assert len(at_corner) == 1 + outer
    assert away[away < 3].min() >= WIDTH / 2 - 1e-9
    assert sorted(away[away < 3])[0] <= WIDTH / 2 + (1e-9 if outer == 2 else 0.2)


@pytest.mark.parametrize(
    "points", [np.empty((0, 2)), np.array([[3.0, 3]]), np.array([[3.0, 3], [3, 3], [3, 3]])]
)
def test_lines_without_length_are_nothing(points):
    ring, lengths = stroke_outlines(points, np.array([len(points)]))
    assert len(ring) == 0
    assert lengths.tolist() == [0]
    assert not polygons_to_mask([Outline(points, "", closed=False)], 9, 9).any()


LINES = hnp.arrays(
    np.float64, st.tuples(st.integers(2, 7), st.just(2)), elements=st.integers(0, 60).map(float)
)


@given(st.lists(LINES, max_size=4))
def test_many_lines_are_the_single_results(lines):
    lengths = np.array([len(line) for line in lines], dtype=np.int64)
    ring, found = stroke_outlines(np.concatenate([np.empty((0, 2)), *lines]), lengths)
    for part, line in zip(np.split(ring, np.cumsum(found)[:-1]) if lines else [], lines):
        assert np.array_equal(part, stroke_outlines(line, np.array([len(line)]))[0])


@given(LINES)
def test_the_mask_follows_the_line(line):
    mask = polygons_to_mask([Outline(line, "", closed=False)], 64, 64)
    rows, columns = np.nonzero(mask)
    centers = np.stack([columns + 0.5, rows + 0.5], axis=1)
    start, step = line[:-1] + 0.5, np.diff(line, axis=0)
    length = np.maximum((step**2).sum(axis=1), 1e-9)
    share = np.clip(((centers[:, None] - start) * step).sum(axis=2) / length, 0, 1)
    if len(centers):
        assert (
            np.linalg.norm(centers[:, None] - start - share[..., None] * step, axis=2)
            .min(axis=1)
            .max()
            < 2.3
        )
    for a, b in itertools.pairwise(line):
        if (a != b).any():
            middle = np.floor((a + b) / 2).astype(int)
            assert mask[
                max(middle[1] - 1, 0) : middle[1] + 2, max(middle[0] - 1, 0) : middle[0] + 2
            ].any()


def test_lines_are_cut_a_pixel_beyond_the_image():
    inside = np.array([[1.0, 1], [5, 5]])
    assert clip_line(inside, 10, 10)[0] is inside
    pieces = clip_line(np.array([[-5.0, 5], [5, 5], [5, -50], [50, -50], [8, 8]]), 10, 10)
    assert [piece.tolist()[0] for piece in pieces[:1]] == [[-1, 5]]
    assert all((piece >= -1).all() and (piece <= 11).all() for piece in pieces)
    assert clip_line(np.array([[20.0, 20], [30, 20]]), 10, 10) == []
