"""Labels stay inside the image and off each other."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bdd_inst.drawing.placement import overlap, place_labels

TAG = np.array([60, 15])
box = st.tuples(st.floats(0, 1279), st.floats(0, 719), st.floats(1, 400), st.floats(1, 300)).map(
    lambda b: (b[0], b[1], min(b[0] + b[2], 1280), min(b[1] + b[3], 720))
)


@given(st.lists(box, max_size=30))
def test_labels_never_leave_the_image(boxes):
    corners = place_labels(np.array(boxes).reshape(-1, 4), np.tile(TAG, (len(boxes), 1)), 1280, 720)
    assert corners.shape == (len(boxes), 2)
    assert (corners >= 0).all()
    assert (corners + TAG <= [1280, 720]).all()


def test_a_row_of_parked_cars_gets_labels_apart():
    boxes = np.array([(400 + 25 * i, 350, 440 + 25 * i, 380) for i in range(20)], float)
    corners = place_labels(boxes, np.tile(TAG, (20, 1)), 1280, 720)
    rectangles = np.hstack([corners, corners + TAG])
    shared = overlap(rectangles, rectangles)
    np.fill_diagonal(shared, 0)
    assert shared.max() <= 0.15 * 60 * 15


def test_a_lone_object_is_named_right_above_it():
    corners = place_labels(np.array([[100.0, 200, 300, 400]]), TAG[None], 1280, 720)
    assert corners.tolist() == [[100, 185]]


def test_a_small_object_is_not_covered_by_its_own_label():
    small = np.array([[3.0, 2, 15, 12]])
    corner = place_labels(small, TAG[None], 1280, 720)[0]
    assert overlap(np.array([[*corner, *(corner + TAG)]], float), small)[0, 0] <= 0.12 * 120


def test_a_label_larger_than_the_image_starts_at_its_corner():
    assert place_labels(np.array([[0.0, 0, 1, 1]]), TAG[None], 1, 1).tolist() == [[0, 0]]
