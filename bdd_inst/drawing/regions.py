"""Masks of every kind as small crops that can be painted: RLE, polygons, bitmaps, tensors, RLEMasks, PolygonMasks, BitMasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.masks import run_lengths

SHIFT = 4  # OpenCV's fixed-point coordinates: 1/16 pixel
FAR = 1 << 20  # coordinates beyond this would overflow the fixed point


@dataclass(slots=True)
class Region:
    """A mask's crop: ``mask`` h,w uint8 (0 or 255) with its corner at x, y; ``contours`` V,2 float32, pixel corners as origin.

    ``traced``: the contours were found along the mask's pixels, not given as polygons.
    """

    x: int
    y: int
    mask: np.ndarray
    contours: list[np.ndarray]
    traced: bool = False

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2 around the set pixels, exclusive."""
        return self.x, self.y, self.x + self.mask.shape[1], self.y + self.mask.shape[0]

    @property
    def area(self) -> int:
        """Pixels set."""
        return int(cv2.countNonZero(self.mask))

    def enlarged(self, factor: int) -> Region:
        """The same mask on an image that is ``factor`` times as large, with smooth edges."""
        soft = cv2.resize(self.mask, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
        mask = np.where(soft > 127, np.uint8(255), np.uint8(0))
        if self.traced:
            return from_crop(mask, self.x * factor, self.y * factor)
        return Region(
            self.x * factor, self.y * factor, mask, [c * np.float32(factor) for c in self.contours]
        )


def to_regions(masks: object, height: int, width: int) -> list[Region | None]:
    """One region per mask; None where a mask is absent or empty.

    Args:
        masks: N,H,W bool array or tensor; RLEMasks, BitMasks, PolygonMasks; or a sequence of any mix of
            H,W arrays or tensors, RLE dicts, lists of flat x, y polygons, and None.
        height, width: of the image.

    Raises:
        DataError: a mask of another size than the image, or of no known kind.
    """
    masks = getattr(masks, "polygons", masks)
    masks = (
        getattr(masks, "rles", masks) if not isinstance(masks, list | tuple | np.ndarray) else masks
    )
    masks = getattr(masks, "tensor", masks)
    return [to_region(mask, height, width) for mask in masks]


def to_region(mask: object, height: int, width: int) -> Region | None:
    """One mask of any kind as a region; see :func:`to_regions`."""
    if mask is None:
        return None
    if isinstance(mask, dict):
        return from_rle(mask, height, width)
    if hasattr(mask, "detach"):
        mask = mask.detach().cpu().numpy()
    # V,2 is taken for an outline: hardly any image is two pixels wide.
    if isinstance(mask, np.ndarray) and mask.ndim == 2 and mask.shape[1] != 2:
        return from_bitmap(mask, height, width)
    if isinstance(mask, Sequence | np.ndarray):
        return from_polygons(mask, height, width)
    raise DataError(f"a mask is a bitmap, an RLE or a list of polygons, not {type(mask).__name__}")


def from_bitmap(mask: np.ndarray, height: int, width: int) -> Region | None:
    """H,W bool (or 0/1) to a region."""
    if mask.shape != (height, width):
        raise DataError(
            f"a mask of {mask.shape[1]}x{mask.shape[0]} does not fit an image of {width}x{height}"
        )
    mask = np.ascontiguousarray(mask if mask.dtype == np.uint8 else mask > 0).view(np.uint8)
    x, y, w, h = cv2.boundingRect(mask)
    return from_crop(mask[y : y + h, x : x + w], x, y) if w else None


def from_crop(crop: np.ndarray, x: int, y: int) -> Region:
    """A tight h,w bitmap (bool or uint8) with its corner at x, y to a region."""
    # As ``cv2.copyTo`` and contour search want masks: zero or not.
    crop = np.where(crop, np.uint8(255), np.uint8(0))
    found, _ = cv2.findContours(crop, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return Region(
        x,
        y=y,
        mask=crop,
        contours=[c[:, 0].astype(np.float32) + np.float32([x + 0.5, y + 0.5]) for c in found],
        traced=True,
    )


def from_rle(mask: dict, height: int, width: int) -> Region | None:
    """A COCO RLE in any spelling to a region; only the columns that it touches are decoded."""
    if list(mask.get("size", ())) != [height, width]:
        raise DataError(
            f"an RLE of size {mask.get('size')} (height, width) does not fit an image of {width}x{height}"
        )
    counts = run_lengths.counts_of(mask)
    set_runs = np.flatnonzero(counts[1::2]) * 2 + 1
    if not len(set_runs):
        return None
    edges = np.cumsum(counts)
    first, last = int(edges[set_runs[0] - 1]) // height, int(edges[set_runs[-1]] - 1) // height
    # Columns before and after the object become runs of length 0.
    runs = np.diff(np.clip(edges, first * height, (last + 1) * height), prepend=first * height)
    flat = np.repeat((np.arange(len(runs)) & 1).astype(np.uint8), runs)
    columns = flat.reshape(-1, height)
    rows = np.flatnonzero(columns.any(0))
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    return from_crop(columns[:, top:bottom].T, first, top)


def from_polygons(parts: Sequence, height: int, width: int) -> Region | None:
    """Flat x, y lists or V,2 arrays (continuous coordinates) to a region; the union of the parts."""
    outlines = [np.asarray(part, np.float32).reshape(-1, 2) for part in parts if len(part)]
    outlines = [o for o in outlines if len(o) and np.isfinite(o).all() and np.abs(o).max() < FAR]
    if not outlines:
        return None
    every = np.concatenate(outlines)
    x0, y0 = np.maximum(np.floor(every.min(0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(every.max(0)).astype(int), (width, height))
    if (every.max(0) < 0).any() or x0 >= width or y0 >= height:
        return None
    # An outline inside a single row or column of pixels still gets one.
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    crop = np.zeros((y1 - y0, x1 - x0), np.uint8)
    for outline in outlines:
        cv2.fillPoly(crop, [fixed(outline - np.float32([x0, y0]))], 255, shift=SHIFT)
    return Region(int(x0), int(y0), crop, outlines)


def fixed(points: np.ndarray) -> np.ndarray:
    """V,2 float pixels (corner origin) to OpenCV's fixed point, int32 (center origin)."""
    return np.round((points - 0.5) * (1 << SHIFT)).astype(np.int32)
