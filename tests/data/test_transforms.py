"""Transforms: image, points, boxes and masks move together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bdd_inst.data.transforms import OUTSIDE, Chain, Crop, Flip, Resize, Rotate, nearest

SIZE = (37, 53)


def steps():
    crop = st.builds(
        lambda x, y, h, w: lambda size: Crop(size, x, y, (h, w)),
        st.integers(-9, 20),
        st.integers(-9, 20),
        st.integers(8, 40),
        st.integers(8, 40),
    )
    resize = st.builds(
        lambda h, w: lambda size: Resize(size, (h, w)), st.integers(5, 90), st.integers(5, 90)
    )
    flip = st.builds(lambda v: lambda size: Flip(size, v), st.booleans())
    return st.lists(st.one_of(crop, resize, flip), min_size=1, max_size=4)


def built(makers) -> Chain:
    made, size = [], SIZE
    for make in makers:
        made.append(make(size))
        size = made[-1].out
    return Chain(SIZE, made)


@given(steps(), st.integers(0, 2**32 - 1))
def test_index_tables_do_what_the_steps_do_one_by_one(makers, seed):
    chain = built(makers)
    mask = np.random.default_rng(seed).random(SIZE) < 0.5
    rows, columns = chain.tables()
    gathered = mask[rows][:, columns] & (rows != OUTSIDE)[:, None] & (columns != OUTSIDE)
    assert gathered.shape == chain.out
    assert np.array_equal(gathered, chain.mask(mask))


@given(st.integers(1, 400), st.integers(1, 400))
def test_nearest_is_what_pil_does_to_a_mask(length, out):
    mask = np.random.default_rng(length * 401 + out).integers(0, 255, (length, 3)).astype(np.uint8)
    assert np.array_equal(
        np.asarray(Image.fromarray(mask).resize((3, out), Image.Resampling.NEAREST)),
        mask[nearest(length, out)],
    )


@given(steps())
def test_boxes_stay_inside_the_image_and_hold_their_corners(makers):
    chain = built(makers)
    boxes = chain.boxes(np.array([[3.0, 4.0, 20.5, 30.0], [0.0, 0.0, 53.0, 37.0]]))
    height, width = chain.out
    assert (boxes >= 0).all()
    assert (boxes <= (width, height, width, height)).all()
    corners = chain.coords(np.array([[3.0, 4.0], [20.5, 30.0]]))
    low, high = (
        corners.min(axis=0).clip(0, (width, height)),
        corners.max(axis=0).clip(0, (width, height)),
    )
    assert np.allclose(boxes[0], [*low, *high])


@pytest.mark.parametrize("angle", [-33.0, 4.0, 90.0, 171.0])
def test_a_rotated_blob_stays_under_its_rotated_point(angle):
    mask = np.zeros((60, 90), bool)
    mask[20:29, 30:41] = True
    chain = Chain(mask.shape, [Rotate(mask.shape, angle)])
    ys, xs = np.nonzero(chain.mask(mask))
    middle = chain.coords(np.array([[35.5, 24.5]]))[0]
    assert np.hypot(xs.mean() + 0.5 - middle[0], ys.mean() + 0.5 - middle[1]) < 0.6
    assert abs(len(xs) - mask.sum()) < 12


def test_a_crop_beyond_the_border_pads_with_its_fill():
    image = Image.fromarray(np.full((10, 10, 3), 7, np.uint8))
    out = np.asarray(Crop((10, 10), -2, 5, (8, 14), fill=128).image(image))
    assert out.shape == (8, 14, 3)
    assert (out[:5, 2:12] == 7).all()
    assert (out[5:] == 128).all()
    assert (out[:, :2] == 128).all()
