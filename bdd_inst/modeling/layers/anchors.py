"""Anchors: boxes of given sizes and shapes at every cell of every feature map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class AnchorGenerator(nn.Module):
    """Anchors of every map, centered ``offset`` strides from the cell's top left corner.

    Args:
        sizes: square roots of the areas in pixels, a list a map (one list serves all maps).
        ratios: height over width, likewise.
        strides: pixels between cells, one a map.
        rounded: whole-pixel corners around the center, as torchvision's detectors were trained with.
    """

    def __init__(
        self,
        sizes: Sequence,
        ratios: Sequence,
        strides: Sequence[int],
        offset: float,
        rounded: bool = False,
    ):
        super().__init__()
        self.strides, self.offset = list(strides), offset
        per_map = zip(_per_map(sizes, len(strides)), _per_map(ratios, len(strides)), strict=True)
        cells = [cell_anchors(s, r).round() if rounded else cell_anchors(s, r) for s, r in per_map]
        self.per_cell = [len(cell) for cell in cells]
        for index, cell in enumerate(cells):
            # They follow from the config: nothing to save, and nothing that a checkpoint could contradict.
            self.register_buffer(f"cell{index}", cell, persistent=False)
        self._grids: dict = {}

    def forward(self, grid_sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
        """A map's (H, W) each to its H*W*A,4 float32 anchors, row by row, the cell's shapes innermost."""
        key = (tuple(map(tuple, grid_sizes)), self.cell0.device)
        if key not in self._grids:
            # Image sizes vary in training: a few recent grids are worth keeping, not all.
            if len(self._grids) >= 8:
                self._grids.pop(next(iter(self._grids)))
            self._grids[key] = [self._grid(index, *size) for index, size in enumerate(grid_sizes)]
        # Shared by every call of these sizes: nobody may change them in place.
        return self._grids[key]

    def _grid(self, index: int, height: int, width: int) -> Tensor:
        cell, stride = getattr(self, f"cell{index}"), self.strides[index]
        x = (
            torch.arange(width, dtype=torch.float32, device=cell.device) * stride
            + self.offset * stride
        )
        y = (
            torch.arange(height, dtype=torch.float32, device=cell.device) * stride
            + self.offset * stride
        )
        y, x = torch.meshgrid(y, x, indexing="ij")
        # The cell's shapes innermost: the order in which the RPN head's channels come, and Detectron2's weights with them.
        shifts = torch.stack((x, y, x, y), dim=-1)
        return (shifts[:, :, None] + cell).reshape(-1, 4)

    def __getstate__(self) -> dict:
        # Copies for other processes begin without the grids, which are quickly made and large.
        return {**self.__dict__, "_grids": {}}


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """A,4 float32: boxes around the origin, for each size every ratio; width = size / sqrt(ratio), height = ratio * width."""
    rows = []
    for size in sizes:
        for ratio in ratios:
            width = math.sqrt(size**2.0 / ratio)
            height = ratio * width
            rows.append((-width / 2, -height / 2, width / 2, height / 2))
    return torch.tensor(rows, dtype=torch.float32)


def _per_map(values: Sequence, maps: int) -> list:
    """A list a map from a flat list or a list of one list, which serve every map."""
    if not isinstance(values[0], (list, tuple)):
        return [values] * maps
    return list(values) * maps if len(values) == 1 else list(values)
