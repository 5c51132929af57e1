"""Masks of one image's objects as bitmaps of the whole image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import roi_align

from bdd_inst.structures.boxes import Boxes


class BitMasks:
    """N masks. Attributes: ``tensor`` N,H,W bool; ``image_size`` (H, W)."""

    def __init__(self, tensor: Tensor | np.ndarray):
        tensor = torch.as_tensor(tensor).to(torch.bool)
        if tensor.dim() != 3:
            raise ValueError(f"masks are N,H,W, not {tuple(tensor.shape)}")
        self.tensor = tensor

    @property
    def image_size(self) -> tuple[int, int]:
        return tuple(self.tensor.shape[1:])

    @property
    def device(self) -> torch.device:
        return self.tensor.device

    def to(self, *args, **kwargs) -> BitMasks:
        return BitMasks(self.tensor.to(*args, **kwargs))

    def __getitem__(self, item: int | slice | Tensor) -> BitMasks:
        return BitMasks(self.tensor[item][None] if isinstance(item, int) else self.tensor[item])

    def __iter__(self) -> Iterator[Tensor]:
        yield from self.tensor

    def __len__(self) -> int:
        return self.tensor.shape[0]

    def __repr__(self) -> str:
        return f"BitMasks(num_instances={len(self)})"

    def nonempty(self) -> Tensor:
        """N bool: at least one pixel is set."""
        return self.tensor.flatten(1).any(dim=1)

    def area(self) -> Tensor:
        """N int64: pixels set."""
        return self.tensor.flatten(1).sum(dim=1)

    def crop_and_resize(self, boxes: Tensor, mask_size: int, index: Tensor | None = None) -> Tensor:
        """Training targets: mask ``index[i]`` (else mask i) seen through box i on a grid.

        Args:
            boxes: R,4 in image coordinates.
            mask_size: side S of the grid.
            index: R int64, which mask each box looks at.

        Returns:
            R,S,S bool: the mask averaged over each cell by RoIAlign (aligned, adaptive sampling), at least one half.
        """
        boxes = boxes.to(self.device, torch.float32)
        index = (
            torch.arange(len(self), device=self.device) if index is None else index.to(self.device)
        )
        if len(index) != len(boxes):
            raise ValueError(f"{len(boxes)} boxes for {len(index)} masks")
        if not len(boxes):
            return torch.zeros(0, mask_size, mask_size, dtype=torch.bool, device=self.device)
        # RoIAlign reads image, x1, y1, x2, y2: here every mask is an image of its own, of one channel.
        rois = torch.cat([index[:, None].to(boxes), boxes], dim=1)
        seen = roi_align(
            self.tensor[:, None].to(torch.float32), rois, mask_size, 1.0, 0, aligned=True
        )
        # Detectron2's rule; one half itself counts as inside.
        return seen[:, 0] >= 0.5

    def get_bounding_boxes(self) -> Boxes:
        """The tight box of each mask; zeros for an empty one."""
        return Boxes(
            torch.cat(
                [_extent(self.tensor.any(dim=1)), _extent(self.tensor.any(dim=2))], dim=2
            ).flatten(1)
        )

    @staticmethod
    def from_polygon_masks(polygon_masks, height: int, width: int) -> BitMasks:
        """Fill polygons by COCO's rule; takes PolygonMasks or N lists of flat x, y arrays."""
        from bdd_inst.structures.polygon_masks import PolygonMasks, fill_polygons

        instances = (
            polygon_masks.polygons if isinstance(polygon_masks, PolygonMasks) else polygon_masks
        )
        out = np.zeros((len(instances), height, width), dtype=bool)
        for row, parts in zip(out, instances, strict=True):
            row[:] = fill_polygons(parts, height, width)
        return BitMasks(out)

    @staticmethod
    def cat(bitmasks_list: Sequence[BitMasks]) -> BitMasks:
        return BitMasks(torch.cat([masks.tensor for masks in bitmasks_list], dim=0))


def _extent(occupied: Tensor) -> Tensor:
    """N,L bool to N,2,1 float: first set position and one past the last, interleavable as (start, end)."""
    length = occupied.shape[1]
    position = torch.arange(length, device=occupied.device)
    # A minimum over no rows or columns is an error in torch, not a number.
    start = (
        torch.where(occupied, position, length).amin(dim=1)
        if length
        else position.new_zeros(len(occupied))
    )
    end = torch.where(occupied, position + 1, 0).amax(dim=1) if length else start
    start = torch.where(occupied.any(dim=1), start, 0)
    return torch.stack([start, end], dim=1)[:, :, None].to(torch.float32)
