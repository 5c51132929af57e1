"""Axis-aligned boxes: rows of x1, y1, x2, y2 in continuous pixel coordinates, the far edge exclusive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor


class BoxMode(IntEnum):
    """How four box numbers are to be read; the values are those of Detectron2's dataset dicts."""

    XYXY_ABS = 0
    XYWH_ABS = 1
    XYXY_REL = 2
    XYWH_REL = 3
    XYWHA_ABS = 4

    @staticmethod
    def convert(box: Sequence[float] | np.ndarray | Tensor, from_mode: int, to_mode: int):
        """One box or N,4 boxes between the absolute modes; type and dtype of ``box`` are kept.

        Raises:
            ValueError: a mode other than XYXY_ABS and XYWH_ABS.
        """
        if from_mode == to_mode:
            return box
        if {int(from_mode), int(to_mode)} != {BoxMode.XYXY_ABS, BoxMode.XYWH_ABS}:
            raise ValueError(
                f"boxes convert between XYXY_ABS and XYWH_ABS only, not {BoxMode(from_mode).name} to {BoxMode(to_mode).name}"
            )
        # Both ways change the last two numbers alone: by adding the corner, or taking it away.
        sign = 1 if from_mode == BoxMode.XYWH_ABS else -1
        # Lists and tuples in plain arithmetic: most calls convert a single box of a dict.
        if isinstance(box, (list, tuple)):
            x, y, c, d = box
            return type(box)((x, y, c + sign * x, d + sign * y))
        out = box.clone() if isinstance(box, Tensor) else np.array(box)
        out[..., 2:] = out[..., 2:] + sign * out[..., :2]
        return out


class Boxes:
    """N boxes. Attribute ``tensor``: float32 N,4, each row x1, y1, x2, y2."""

    def __init__(self, tensor: Tensor | np.ndarray | Sequence):
        if not isinstance(tensor, Tensor):
            tensor = torch.as_tensor(np.asarray(tensor, dtype=np.float32))
        tensor = tensor.to(torch.float32)
        if tensor.numel() == 0:
            tensor = tensor.reshape(0, 4)
        if tensor.dim() != 2 or tensor.shape[1] != 4:
            raise ValueError(f"boxes are N,4, not {tuple(tensor.shape)}")
        self.tensor = tensor

    def clone(self) -> Boxes:
        return Boxes(self.tensor.clone())

    def to(self, *args, **kwargs) -> Boxes:
        return Boxes(self.tensor.to(*args, **kwargs))

    @property
    def device(self) -> torch.device:
        return self.tensor.device

    def area(self) -> Tensor:
        """N float32: width times height, square pixels."""
        x1, y1, x2, y2 = self.tensor.unbind(1)
        return (x2 - x1) * (y2 - y1)

    def clip(self, box_size: tuple[int, int]) -> None:
        """In place: limit x to [0, width] and y to [0, height] of ``box_size`` = (height, width)."""
        height, width = box_size
        x1, y1, x2, y2 = self.tensor.unbind(1)
        # A new tensor: clamping in place would also change the boxes of whoever shares the old one.
        self.tensor = torch.stack(
            (x1.clamp(0, width), y1.clamp(0, height), x2.clamp(0, width), y2.clamp(0, height)),
            dim=1,
        )

    def nonempty(self, threshold: float = 0.0) -> Tensor:
        """N bool: both sides longer than ``threshold``."""
        # No comparison holds for NaN: such a box counts as empty.
        sides = self.tensor[:, 2:] - self.tensor[:, :2]
        return (sides > threshold).all(dim=1)

    def inside_box(self, box_size: tuple[int, int], boundary_threshold: int = 0) -> Tensor:
        """N bool: no side reaches further than ``boundary_threshold`` beyond (height, width)."""
        height, width = box_size
        limit = self.tensor.new_tensor([width, height]) + boundary_threshold
        # Far edges are exclusive, and still below the limit strictly, as in Detectron2.
        return (self.tensor[:, :2] >= -boundary_threshold).all(1) & (
            self.tensor[:, 2:] < limit
        ).all(1)

    def get_centers(self) -> Tensor:
        """N,2: x, y of the middle."""
        return (self.tensor[:, :2] + self.tensor[:, 2:]) / 2

    def scale(self, scale_x: float, scale_y: float) -> None:
        """In place: stretch about the origin."""
        # In the tensor itself, which may be shared: clone the boxes first where that matters.
        self.tensor[:, 0::2] *= scale_x
        self.tensor[:, 1::2] *= scale_y

    @classmethod
    def cat(cls, boxes_list: Sequence[Boxes]) -> Boxes:
        """All boxes in order; an empty list gives no boxes."""
        if not boxes_list:
            return cls(torch.empty(0, 4))
        return cls(torch.cat([boxes.tensor for boxes in boxes_list], dim=0))

    def __getitem__(self, item: int | slice | Tensor) -> Boxes:
        if isinstance(item, int):
            return Boxes(self.tensor[item].view(1, 4))
        return Boxes(self.tensor[item])

    def __len__(self) -> int:
        return self.tensor.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        yield from self.tensor

    def __repr__(self) -> str:
        return f"Boxes({self.tensor})"


def pairwise_intersection(boxes1: Boxes, boxes2: Boxes) -> Tensor:
    """N,M float32: the area that each pair shares, square pixels."""
    first, second = boxes1.tensor, boxes2.tensor
    sides = torch.min(first[:, None, 2:], second[:, 2:]) - torch.max(
        first[:, None, :2], second[:, :2]
    )
    # Two boxes apart in x and in y have two negative sides: clamped first, for their product is positive.
    return sides.clamp_(min=0).prod(dim=2)


def pairwise_iou(boxes1: Boxes, boxes2: Boxes) -> Tensor:
    """N,M float32: intersection over union; 0 where the two do not meet (also for two empty boxes)."""
    # Two boxes without area have a union of 0: the quotient, then NaN, is taken only where something is shared.
    shared = pairwise_intersection(boxes1, boxes2)
    union = boxes1.area()[:, None] + boxes2.area() - shared
    return torch.where(shared > 0, shared / union, shared.new_zeros(1))


def pairwise_ioa(boxes1: Boxes, boxes2: Boxes) -> Tensor:
    """N,M float32: intersection over the area of the second box (the crowd rule of COCO)."""
    shared = pairwise_intersection(boxes1, boxes2)
    return torch.where(shared > 0, shared / boxes2.area(), shared.new_zeros(1))


def matched_boxlist_iou(boxes1: Boxes, boxes2: Boxes) -> Tensor:
    """N float32: intersection over union of row i with row i; NaN where both boxes are without area.

    Raises:
        ValueError: lists of unequal length.
    """
    if len(boxes1) != len(boxes2):
        raise ValueError(f"paired boxes need equal numbers, got {len(boxes1)} and {len(boxes2)}")
    first, second = boxes1.tensor, boxes2.tensor
    sides = torch.min(first[:, 2:], second[:, 2:]) - torch.max(first[:, :2], second[:, :2])
    shared = sides.clamp(min=0).prod(dim=1)
    return shared / (boxes1.area() + boxes2.area() - shared)
