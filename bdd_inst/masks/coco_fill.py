"""COCO's fill: polygons to run lengths by pycocotools, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco_mask

from bdd_inst.base.errors import DataError
from bdd_inst.masks.outlines import check_vertices
from bdd_inst.masks.run_lengths import empty

# pycocotools samples each edge at five points a pixel; a polygon that runs on for longer than this would ask for gigabytes.
_MAX_PERIMETER = 4_000_000


def from_polygons_coco(
    polygons: Sequence[Sequence[float] | np.ndarray], height: int, width: int
) -> dict:
    """COCO's fill of several polygons (flat x,y lists or V,2 arrays), united; exactly pycocotools'.

    Args:
        polygons: the parts of one object, flat x, y or V,2, float64 or what becomes it, in pixels.
        height, width: of the image, in pixels.

    Returns:
        One RLE of (height, width).

    Raises:
        DataError: a polygon of fewer than three points or with coordinates that no image has.
    """
    flat = []
    for polygon in polygons:
        points = np.asarray(polygon, dtype=np.float64)
        check_polygon(points)
        flat.append(points.reshape(-1).tolist())
    if not flat:
        return empty(height, width)
    # The union: parts of one object may overlap, and COCO's polygons know no holes.
    merged = coco_mask.merge(coco_mask.frPyObjects(flat, height, width))
    return {"size": [int(height), int(width)], "counts": merged["counts"].decode("ascii")}


def check_polygon(points: np.ndarray) -> None:
    """Raise DataError unless ``points`` (float64, flat x, y or V,2) is a polygon that can be filled in bounded memory.

    Args:
        points: float64, flat x, y or V,2, in pixels.

    Raises:
        DataError: fewer than three points, coordinates that no image has, or an outline so long that filling it would ask for
            gigabytes.
    """
    if points.size < 6 or points.size % 2:
        raise DataError(f"a polygon needs three points or more, this one has {points.size / 2:g}")
    if float(np.abs(points).max()) * points.size <= _MAX_PERIMETER:
        return  # however it winds, it cannot be longer; NaN does not pass
    check_vertices(points)
    corners = points.reshape(-1, 2)
    # The longer of an edge's two extents: that is how many steps pycocotools takes along it.
    if np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum() > _MAX_PERIMETER:
        raise DataError("a polygon reaches too far outside its image to be drawn")
