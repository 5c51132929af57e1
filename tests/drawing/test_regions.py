"""Masks of every kind become the same crop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask

from bdd_inst.base.errors import DataError
from bdd_inst.drawing.regions import from_crop, from_polygons, from_rle, to_region, to_regions
from bdd_inst.structures import BitMasks, PolygonMasks, RLEMasks

HEIGHT, WIDTH = 37, 53


def full(region, height=HEIGHT, width=WIDTH):
    out = np.zeros((height, width), bool)
    if region is not None:
        h, w = region.mask.shape
        out[region.y : region.y + h, region.x : region.x + w] = region.mask > 0
    return out


def blob():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[5:20, 10:30] = True
    mask[10:14, 15:20] = False
    mask[30:36, 40:53] = True
    return mask


def coco(mask):
    return coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))


def uncompressed(mask):
    flat = mask.T.ravel().astype(int)
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


@pytest.mark.parametrize(
    "kind",
    [
        lambda m: m,
        lambda m: m.astype(np.uint8),
        lambda m: np.asfortranarray(m),
        lambda m: torch.from_numpy(m),
        lambda m: torch.from_numpy(m).float(),
        coco,
        lambda m: {"size": list(m.shape), "counts": coco(m)["counts"].decode()},
        uncompressed,
    ],
)
def test_all_kinds_of_one_mask_agree(kind):
    region = to_region(kind(blob()), HEIGHT, WIDTH)
    np.testing.assert_array_equal(full(region), blob())
    assert region.box == (10, 5, 53, 36)
    assert region.area == blob().sum()


def test_containers_of_masks():
    masks = np.stack([blob(), np.zeros_like(blob()), blob()[::-1]])
    rles = [{"size": [HEIGHT, WIDTH], "counts": coco(m)["counts"].decode()} for m in masks]
    for container in (
        masks,
        torch.from_numpy(masks),
        BitMasks(masks),
        RLEMasks(rles, (HEIGHT, WIDTH)),
        rles,
        list(masks),
    ):
        regions = to_regions(container, HEIGHT, WIDTH)
        assert regions[1] is None
        for region, mask in zip(regions, masks, strict=True):
            np.testing.assert_array_equal(full(region), mask)


@given(hnp.arrays(bool, st.tuples(st.integers(1, 20), st.integers(1, 20))))
def test_rle_crop_equals_pycocotools(mask):
    region = from_rle(coco(mask), *mask.shape)
    np.testing.assert_array_equal(full(region, *mask.shape), mask)


def test_polygons_fill_their_pixels_and_no_more():
    square = [[10, 5, 30, 5, 30, 20, 10, 20]]
    filled = full(to_region(square, HEIGHT, WIDTH))
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[5:20, 10:30] = True
    assert (filled != expected).sum() <= 2 * (
        15 + 20
    )  # OpenCV paints the edge's pixels too: at most one line around
    assert filled[expected].all()
    from_masks = to_regions(PolygonMasks([[np.array(square[0], float)]]), HEIGHT, WIDTH)[0]
    np.testing.assert_array_equal(full(from_masks), filled)


def test_parts_are_united_not_xored():
    part = [5.0, 5.0, 25.0, 5.0, 25.0, 25.0, 5.0, 25.0]
    np.testing.assert_array_equal(
        full(from_polygons([part, part], HEIGHT, WIDTH)), full(from_polygons([part], HEIGHT, WIDTH))
    )


@pytest.mark.parametrize(
    "polygons",
    [
        [],
        [[]],
        [[np.nan] * 6],
        [[1e30] * 6],
        [[-50.0, -50, -40, -50, -40, -40]],
        [[500.0, 500, 600, 500, 600, 600]],
    ],
)
def test_polygons_with_nothing_to_draw(polygons):
    assert to_region(polygons, HEIGHT, WIDTH) is None


def test_a_speck_keeps_a_pixel():
    assert from_polygons([[10.2, 10.2, 10.4, 10.2, 10.4, 10.4]], HEIGHT, WIDTH).area >= 1


@pytest.mark.parametrize(
    "mask",
    [
        np.zeros((3, 4), bool),
        {"size": [3, 4], "counts": "0"},
        {"size": [HEIGHT, WIDTH], "counts": "~"},
        7,
    ],
)
def test_misfits_are_refused_in_words(mask):
    with pytest.raises(DataError):
        to_region(mask, HEIGHT, WIDTH)


def test_enlarged_keeps_holes_and_place():
    ring = np.ones((9, 9), bool)
    ring[3:6, 3:6] = False
    region = from_crop(ring, 4, 2).enlarged(4)
    assert region.box == (16, 8, 52, 44)
    assert not region.mask[18, 18]
    assert region.mask[2, 18]
    assert abs(region.area - 16 * ring.sum()) < 0.1 * 16 * ring.sum()
