"""The two filling rules on shapes whose masks can be told by thought."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask

from bdd_inst.base.errors import DataError
from bdd_inst.masks import run_lengths
from bdd_inst.masks.outlines import Outline
from bdd_inst.masks.rasterize import objects_to_rles, polygons_to_mask, polygons_to_rle

POINTS = hnp.arrays(
    np.float64, st.tuples(st.integers(3, 8), st.just(2)), elements=st.floats(-20, 60, width=32)
)


def box(x1, y1, x2, y2) -> np.ndarray:
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], dtype=float)


def test_a_box_covers_its_pixels_and_no_more():
    mask = polygons_to_mask([box(2, 3, 7, 5)], 10, 12)
    expected = np.zeros((10, 12), bool)
    expected[3:5, 2:7] = True
    assert np.array_equal(mask, expected)


def test_vertices_snap_half_up():
    assert np.array_equal(
        polygons_to_mask([box(1.5, 2.5, 6.49, 4.5)], 9, 9),
        polygons_to_mask([box(2, 3, 6, 5)], 9, 9),
    )


def test_every_touched_pixel_is_painted():
    triangle = np.array([[0, 0], [8, 0], [0, 8.0]])
    assert np.array_equal(polygons_to_mask([triangle], 8, 8), np.add.outer(range(8), range(8)) < 8)
    # COCO's fill leaves the diagonal's half pixels out or takes them in; the official rule is never the smaller.
    assert polygons_to_mask([triangle], 8, 8, "coco").sum() <= 36


def test_winding_is_non_zero():
    twice = np.vstack([box(1, 1, 8, 8), box(1, 1, 8, 8)[:1], box(3, 3, 6, 6), box(3, 3, 6, 6)[:1]])
    assert polygons_to_mask([twice], 9, 9).sum() == 49
    back = np.vstack(
        [box(1, 1, 8, 8), box(1, 1, 8, 8)[:1], box(3, 3, 6, 6)[::-1], box(3, 3, 6, 6)[-1:]]
    )
    holed = polygons_to_mask([back], 9, 9)
    assert not holed[4, 4]
    assert holed[2, 2]


def test_parts_are_united():
    both = polygons_to_mask([box(0, 0, 4, 4), box(2, 2, 6, 6)], 8, 8)
    assert np.array_equal(
        both, polygons_to_mask([box(0, 0, 4, 4)], 8, 8) | polygons_to_mask([box(2, 2, 6, 6)], 8, 8)
    )


@pytest.mark.parametrize("rule", ["official", "coco"])
def test_objects_without_area_are_empty(rule):
    nothing = objects_to_rles(
        [[], [np.empty((0, 2))], [box(50, 50, 60, 60)], [box(-9, -9, -1, -1)]], 20, 30, rule
    )
    assert nothing == [run_lengths.empty(20, 30)] * 4


@given(POINTS)
def test_what_lies_outside_does_not_matter(points):
    large = polygons_to_mask([points + 50], 140, 140)
    # Cutting may move the outline by a part of a pixel at the border, no more.
    differ = polygons_to_mask([points], 40, 40) != large[50:90, 50:90]
    assert differ.sum() <= 4 * len(points)


@given(POINTS, st.integers(0, 10), st.integers(0, 10))
def test_moving_the_shape_moves_the_mask(points, right, down):
    points = np.floor(np.abs(points) / 2)
    here, there = (
        polygons_to_mask([points], 50, 50),
        polygons_to_mask([points + np.array([right, down])], 50, 50),
    )
    assert np.array_equal(np.roll(here, (down, right), (0, 1)), there)


@given(POINTS)
def test_painted_pixels_touch_the_shape_and_inner_ones_are_painted(points):
    points = np.floor(points) % 40
    mask = polygons_to_mask([points], 40, 40)
    # Winding number at the four quarter points of every pixel, by crossing counts: slow, obvious, independent.
    y, x = np.mgrid[0:40:0.5, 0:40:0.5] + 0.2503
    winding = np.zeros(x.shape, dtype=int)
    for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0)):
        side = (x2 - x1) * (y - y1) - (x - x1) * (y2 - y1)
        winding += ((y1 <= y) & (y < y2) & (side < 0)).astype(int) - (
            (y2 <= y) & (y < y1) & (side > 0)
        ).astype(int)
    quarters = (winding != 0).reshape(40, 2, 40, 2).transpose(0, 2, 1, 3).reshape(40, 40, 4)
    same_sign = (winding.reshape(40, 2, 40, 2).min(axis=(1, 3)) > 0) | (
        winding.reshape(40, 2, 40, 2).max(axis=(1, 3)) < 0
    )
    assert (mask | ~(quarters.all(axis=2) & same_sign)).all()
    # A pixel is not painted where it and its neighbors have no part of the shape and no edge near.
    low, high = points.min(axis=0), points.max(axis=0)
    rows, columns = np.nonzero(mask)
    assert (columns >= low[0]).all()
    assert (columns < high[0] + 1).all()
    assert (rows >= low[1]).all()
    assert (rows < high[1] + 1).all()


@given(st.lists(POINTS, min_size=1, max_size=3))
def test_coco_rule_is_pycocotools(parts):
    merged = coco_mask.merge(
        coco_mask.frPyObjects([part.ravel().tolist() for part in parts], 40, 50)
    )
    assert polygons_to_rle(parts, 40, 50, "coco")["counts"] == merged["counts"].decode()


def test_coco_rule_has_no_area_for_lines():
    line = Outline(np.array([[0, 0], [30, 30.0], [0, 9]]), "", closed=False)
    assert polygons_to_mask([line], 40, 40, "coco").sum() == 0
    assert 30 <= polygons_to_mask([line], 40, 40).sum() <= 200


@given(st.lists(st.lists(POINTS, max_size=3), max_size=5))
def test_many_at_once_are_the_single_results(objects):
    assert objects_to_rles(objects, 40, 40) == [polygons_to_rle(parts, 40, 40) for parts in objects]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e12])
@pytest.mark.parametrize("rule", ["official", "coco"])
def test_coordinates_of_no_image_are_refused(bad, rule):
    points = box(0, 0, 5, 5)
    points[2, 1] = bad
    with pytest.raises(DataError):
        polygons_to_mask([points], 10, 10, rule)


@pytest.mark.parametrize("objects", [1, 20])
def test_hostile_zigzags_take_bounded_memory(objects, rng):
    points = rng.random((objects, 4000 // objects, 2)) * [1280, 720]
    tracemalloc.start()
    together = objects_to_rles([[zigzag] for zigzag in points], 720, 1280)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e8
    assert together[-1] == polygons_to_rle([points[-1]], 720, 1280)


def test_images_without_pixels_and_of_too_many():
    assert polygons_to_mask([box(0, 0, 5, 5)], 0, 7).shape == (0, 7)
    with pytest.raises(DataError):
        polygons_to_mask([box(0, 0, 5, 5)], 10**6, 10**6)


def test_an_unknown_rule_is_named():
    with pytest.raises(ValueError, match="official, coco"):
        polygons_to_mask([box(0, 0, 5, 5)], 9, 9, "cocoa")
