"""Polygon clipping against the pixels: fill, then crop."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from bdd_inst.masks.clip import clip_polygons
from bdd_inst.structures.polygon_masks import fill_polygons


@given(
    st.lists(st.tuples(st.integers(-10, 60), st.integers(-10, 60)), min_size=3, max_size=9),
    st.integers(0, 20),
    st.integers(0, 20),
)
def test_clipped_polygons_fill_what_the_crop_of_the_whole_fills(points, x, y):
    """Even-odd area is kept by clipping; whole coordinates and a canvas ten times as fine keep the rasteriser's rounding out of it."""
    polygon = np.array(points, float)
    assume(np.ptp(polygon, axis=0).min() > 0)
    scale, size = 10, (24, 31)
    whole = fill_polygons([((polygon + 10) * scale).reshape(-1)], 80 * scale, 80 * scale)
    window = whole[
        (y + 10) * scale : (y + 10 + size[0]) * scale, (x + 10) * scale : (x + 10 + size[1]) * scale
    ]
    parts = clip_polygons([polygon], x, y, size)
    clipped = (
        fill_polygons([(p * scale).reshape(-1) for p in parts], size[0] * scale, size[1] * scale)
        if parts
        else np.zeros_like(window)
    )
    # The two may part only along edges, by the rasteriser's own half pixel.
    assert (window != clipped).sum() <= 2 * len(points) * (
        window.shape[0] + window.shape[1]
    ) ** 0.5 + 0.01 * window.size


def test_the_box_is_not_widened_by_the_way_around_a_corner():
    """A polygon that passes outside a corner of the window must not leave a line along the edges to that corner."""
    polygon = np.array(
        [
            [5.0, 5.0],
            [40.0, 5.0],
            [40.0, 40.0],
            [5.0, 40.0],
            [5.0, 30.0],
            [35.0, 30.0],
            [35.0, 10.0],
            [5.0, 10.0],
        ]
    )
    parts = clip_polygons([polygon], 0, 0, (20, 20))
    every = np.concatenate(parts)
    assert every.min(axis=0).tolist() == [5.0, 5.0]
    assert every.max(axis=0).tolist() == [20.0, 10.0]


def test_a_polygon_inside_is_moved_only_and_one_outside_is_dropped():
    inside, outside = (
        np.array([[5.0, 5.0], [9.0, 5.0], [7.0, 8.0]]),
        np.array([[50.0, 5.0], [60.0, 5.0], [55.0, 9.0]]),
    )
    parts = clip_polygons([inside, outside], 2, 3, (20, 20))
    assert len(parts) == 1
    assert np.array_equal(parts[0], inside - (2, 3))
