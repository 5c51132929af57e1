"""RoIAlign over a pyramid: each box is pooled from the map that suits its size (FPN paper, equation 1).

Boxes are float32 in pixels of the input; features are of the maps' precision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from bdd_inst.modeling.layers.roi_align import roi_align_rows

CANONICAL_SIZE, CANONICAL_LEVEL = 224, 4  # a box of 224 px belongs to the map of stride 2**4


class ROIPooler(nn.Module):
    """Boxes of a batch to R,C,S,S features.

    Args:
        size: side S of the grid.
        strides: of the maps, finest first, each twice the one before.
        sampling_ratio: samples a cell and axis; 0 takes as many as the box has pixels there.
        aligned: RoIAlign V2, which moves the box by half a pixel so that pixel centers and samples agree; V1 does not
            and makes every box at least 1 px wide.
    """

    def __init__(self, size: int, strides: Sequence[int], sampling_ratio: int, aligned: bool):
        super().__init__()
        self.size, self.strides, self.sampling_ratio, self.aligned = (
            size,
            list(strides),
            sampling_ratio,
            aligned,
        )
        self.finest = int(math.log2(strides[0]))

    def forward(self, features: Sequence[Tensor], boxes: Sequence[Tensor]) -> Tensor:
        """Maps N,C,H,W (finest first) and N lists of R_i,4 boxes in input pixels to sum(R_i),C,S,S."""
        rois = torch.cat(
            [torch.cat((b.new_full((len(b), 1), i), b), dim=1) for i, b in enumerate(boxes)]
        )
        if len(features) == 1:
            return self._align(features[0], rois, self.strides[0])
        level = self.assign(rois[:, 1:])
        # Each map pools its own boxes; the rows are put back into the order of the boxes below.
        parts, order = [], []
        for index, (feature, stride) in enumerate(zip(features, self.strides, strict=True)):
            order.append((level == index).nonzero().flatten())
            parts.append(self._align(feature, rois[order[-1]], stride))
        layout = (
            torch.channels_last
            if all(p.is_contiguous(memory_format=torch.channels_last) for p in parts)
            else torch.contiguous_format
        )
        # One tensor in the order of the boxes: joining the parts and sorting them back would copy all features twice.
        shape = (len(rois), *parts[0].shape[1:])
        out = torch.empty(shape, dtype=parts[0].dtype, device=rois.device, memory_format=layout)
        for rows, part in zip(order, parts, strict=True):
            out = out.index_put_((rows,), part)
        return out

    def assign(self, boxes: Tensor) -> Tensor:
        """R,4 boxes to the index of the map each is pooled from."""
        sides = torch.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
        # The small number keeps boxes without area finite; they go to the finest map.
        level = torch.floor(CANONICAL_LEVEL + torch.log2(sides / CANONICAL_SIZE + 1e-8))
        return (
            level.clamp(self.finest, self.finest + len(self.strides) - 1).to(torch.int64)
            - self.finest
        )

    def _align(self, feature: Tensor, rois: Tensor, stride: int) -> Tensor:
        # In double precision nothing may be rounded to float32 on the way, as the rows' weights are.
        if feature.device.type == "cpu" and feature.dtype != torch.float64:
            learns = torch.is_grad_enabled() and feature.requires_grad
            # Gradients of many overlapping boxes are summed pixel by pixel: in float32, whatever the precision of the map.
            table = feature.float() if learns else feature
            pooled = roi_align_rows(
                table,
                rois,
                size=self.size,
                scale=1.0 / stride,
                sampling_ratio=self.sampling_ratio,
                aligned=self.aligned,
            )
            return pooled.to(feature.dtype)
        return roi_align(
            feature,
            rois.to(feature.dtype),
            self.size,
            1.0 / stride,
            self.sampling_ratio,
            self.aligned,
        )
