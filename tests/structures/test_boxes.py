"""Boxes: geometry against a slow and obvious implementation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import box_iou

from bdd_inst.structures import Boxes, BoxMode, matched_boxlist_iou, pairwise_ioa, pairwise_iou

side = st.integers(0, 30)
box = st.tuples(side, side, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))


def counted(first: tuple, second: tuple) -> tuple[int, int]:
    """Unit squares in both, and in either."""
    squares = [
        {(x, y) for x in range(b[0], b[2]) for y in range(b[1], b[3])} for b in (first, second)
    ]
    return len(squares[0] & squares[1]), len(squares[0] | squares[1])


@given(st.lists(box, min_size=1, max_size=3), st.lists(box, min_size=1, max_size=3))
def test_iou_counts_squares(first, second):
    got = pairwise_iou(Boxes(first), Boxes(second))
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            shared, union = counted(a, b)
            assert got[i, j].item() == pytest.approx(shared / union if shared else 0.0)


def test_iou_agrees_with_torchvision():
    boxes = torch.rand(40, 4) * 100
    boxes[:, 2:] += boxes[:, :2]
    torch.testing.assert_close(
        pairwise_iou(Boxes(boxes), Boxes(boxes[:7])), box_iou(boxes, boxes[:7])
    )


def test_ioa_is_relative_to_the_second():
    assert pairwise_ioa(Boxes([[0, 0, 10, 10]]), Boxes([[5, 5, 15, 15]])).item() == pytest.approx(
        0.25
    )


def test_matched_iou_is_the_diagonal():
    boxes = torch.tensor([[0.0, 0, 4, 4], [1, 1, 3, 5]])
    other = torch.tensor([[0.0, 0, 2, 4], [1, 2, 3, 5]])
    torch.testing.assert_close(
        matched_boxlist_iou(Boxes(boxes), Boxes(other)),
        pairwise_iou(Boxes(boxes), Boxes(other)).diagonal(),
    )
    with pytest.raises(ValueError, match="equal numbers"):
        matched_boxlist_iou(Boxes(boxes), Boxes(other[:1]))


def test_no_boxes():
    empty = Boxes([])
    assert len(empty) == 0
    assert pairwise_iou(empty, Boxes([[0, 0, 1, 1]])).shape == (0, 1)
    assert len(Boxes.cat([])) == 0


def test_clip_scale_nonempty():
    boxes = Boxes([[-5, 2, 20, 30], [50, 0, 60, 4]])
    boxes.clip((10, 12))
    assert boxes.tensor.tolist() == [[0, 2, 12, 10], [12, 0, 12, 4]]
    assert boxes.nonempty().tolist() == [True, False]
    boxes.scale(2, 3)
    assert boxes.tensor[0].tolist() == [0, 6, 24, 30]
    assert boxes.area().tolist() == [576, 0]
    assert boxes.get_centers()[0].tolist() == [12, 18]


def test_inside_box():
    boxes = Boxes([[0, 0, 5, 5], [-1, 0, 5, 5], [0, 0, 10, 5]])
    assert boxes.inside_box((10, 10)).tolist() == [True, False, False]
    assert boxes.inside_box((10, 10), 2).tolist() == [True, True, True]


@pytest.mark.parametrize("make", [list, tuple, np.array, torch.tensor])
def test_mode_there_and_back(make):
    given_box = make([3.0, 4.0, 10.0, 20.0])
    there = BoxMode.convert(given_box, BoxMode.XYXY_ABS, BoxMode.XYWH_ABS)
    assert list(there) == [3, 4, 7, 16]
    assert list(BoxMode.convert(there, BoxMode.XYWH_ABS, BoxMode.XYXY_ABS)) == [3, 4, 10, 20]
    assert type(there) is type(given_box)


def test_mode_refuses_what_it_cannot():
    with pytest.raises(ValueError, match="XYWHA_ABS"):
        BoxMode.convert([0, 0, 1, 1], BoxMode.XYWHA_ABS, BoxMode.XYXY_ABS)


def test_shape_is_checked():
    with pytest.raises(ValueError, match="N,4"):
        Boxes([[1, 2, 3]])
