"""Masks as bitmaps and as polygons: boxes, crops for training, padding of images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bdd_inst.structures import BitMasks, ImageList, PolygonMasks


def test_boxes_of_bitmaps():
    masks = torch.zeros(3, 10, 12)
    masks[0, 2:5, 3:9] = 1
    masks[2, 9, 11] = 1
    assert BitMasks(masks).get_bounding_boxes().tensor.tolist() == [
        [3, 2, 9, 5],
        [0, 0, 0, 0],
        [11, 9, 12, 10],
    ]
    assert BitMasks(masks).nonempty().tolist() == [True, False, True]
    assert BitMasks(masks).area().tolist() == [18, 0, 1]
    assert BitMasks(torch.zeros(0, 4, 4)).get_bounding_boxes().tensor.shape == (0, 4)


def test_boxes_of_polygons():
    masks = PolygonMasks([[[1, 2, 8, 3, 4, 9]], [[0, 0, 1, 0, 0, 1], [5, 6, 7, 6, 6, 8.5]], []])
    assert masks.get_bounding_boxes().tensor.tolist() == [
        [1, 2, 8, 9],
        [0, 0, 7, 8.5],
        [0, 0, 0, 0],
    ]
    assert masks.nonempty().tolist() == [True, True, False]
    assert PolygonMasks([[[0, 0, 4, 0, 4, 2, 0, 2]]]).area().tolist() == [8]


@pytest.mark.parametrize("polygon", [[0, 0, 1, 1], [0, 0, 1, 1, 2]])
def test_polygons_need_three_points(polygon):
    with pytest.raises(ValueError, match="three points"):
        PolygonMasks([[polygon]])


def test_crop_of_a_rectangle_is_where_it_lies():
    mask = torch.zeros(1, 40, 40)
    mask[0, 10:30, 10:20] = 1
    polygon = PolygonMasks([[[10, 10, 20, 10, 20, 30, 10, 30]]])
    box = torch.tensor([[10.0, 10, 30, 30]])
    expected = torch.zeros(28, 28, dtype=torch.bool)
    expected[:, :14] = True
    assert (BitMasks(mask).crop_and_resize(box, 28)[0] == expected).all()
    assert (polygon.crop_and_resize(box, 28)[0] == expected).all()


def test_crop_by_index_equals_crop_of_the_selected():
    rng = np.random.default_rng(1)
    polygons = PolygonMasks([[rng.uniform(0, 50, 10)] for _ in range(4)])
    bitmaps = BitMasks.from_polygon_masks(polygons, 50, 50)
    boxes = torch.tensor(rng.uniform(0, 20, (6, 4)), dtype=torch.float32)
    boxes[:, 2:] += boxes[:, :2] + 1
    index = torch.tensor([3, 3, 0, 1, 2, 0])
    for masks in (polygons, bitmaps):
        assert (
            masks.crop_and_resize(boxes, 14, index=index) == masks[index].crop_and_resize(boxes, 14)
        ).all()
        assert masks.crop_and_resize(boxes[:0], 14, index=index[:0]).shape == (0, 14, 14)
        with pytest.raises(ValueError, match="6 boxes for 4 masks"):
            masks.crop_and_resize(boxes, 14)


def test_box_without_extent_crops_to_something_finite():
    polygons = PolygonMasks([[[0, 0, 10, 0, 10, 10]]])
    assert polygons.crop_and_resize(torch.tensor([[5.0, 5, 5, 5]]), 8).shape == (1, 8, 8)


@pytest.mark.parametrize("channels_last", [False, True])
def test_image_list_pads_to_the_right_and_below(channels_last):
    images = [torch.rand(3, 5, 9), torch.rand(3, 8, 4)]
    batch = ImageList.from_tensors(images, 4, pad_value=-1, channels_last=channels_last)
    assert batch.tensor.shape == (2, 3, 8, 12)
    assert batch.image_sizes == [(5, 9), (8, 4)]
    for i, image in enumerate(images):
        assert (batch[i] == image).all()
    assert (batch.tensor[0, :, 5:] == -1).all()
    assert (batch.tensor[1, :, :, 4:] == -1).all()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert batch.tensor.is_contiguous(memory_format=layout)
