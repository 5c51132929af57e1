"""Paths: what their constructors accept and refuse."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdd_inst.base.errors import DataError
from bdd_inst.masks.outlines import Outline, as_outline, check_vertices

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=12,
)


def test_v1_rows_become_vertices_and_letters():
    path = Outline.from_v1([[1, 2, "L"], [3, 4, "C"], [5, 6]], closed=False)
    assert path == Outline(np.array([[1.0, 2], [3, 4], [5, 6]]), "LCL", closed=False)
    assert path.curved
    assert path.bounds == (1, 2, 5, 6)


def test_coco_list_and_array_are_the_same_path():
    flat = [0.5, 1, 2, 3, 4, 5]
    assert as_outline(flat) == as_outline(np.array(flat).reshape(-1, 2)) == Outline.from_coco(flat)


def test_first_letter_is_no_curve():
    assert not Outline(np.zeros((3, 2)), "CLL").curved


def test_empty_path_has_bounds():
    assert Outline.checked([]).bounds == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("vertices", "types", "said"),
    [
        ([[0, 0], [1, float("nan")]], "", "nan"),
        ([[0, 0], [1, 1e30]], "", "1e\\+30"),
        ([[0, 0, 0]], "", "shape"),
        ([[0, 0]], "LL", "1 vertices but 2 types"),
        ([[0, 0]], "X", "'X'"),
        ("ab", "", "pairs of numbers"),
    ],
)
def test_bad_vertices_are_named(vertices, types, said):
    with pytest.raises(DataError, match=said):
        Outline.checked(vertices, types)


@given(ANYTHING)
def test_anything_else_is_a_data_error(value):
    for make in (Outline.checked, Outline.from_v1, Outline.from_coco):
        with contextlib.suppress(DataError):
            check_vertices(make(value).vertices)
