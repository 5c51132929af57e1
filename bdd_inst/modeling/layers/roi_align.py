"""RoIAlign (He et al. 2017) on the CPU as sums of weighted feature rows.

A cell's value is the mean of bilinear samples on a regular grid. The weight of a feature pixel in it is a product of one
weight along y and one along x, so samples that share pixels are summed first: a cell of g x g samples needs (g+1)^2 rows of
the N*H*W,C table instead of 4 g^2. The gradient adds whole rows back in the same way, where torchvision's operator adds
one value at a time on one core. The sample positions round as in torchvision's operator; boxes get no gradient, as there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# Boxes are worked on in groups whose cells have about as many samples; a group's are padded to one of these.
BUCKETS = torch.tensor([0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 1 << 30])
# Rows read at a time: a box of a whole image on a fine map asks for 10^5 of them, its index and weights for 1 MB.
MOST_ROWS = 1 << 23


@dataclass(slots=True)
class Axis:
    """Boxes along one axis of a map: first position, cell length (R float32 each), samples a cell (R int64)."""

    start: Tensor
    cell: Tensor
    samples: Tensor

    def __getitem__(self, rows: Tensor) -> Axis:
        return Axis(self.start[rows], self.cell[rows], self.samples[rows])


def roi_align_rows(
    feature: Tensor, rois: Tensor, size: int, scale: float, sampling_ratio: int, aligned: bool
) -> Tensor:
    """What ``torchvision.ops.roi_align`` computes, up to the order of its sums; differentiable in ``feature``.

    Args:
        feature: N,C,H,W; channels_last order saves a copy.
        rois: R,5 float32: image, x1, y1, x2, y2 in input pixels.
        size: side S of the grid; ``scale`` from input pixels to the map's.
        sampling_ratio: samples a cell and axis, 0 for as many as it has pixels.
        aligned: whether boxes are moved by half a pixel (V2).

    Returns:
        R,C,S,S in channels_last order.
    """
    _, channels, height, width = feature.shape
    table = feature.permute(0, 2, 3, 1).reshape(-1, channels)
    out = table.new_zeros(len(rois), size, size, channels)
    axes = [
        _axis(
            rois[:, i],
            rois[:, i + 2],
            size=size,
            scale=scale,
            ratio=sampling_ratio,
            aligned=aligned,
        )
        for i in (2, 1)
    ]
    buckets = [torch.bucketize(axis.samples, BUCKETS) for axis in axes]
    order, counts = _groups(buckets[0] * len(BUCKETS) + buckets[1])
    first = rois[:, 0].to(torch.int32) * (height * width)
    reads = size**2 * (axes[0].samples + 1) * (axes[1].samples + 1)
    for rows in _portions(order, counts, reads):
        (y, y_weight), (x, x_weight) = (
            _taps(axis[rows], size, length, merge=sampling_ratio == 0)
            for axis, length in zip(axes, (height, width), strict=True)
        )
        if not y.shape[2] or not x.shape[2]:
            continue  # boxes without extent have no samples: zeros
        y = y * width + first[rows, None, None]
        index = y[:, :, None, :, None] + x[:, None, :, None, :]
        weight = y_weight[:, :, None, :, None] * x_weight[:, None, :, None, :]
        bags = len(rows) * size * size
        pooled = F.embedding_bag(
            index.view(bags, -1),
            table,
            mode="sum",
            per_sample_weights=weight.view(bags, -1).to(table.dtype),
        )
        out[rows] = pooled.view(-1, size, size, channels)
    return out.permute(0, 3, 1, 2)


def _axis(low: Tensor, high: Tensor, size: int, scale: float, ratio: int, aligned: bool) -> Axis:
    offset = 0.5 if aligned else 0.0
    start, end = low * scale - offset, high * scale - offset
    # The first version makes every box a pixel wide at least; the aligned one lets a box be thinner than a pixel of the map.
    extent = end - start if aligned else (end - start).clamp(min=1.0)
    cell = extent / size
    samples = torch.full_like(cell, ratio) if ratio > 0 else torch.ceil(extent / size).clamp(min=0)
    return Axis(start, cell, samples.to(torch.int64))


def _groups(key: Tensor) -> tuple[Tensor, list[int]]:
    """Row numbers with equal keys together, and how many have each key."""
    order = torch.argsort(key)
    return order, torch.unique_consecutive(key[order], return_counts=True)[1].tolist()


def _portions(order: Tensor, counts: list[int], reads: Tensor) -> Iterator[Tensor]:
    """The rows of each group, in portions that read about MOST_ROWS rows at most (``reads``: R, of each box)."""
    for rows in order.split(counts):
        most = int(reads[rows].max())
        yield from rows.split(max(1, MOST_ROWS // max(most, 1)))


def _taps(axis: Axis, size: int, length: int, merge: bool) -> tuple[Tensor, Tensor]:
    """Pixels that each cell reads along one axis and their weights: R,S,T int32 and R,S,T float32.

    With ``merge`` neighboring samples are at most a pixel apart, and the pixels they share are summed.
    """
    most = int(axis.samples.max())
    step = torch.arange(most, dtype=torch.float32)
    count = axis.samples.to(torch.float32)
    cell = axis.cell[:, None]
    begin = axis.start[:, None] + torch.arange(size, dtype=torch.float32) * cell
    place = begin[:, :, None] + ((step + 0.5) * cell / count[:, None])[:, None]
    inside = (place >= -1) & (place <= length) & (step < count[:, None])[:, None]
    # Up to a pixel beyond the edge the operator reads the edge itself; farther out there is nothing.
    place = place.clamp(min=0)
    low = place.to(torch.int32).clamp(max=length - 1)
    far = torch.where(low >= length - 1, 0.0, place - low)
    share = inside / count[:, None, None]
    near, far = (1 - far) * share, far * share
    if not merge or not most:
        return torch.cat((low, (low + 1).clamp(max=length - 1)), dim=2), torch.cat(
            (near, far), dim=2
        )
    # Samples at most a pixel apart touch most + 1 pixels in a row: their weights are summed where they meet, and each pixel is read once.
    base = low[:, :, :1]
    number = torch.arange(most + 1, dtype=torch.int32)
    weight = near.new_zeros(*low.shape[:2], most + 2)
    offset = (low - base).clamp(max=most).to(torch.int64)
    weight.scatter_add_(2, offset, near).scatter_add_(2, offset + 1, far)
    return (base + number).clamp(max=length - 1), weight[:, :, :-1]
