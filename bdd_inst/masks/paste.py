"""Mask probabilities of the model's small square grid -> masks of the image, as Detectron2 pastes them.

Detectron2's rule (``layers/mask_ops.py``): the M x M grid covers the box; a pixel's value is the bilinear sample at its center with zeros
around the grid; a pixel is set where the value reaches the threshold; only pixels within one of the box's outer pixels are looked at.

``paste_masks`` does just that. ``paste_to_rles`` never visits the pixels: along an image column the value is linear between two rows of
the grid, so it searches the few places where it crosses the threshold and writes them down as run lengths. Where rounding could decide,
it asks the same sampler, so both give the same masks.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bdd_inst.masks import run_lengths
from bdd_inst.masks.rle_text import pack_edges

# A grid value this near the threshold may round to either side (float32, values up to 1).
_VALUE_ROUNDING = 3e-7
# Sample positions are good to about this share of the box.
_POSITION_ROUNDING = 1e-6
# Image columns looked at in one go: their values stay in the processor's cache.
_BLOCK = 8192


def paste_masks(
    mask_probs: Tensor, boxes: Tensor, image_size: tuple[int, int], threshold: float = 0.5
) -> Tensor:
    """N,M,M float probabilities and N,4 boxes (x1,y1,x2,y2 in image pixels) -> N,H,W bool on their device; ``image_size`` is (H, W).

    Args:
        mask_probs: N,M,M float, probabilities on a grid over each box.
        boxes: N,4 float, x1, y1, x2, y2 in pixels of the image, on any device.
        image_size: (height, width).
        threshold: a pixel is set where its value reaches it.

    Returns:
        N,H,W bool on the device of ``mask_probs``.
    """
    height, width = image_size
    out = torch.zeros((len(mask_probs), height, width), dtype=torch.bool, device=mask_probs.device)
    boxes = boxes.to(device=mask_probs.device, dtype=torch.float32)
    regions = _regions(boxes.cpu().numpy(), height, width)
    for row, mask, box, (x1, y1, x2, y2) in zip(out, mask_probs, boxes, regions.tolist()):
        if x2 > x1 and y2 > y1:
            row[y1:y2, x1:x2] = _sample(mask, box, (x1, y1, x2, y2)) >= threshold
    return out


def paste_to_rles(
    mask_probs: Tensor, boxes: Tensor, image_size: tuple[int, int], threshold: float = 0.5
) -> list[dict]:
    """The masks of :func:`paste_masks` as COCO RLEs ``{"size": [H, W], "counts": str}``, without making them.

    Args:
        mask_probs: N,M,M float, probabilities on a grid over each box.
        boxes: N,4 float, x1, y1, x2, y2 in pixels of the image.
        image_size: (height, width).
        threshold: a pixel is set where its value reaches it.

    Returns:
        N RLEs of ``image_size``.
    """
    height, width = (int(v) for v in image_size)
    probs = mask_probs.detach().to(device="cpu", dtype=torch.float32)
    boxes = boxes.detach().to(device="cpu", dtype=torch.float32)
    if not len(probs):
        return []
    search = _CrossingSearch(probs, boxes=boxes, height=height, width=width, threshold=threshold)
    texts = search.run()
    rles = [{"size": [height, width], "counts": text} for text in texts]
    for index in np.flatnonzero(search.unsure).tolist():
        x1, y1, x2, y2 = search.regions[index].tolist()
        if x2 > x1 and y2 > y1:
            crop = (_sample(probs[index], boxes[index], (x1, y1, x2, y2)) >= threshold).numpy()
            rles[index] = run_lengths.encode_crop(crop, x1, y=y1, height=height, width=width)
    return rles


def _regions(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """N,4 int64 x1,y1,x2,y2 (exclusive): the pixels looked at for each box (float32 N,4); empty for a box that is not finite."""
    finite = np.isfinite(boxes).all(axis=1, keepdims=True)
    # Beyond any image and still exact: a float32 of 1e30 has no int64.
    boxes = np.clip(np.where(finite, boxes, 0), -1e6, 1e6)
    low = np.maximum(np.floor(boxes[:, :2]) - 1, 0)
    high = np.minimum(np.ceil(boxes[:, 2:]) + 1, [width, height])
    return np.where(finite, np.concatenate([low, high], axis=1), 0).astype(np.int64)


def _sample(mask: Tensor, box: Tensor, region: tuple[int, int, int, int]) -> Tensor:
    """M,M grid over ``box`` sampled at the pixel centers of ``region`` -> h,w float."""
    x1, y1, x2, y2 = region
    # The same float32 steps in the same order as Detectron2's: a pixel's center from -1 to 1 over the box.
    rows = torch.arange(y1, y2, device=box.device, dtype=torch.float32) + 0.5
    columns = torch.arange(x1, x2, device=box.device, dtype=torch.float32) + 0.5
    rows = (rows - box[1]) / (box[3] - box[1]) * 2 - 1
    columns = (columns - box[0]) / (box[2] - box[0]) * 2 - 1
    grid = torch.stack(
        [columns[None, :].expand(len(rows), -1), rows[:, None].expand(-1, len(columns))], dim=2
    )
    values = F.grid_sample(mask[None, None].to(torch.float32), grid[None], align_corners=False)
    return values[0, 0]


class _CrossingSearch:
    """One call of :func:`paste_to_rles`, for all masks at once.

    Grid rows are called knots: knot k lies at grid row k - 1, knots 0 and M + 1 being the zeros around the grid. ``unsure`` (N bool)
    marks the masks that it leaves to the sampler.
    """

    def __init__(
        self, probs: Tensor, boxes: Tensor, height: int, width: int, threshold: float
    ) -> None:
        self.probs, self.boxes, self.height, self.width, self.threshold = (
            probs,
            boxes,
            height,
            width,
            threshold,
        )
        self.grid = probs.shape[-1]
        self.box = boxes.numpy()
        self.regions = _regions(self.box, height, width)
        sides = self.box[:, 2:] - self.box[:, :2]
        # Two zeros on each side of x, so that samples beyond the grid need no case of their own; one of y.
        padded = np.zeros((len(probs), self.grid + 4, self.grid + 2), dtype=np.float32)
        padded[:, 2:-2, 1:-1] = probs.numpy().transpose(0, 2, 1)
        self.table = padded.reshape(-1, self.grid + 2)
        # Where zero already reaches the threshold, or the box has no extent, crossings say nothing.
        self.unsure = ~(
            (sides > 0).all(axis=1) & np.isfinite(sides).all(axis=1) & (threshold > 1e-3)
        )

    def run(self) -> list[str]:
        """The counts of every mask (those of the unsure ones are undefined)."""
        x1, y1, x2, y2 = self.regions.T
        widths = np.where((x2 > x1) & (y2 > y1) & ~self.unsure, x2 - x1, 0)
        owner = np.repeat(np.arange(len(widths)), widths)
        column = np.arange(len(owner)) - np.repeat(np.cumsum(widths) - widths, widths) + x1[owner]
        found = [
            self._crossings(owner[k : k + _BLOCK], column[k : k + _BLOCK])
            for k in range(0, max(len(owner), 1), _BLOCK)
        ]
        crossed, edges = (np.concatenate(part) for part in zip(*found))
        # Two crossings within one pixel can swap by rounding: edges that run backwards belong to a mask for the sampler.
        swapped = (np.diff(edges) < 0) & (np.diff(crossed) == 0)
        self.unsure[crossed[1:][swapped]] = True
        return pack_edges(
            edges, np.bincount(crossed, minlength=len(widths)), self.height * self.width
        )

    def _crossings(self, owner: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For some image columns of some masks: the mask of each crossing, and its column-major place."""
        above = self._column_values(owner, column)
        above -= np.float32(self.threshold)
        self._mark_plateaus(above, owner)
        inside = above >= 0
        place = np.flatnonzero(inside[:, 1:] != inside[:, :-1])
        line, knot = np.divmod(place, self.grid + 1)
        rows = self._rows(above, line, knot=knot, owner=owner[line], column=column[line])
        return owner[line], column[line] * self.height + rows

    def _column_values(self, owner: np.ndarray, column: np.ndarray) -> np.ndarray:
        """C,M+2 float32: each image column's values at the knots (interpolated along x as the sampler does)."""
        size = self.grid
        left = self.box[:, 0][owner]
        position = (column.astype(np.float32) + np.float32(0.5) - left) / (
            self.box[:, 2] - self.box[:, 0]
        )[owner]
        position = (position * np.float32(2) - np.float32(1) + np.float32(1)) * np.float32(
            size / 2
        ) - np.float32(0.5)
        np.clip(position, -2, size, out=position)
        start = np.floor(position)
        share = (position - start)[:, None]
        row = owner * (size + 4) + (start.astype(np.int64) + 2)
        values = self.table[row]
        values *= 1 - share
        following = self.table[np.minimum(row + 1, len(self.table) - 1)]
        following *= share
        values += following
        return values

    def _mark_plateaus(self, above: np.ndarray, owner: np.ndarray) -> None:
        """Masks with a knot value at the threshold itself are left to the sampler: rounding would decide over whole stretches."""
        near = np.flatnonzero(np.abs(above).reshape(-1) <= _VALUE_ROUNDING)
        self.unsure[owner[near // above.shape[1]]] = True

    def _rows(
        self,
        above: np.ndarray,
        line: np.ndarray,
        knot: np.ndarray,
        owner: np.ndarray,
        column: np.ndarray,
    ) -> np.ndarray:
        """The image row at which each crossing takes effect: the first row beyond it."""
        # In float64: the error of this division must stay far below the tolerance that decides which crossings
        # the sampler is asked about.
        before, after = (
            above[line, knot].astype(np.float64),
            above[line, knot + 1].astype(np.float64),
        )
        box = self.box.astype(np.float64)
        top = box[:, 1][owner]
        side = (box[:, 3] - box[:, 1])[owner]
        step = side / self.grid
        # Knot k samples at (k - 0.5) steps below the top of the box; pixel r has its center at r + 0.5.
        crossing = top + (knot - 0.5 + before / (before - after)) * step - 0.5
        rows = np.ceil(crossing)
        rising = after >= 0
        nearest = np.rint(crossing)
        tolerance = _POSITION_ROUNDING * (side + np.abs(top)) + 4 * _VALUE_ROUNDING * step / np.abs(
            after - before
        )
        close = np.flatnonzero(np.abs(crossing - nearest) <= tolerance)
        if len(close):
            reached = self._ask(owner[close], column[close], nearest[close])
            # A rising crossing starts at the pixel if it is in; a falling one stops at it if it is out.
            rows[close] = nearest[close] + (reached != rising[close])
        y1, y2 = self.regions[:, 1][owner], self.regions[:, 3][owner]
        return np.clip(rows.astype(np.int64), y1, y2)

    def _ask(self, owner: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
        """What the sampler itself says of single pixels: K bool."""
        index = torch.from_numpy(owner)
        box = self.boxes[index]
        x = (torch.from_numpy(column).to(torch.float32) + 0.5 - box[:, 0]) / (
            box[:, 2] - box[:, 0]
        ) * 2 - 1
        y = (torch.from_numpy(row).to(torch.float32) + 0.5 - box[:, 1]) / (
            box[:, 3] - box[:, 1]
        ) * 2 - 1
        grid = torch.stack([x, y], dim=1)[:, None, None]
        values = F.grid_sample(self.probs[index][:, None], grid, align_corners=False)
        return (values.flatten() >= self.threshold).numpy()
