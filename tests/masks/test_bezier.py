"""Curves to corners: against the curve itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bdd_inst.masks.bezier import flatten, flatten_many
from bdd_inst.masks.outlines import Outline

CONTROL = hnp.arrays(np.float64, (4, 2), elements=st.integers(-300, 300).map(float))


def on_curve(p: np.ndarray, t: np.ndarray) -> np.ndarray:
    t = t[:, None]
    return (
        (1 - t) ** 3 * p[0] + 3 * (1 - t) ** 2 * t * p[1] + 3 * (1 - t) * t**2 * p[2] + t**3 * p[3]
    )


def distances(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """From each point to the nearest place on a line of segments."""
    start, step = line[:-1], np.diff(line, axis=0)
    length = np.maximum((step**2).sum(axis=1), 1e-12)
    share = np.clip(((points[:, None] - start) * step).sum(axis=2) / length, 0, 1)
    return np.linalg.norm(points[:, None] - (start + share[..., None] * step), axis=2).min(axis=1)


@st.composite
def forward_curves(draw) -> np.ndarray:
    """Control points 4,2 that move on along the chord, as those of every half do then: no cusp."""
    start, end = draw(hnp.arrays(np.float64, (2, 2), elements=st.integers(-300, 300).map(float)))
    chord = end - start if np.any(end != start) else np.array([1.0, 0.0])
    along = sorted(draw(st.lists(st.floats(0, 1), min_size=2, max_size=2)))
    aside = draw(st.lists(st.floats(-2, 2), min_size=2, max_size=2))
    normal = np.array([-chord[1], chord[0]])
    inner = [start + s * chord + h * normal for s, h in zip(along, aside)]
    return np.array([start, *inner, start + chord])


@given(forward_curves())
def test_lines_stay_near_the_curve(control):
    corners = flatten(Outline(control, "LCCL", closed=False))
    dense = on_curve(control, np.linspace(0, 1, 2000))
    # The added points lie off the curve by less than the half pixel they may. Near a cusp the
    # rule measures from the chord's line beyond its ends, and promises nothing.
    step = np.linalg.norm(np.diff(dense, axis=0), axis=1).max()
    assert distances(corners, dense).max() <= 0.75 + step
    assert distances(dense, corners).max() <= 0.75


@given(CONTROL)
def test_curves_keep_their_ends(control):
    corners = flatten(Outline(control, "LCCL", closed=False))
    assert np.array_equal(corners[[0, -1]], control[[0, 3]])


def test_corners_alone_stay_as_they_are():
    square = np.array([[0, 0], [9, 0], [9, 9], [0, 9.0]])
    assert np.array_equal(flatten(Outline(square)), square)


def test_the_end_point_may_bear_either_letter():
    points = np.array([[0, 0], [10, 40], [50, 40], [60, 0], [30, -20.0]])
    assert np.array_equal(flatten(Outline(points, "LCCLL")), flatten(Outline(points, "LCCCL")))


def test_a_closed_path_curves_back_to_its_start():
    points = np.array([[0, 0], [60, 0], [50, 40], [10, 40.0]])
    looped = flatten(Outline(points, "LLCC"))
    spelled_out = flatten(Outline(np.vstack([points, points[:1]]), "LLCCL", closed=False))
    assert np.array_equal(looped, spelled_out[:-1])


@pytest.mark.parametrize("closed", [True, False])
def test_letters_that_run_out_draw_something_sane(closed):
    points = np.array([[0, 0], [60, 0], [50, 40.0]])
    corners = flatten(Outline(points, "LLC", closed))
    assert np.isfinite(corners).all()
    assert (corners.min(axis=0) >= 0).all()
    assert (corners.max(axis=0) <= [60, 40]).all()


SIX = st.tuples(
    hnp.arrays(np.float64, (6, 2), elements=st.integers(0, 99).map(float)),
    st.text("LC", min_size=6, max_size=6),
)


@given(st.lists(SIX, max_size=6))
def test_many_at_once_are_the_single_results(rows):
    paths = [Outline(points, types) for points, types in rows]
    for together, path in zip(flatten_many(paths), paths, strict=True):
        assert np.array_equal(together, flatten(path))
