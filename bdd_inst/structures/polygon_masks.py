"""Masks of one image's objects as polygons; filled by COCO's rule when pixels are asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pycocotools.mask as coco_mask
import torch
from torch import Tensor

from bdd_inst.structures.boxes import Boxes

SMALLEST_SIDE = 0.1  # pixels; keeps the stretch of a degenerate box finite
MAX_COORDINATE = 1e7  # pycocotools walks along every edge: farther out it would ask for gigabytes, and NaN crashes it


class PolygonMasks:
    """N masks. Attribute ``polygons``: N lists of float64 arrays ``[x0, y0, x1, y1, ...]``, three points or more each."""

    def __init__(self, polygons: Sequence[Sequence[np.ndarray | Tensor | Sequence[float]]]):
        if not isinstance(polygons, (list, tuple)):
            raise ValueError(
                f"PolygonMasks take a list (one entry an object) of lists of polygons, not {type(polygons).__name__}"
            )
        self.polygons: list[list[np.ndarray]] = [_checked(parts) for parts in polygons]

    def to(self, *args, **kwargs) -> PolygonMasks:
        """Itself: polygons stay on the CPU."""
        return self

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def __getitem__(self, item: int | slice | Sequence[int] | Tensor) -> PolygonMasks:
        if isinstance(item, int):
            chosen = [self.polygons[item]]
        elif isinstance(item, slice):
            chosen = self.polygons[item]
        else:
            if isinstance(item, (Tensor, np.ndarray)):
                item = torch.as_tensor(item)
                item = (item.nonzero().flatten() if item.dtype == torch.bool else item).tolist()
            chosen = [self.polygons[i] for i in item]
        # Past the constructor, which would check every coordinate again.
        out = PolygonMasks([])
        out.polygons = chosen
        return out

    def __iter__(self) -> Iterator[list[np.ndarray]]:
        return iter(self.polygons)

    def __len__(self) -> int:
        return len(self.polygons)

    def __repr__(self) -> str:
        return f"PolygonMasks(num_instances={len(self)})"

    def nonempty(self) -> Tensor:
        """N bool: the object has at least one polygon."""
        return torch.tensor([len(parts) > 0 for parts in self.polygons], dtype=torch.bool)

    def area(self) -> Tensor:
        """N float64: the sum of the polygons' areas by the shoelace formula."""
        return torch.tensor(
            [sum(_shoelace(part) for part in parts) for parts in self.polygons], dtype=torch.float64
        )

    def get_bounding_boxes(self) -> Boxes:
        """The extent of all vertices of each object; zeros for an object without polygons.

        As in Detectron2 the far edges are at least 0, even for polygons left of or above the image.
        """
        out = np.zeros((len(self), 4), dtype=np.float32)
        for row, parts in zip(out, self.polygons, strict=True):
            if parts:
                points = np.concatenate(parts).reshape(-1, 2).astype(np.float32)
                row[:2], row[2:] = points.min(axis=0), np.maximum(points.max(axis=0), 0)
        return Boxes(out)

    def crop_and_resize(self, boxes: Tensor, mask_size: int, index: Tensor | None = None) -> Tensor:
        """Training targets: object ``index[i]`` (else object i) seen through box i on a grid.

        Args:
            boxes: R,4 in image coordinates.
            mask_size: side S of the grid.
            index: R int64, which object each box looks at.

        Returns:
            R,S,S bool on the boxes' device: the polygons shifted and stretched to the grid, then filled by COCO's rule.
        """
        index = range(len(self)) if index is None else index.tolist()
        if len(index) != len(boxes):
            raise ValueError(f"{len(boxes)} boxes for {len(index)} masks")
        corners = boxes.detach().to("cpu", torch.float32).numpy()
        out = np.zeros((len(corners), mask_size, mask_size), dtype=bool)
        for row, box, i in zip(out, corners, index, strict=True):
            row[:] = fill_polygons(
                [_to_grid(part, box, mask_size) for part in self.polygons[i]], mask_size, mask_size
            )
        return torch.from_numpy(out).to(boxes.device)

    @staticmethod
    def cat(polymasks_list: Sequence[PolygonMasks]) -> PolygonMasks:
        out = PolygonMasks([])
        out.polygons = list(
            itertools.chain.from_iterable(masks.polygons for masks in polymasks_list)
        )
        return out


def fill_polygons(parts: Sequence[np.ndarray], height: int, width: int) -> np.ndarray:
    """H,W bool: the union of flat x, y polygons, filled as pycocotools fills them."""
    if not len(parts):
        return np.zeros((height, width), dtype=bool)
    rles = coco_mask.frPyObjects(
        [np.asarray(part, dtype=np.float64) for part in parts], height, width
    )
    # A union of run lengths: where parts overlap, their pixels are set once.
    rle = rles[0] if len(rles) == 1 else coco_mask.merge(rles)
    return coco_mask.decode(rle).astype(bool)


def _to_grid(part: np.ndarray, box: np.ndarray, size: int) -> np.ndarray:
    """One polygon in the coordinates of a ``size`` x ``size`` grid laid over ``box`` (float32 x1, y1, x2, y2)."""
    # The stretch is computed in float32 like the box: a rounding apart moves pixels on the border.
    scale_x = np.float32(size) / max(box[2] - box[0], np.float32(SMALLEST_SIDE))
    scale_y = np.float32(size) / max(box[3] - box[1], np.float32(SMALLEST_SIDE))
    out = np.empty_like(part)
    out[0::2] = (part[0::2] - box[0]) * scale_x
    out[1::2] = (part[1::2] - box[1]) * scale_y
    return out


def _checked(parts: Sequence) -> list[np.ndarray]:
    """Polygons of one object as float64 arrays.

    Raises:
        ValueError: an odd number of coordinates, fewer than three points, or a coordinate that is not finite or far out.
    """
    if not isinstance(parts, (list, tuple)):
        raise ValueError(
            f"an object's polygons are a list of coordinate lists, not {type(parts).__name__}"
        )
    out = [
        np.asarray(p.cpu() if isinstance(p, Tensor) else p, dtype=np.float64).reshape(-1)
        for p in parts
    ]
    for polygon in out:
        if len(polygon) % 2 or len(polygon) < 6:
            raise ValueError(
                f"a polygon needs three points or more, x and y each; got {len(polygon)} numbers"
            )
        if not (np.abs(polygon) <= MAX_COORDINATE).all():
            raise ValueError("a polygon has a coordinate that is in no image")
    return out


def _shoelace(polygon: np.ndarray) -> float:
    """Area enclosed by a flat x, y polygon."""
    x, y = polygon[0::2], polygon[1::2]
    return 0.5 * abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))))
