"""RoIAlign of a crop of a bitmap, with the values that the operator computes on the whole bitmap.

RoIAlign (aligned, adaptive sampling: Mask R-CNN, arXiv 1703.06870; the half-pixel shift as in Detectron2) averages bilinear samples over
each cell. The weights of a sample are a product of one in y and one in x, so the average over a cell is a row vector times the mask times
a column vector. Its float32 sum has another order than the operator's; values so near to one half that the order could
decide are summed again in the operator's own order.
"""

from __future__ import annotations

import numpy as np

# Far above the rounding of either sum of at most a few thousand terms.
UNSURE = np.float32(1e-4)


def average_cells(
    crop: np.ndarray,
    corner: tuple[int, int],
    image_size: tuple[int, int],
    rois: np.ndarray,
    side: int,
) -> np.ndarray:
    """The mean of a bitmap over a grid in each box.

    Args:
        crop: h,w of 0 and 1, the part of the bitmap that is not all zero.
        corner: x, y of the crop's first pixel in the whole bitmap.
        image_size: H, W of the whole bitmap.
        rois: R,4 float32, x1, y1, x2, y2 in its coordinates.
        side: cells along each side.

    Returns:
        R,side,side float32.
    """
    height, width = image_size
    rows = axis_samples(rois[:, 1], rois[:, 3], height, side)
    columns = axis_samples(rois[:, 0], rois[:, 2], width, side)
    down = axis_weights(rows, corner[1], extent=crop.shape[0], boxes=len(rois), side=side)
    across = axis_weights(columns, corner[0], extent=crop.shape[1], boxes=len(rois), side=side)
    # Two matrix products for all cells of all boxes, where the operator goes sample by sample.
    half = down.reshape(-1, crop.shape[0]) @ crop.astype(np.float32)
    out = np.matmul(half.reshape(len(rois), side, -1), across.transpose(0, 2, 1))
    out *= (rows.share * columns.share)[:, None, None]
    # A target is whether the mean reaches one half: only where the order of the sum could tip that must it be the operator's own.
    for r, i, j in np.argwhere(np.abs(out - 0.5) < UNSURE):
        out[r, i, j] = cell_in_order(crop, corner, rows.of(r, i), columns.of(r, j))
    return out


class AxisSamples:
    """The samples of all boxes along one axis, R boxes of ``side`` cells of ``grid[r]`` samples each, flat in that order.

    ``low`` and ``high`` are the two pixels of each sample and ``near``, ``far`` their weights (float32, both 0 where the
    sample lies outside the bitmap); ``share`` R is one over the samples of a cell.
    """

    def __init__(
        self,
        low: np.ndarray,
        near: np.ndarray,
        far: np.ndarray,
        last: int,
        grid: np.ndarray,
        side: int,
    ):
        self.low, self.high = low, np.minimum(low + 1, last)
        self.near, self.far, self.grid, self.side = near, far, grid, side
        self.starts = np.concatenate([[0], np.cumsum(grid * side)])
        self.share = (1.0 / np.maximum(grid, 1)).astype(np.float32)

    def of(self, roi: int, cell: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """``low, high, near, far`` of one cell's samples, S entries each."""
        start = self.starts[roi] + cell * self.grid[roi]
        part = slice(start, start + self.grid[roi])
        return self.low[part], self.high[part], self.near[part], self.far[part]


def axis_samples(start: np.ndarray, end: np.ndarray, length: int, side: int) -> AxisSamples:
    """Where the operator samples along one axis of ``length`` pixels for boxes from ``start`` to ``end`` (R float32), in float32 as it
    does."""
    # The half pixel of the aligned operator: pixel 0 has its center at 0.5 of the box's coordinates.
    begin = start.astype(np.float32) - np.float32(0.5)
    extent = (end.astype(np.float32) - np.float32(0.5)) - begin
    cell = extent / np.float32(side)
    # Adaptive sampling: as many samples along a cell as it is pixels long, none for a box without extent.
    grid = np.maximum(np.ceil(cell), 0).astype(np.int64)
    roi = np.repeat(np.arange(len(start)), grid * side)
    first = np.concatenate([[0], np.cumsum(grid * side)])[roi]
    number = np.arange(len(roi)) - first
    index, step = number // grid[roi], number % grid[roi]
    size, count = cell[roi], grid[roi].astype(np.float32)
    place = (
        begin[roi]
        + index.astype(np.float32) * size
        + (step.astype(np.float32) + np.float32(0.5)) * size / count
    )
    # The operator's edges: within a pixel of the bitmap the edge pixel is read, beyond it 0 counts.
    outside = (place < -1) | (place > length)
    place = np.maximum(place, np.float32(0))
    # Truncation is rounding down here: places are at least 0.
    low = np.minimum(place.astype(np.int64), length - 1)
    place = np.where(low >= length - 1, low.astype(np.float32), place)
    far = place - low.astype(np.float32)
    near = np.float32(1) - far
    near[outside] = 0
    far[outside] = 0
    return AxisSamples(low, near=near, far=far, last=length - 1, grid=grid, side=side)


def axis_weights(
    samples: AxisSamples, corner: int, extent: int, boxes: int, side: int
) -> np.ndarray:
    """R,side,extent float32: the summed weight of each pixel of the crop in each cell."""
    cell = np.repeat(np.arange(boxes * side), np.repeat(samples.grid, side))
    # bincount adds in float64 whatever it is given; rounding to float32 comes once, at the end.
    total = np.zeros(boxes * side * extent, np.float64)
    for pixel, weight in ((samples.low, samples.near), (samples.high, samples.far)):
        inside = (pixel >= corner) & (pixel < corner + extent)
        flat = cell[inside] * extent + pixel[inside] - corner
        total += np.bincount(flat, weight[inside], minlength=len(total))
    return total.astype(np.float32).reshape(boxes, side, extent)


def cell_in_order(
    crop: np.ndarray, corner: tuple[int, int], rows: tuple, columns: tuple
) -> np.float32:
    """The mean of one cell of a crop (h,w float32), added up sample by sample in the operator's order."""
    y_low, y_high, hy, ly = rows
    x_low, x_high, hx, lx = columns

    def at(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        y, x = y - corner[1], x - corner[0]
        inside = ((y >= 0) & (y < crop.shape[0]))[:, None] & ((x >= 0) & (x < crop.shape[1]))[None]
        values = crop[np.clip(y, 0, crop.shape[0] - 1)][:, np.clip(x, 0, crop.shape[1] - 1)]
        return np.where(inside, values, 0).astype(np.float32)

    terms = hy[:, None] * hx * at(y_low, x_low)
    terms = terms + hy[:, None] * lx * at(y_low, x_high)
    terms = terms + ly[:, None] * hx * at(y_high, x_low)
    terms = terms + ly[:, None] * lx * at(y_high, x_high)
    # A running sum adds from left to right in float32, which pairwise summation would not.
    summed = np.add.accumulate(terms.reshape(-1), dtype=np.float32)
    return summed[-1] / np.float32(terms.size) if terms.size else np.float32(0)
