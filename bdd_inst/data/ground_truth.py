"""Annotations of a dataset dict, moved with the picture, as the Instances that the model trains on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from bdd_inst.data.transforms import OUTSIDE, Chain, chained
from bdd_inst.errors import DataError
from bdd_inst.geometry import rle as run_lengths
from bdd_inst.structures import Boxes, BoxMode, CroppedMasks, Instances, PolygonMasks

SMALLEST_SIDE = 1e-5  # pixels; boxes below it count as empty, as in Detectron2

Window = tuple[np.ndarray, int, int]  # mask h,w bool and the picture coordinates x, y of its first pixel


def usable(annotations: Sequence[dict]) -> list[dict]:
    """Those that train: crowds are regions, not objects."""
    return [a for a in annotations if not a.get("iscrowd", 0)]


def boxes_of(annotations: Sequence[dict]) -> np.ndarray:
    """N,4 float64 boxes x1, y1, x2, y2."""
    rows = [BoxMode.convert(list(a["bbox"]), a["bbox_mode"], BoxMode.XYXY_ABS) for a in annotations]
    return np.array(rows, np.float64).reshape(-1, 4)


def classes_of(annotations: Sequence[dict]) -> np.ndarray:
    """N int64 class indices."""
    return np.array([a["category_id"] for a in annotations], np.int64)


def to_instances(annotations: Sequence[dict], chain: Chain, mask_format: str | None, recompute_boxes: bool, where: str) -> Instances:
    """``gt_boxes``, ``gt_classes`` and, unless ``mask_format`` is None, ``gt_masks`` after the transforms; empty objects left out.

    Args:
        annotations: usable ones of one picture.
        mask_format: ``polygon`` (PolygonMasks) or ``bitmask`` (CroppedMasks).
        recompute_boxes: take boxes from the moved masks (after a crop the old box may be too wide).
        where: the picture's name, for errors.

    Raises:
        DataError: a segmentation that does not suit the mask format or the picture.
    """
    out = Instances(chain.out)
    out.gt_boxes = Boxes(torch.from_numpy(chain.boxes(boxes_of(annotations)).astype(np.float32)))
    out.gt_classes = torch.from_numpy(classes_of(annotations))
    keep = out.gt_boxes.nonempty(SMALLEST_SIDE)
    if mask_format is not None and all("segmentation" in a for a in annotations):
        out.gt_masks = moved_masks([a["segmentation"] for a in annotations], chain, mask_format, where)
        if recompute_boxes:
            out.gt_boxes = out.gt_masks.get_bounding_boxes()
            keep = out.gt_boxes.nonempty(SMALLEST_SIDE)
        keep = keep & out.gt_masks.nonempty()
    return out if bool(keep.all()) else out[keep]


def moved_masks(segmentations: Sequence[list | dict], chain: Chain, mask_format: str, where: str) -> PolygonMasks | CroppedMasks:
    """The masks of one picture after the transforms."""
    if mask_format == "polygon":
        if any(isinstance(s, dict) for s in segmentations):
            raise DataError(f"{where}: a run-length mask, which INPUT.MASK_FORMAT polygon cannot carry; set INPUT.MASK_FORMAT bitmask")
        return PolygonMasks([chain.polygons(parts) for parts in segmentations])
    tables = chain.tables()
    return CroppedMasks.from_crops([moved_mask(s, chain, tables, where) for s in segmentations], chain.out)


def moved_mask(segmentation: list | dict, chain: Chain, tables: tuple[np.ndarray, np.ndarray] | None, where: str) -> Window:
    """One mask after the transforms: polygons are moved, then filled by COCO's rule; run lengths are decoded, then moved pixel by pixel."""
    if not isinstance(segmentation, dict):
        parts = chain.polygons(segmentation)
        return decode_window(run_lengths.from_polygons_coco(parts, *chain.out)) if parts else (np.zeros((0, 0), bool), 0, 0)
    if tuple(segmentation["size"]) != tuple(chain.size):
        h, w = segmentation["size"]
        raise DataError(f"{where}: a mask of {w}x{h} on a picture of {chain.size[1]}x{chain.size[0]}; one of them is another version")
    if tables is None:
        return chain.mask(run_lengths.decode(segmentation)), 0, 0
    mask, x, y = decode_window(segmentation)
    return gather(mask, x, y, *tables)


def decode_window(rle: dict) -> Window:
    """The columns of a mask that hold any of its pixels, whole."""
    height, _ = rle["size"]
    edges = np.cumsum(run_lengths.counts_of(rle))
    if len(edges) < 2:
        return np.zeros((0, 0), bool), 0, 0
    starts, ends = edges[0::2], edges[1::2]
    first, last = int(starts[0]) // height, -(-int(ends[-1]) // height)
    flat = np.zeros((last - first) * height, bool)
    shift = first * height
    for start, end in zip((starts - shift).tolist(), (ends - shift).tolist()):
        flat[start:end] = True
    return flat.reshape(last - first, height).T, first, 0


def gather(mask: np.ndarray, x: int, y: int, rows: np.ndarray, columns: np.ndarray) -> Window:
    """What the index tables make of a window (h,w bool at ``x, y`` of an otherwise empty mask)."""
    chosen = []
    for table, start, count in ((rows, y, mask.shape[0]), (columns, x, mask.shape[1])):
        hit = np.flatnonzero((table >= start) & (table < start + count))
        chosen.append((int(hit[0]), table[hit[0] : hit[-1] + 1] - start) if len(hit) else (0, np.zeros(0, int)))
    (top, take_rows), (left, take_columns) = chosen
    return mask[take_rows][:, take_columns], left, top


__all__ = ["OUTSIDE", "boxes_of", "chained", "classes_of", "to_instances", "usable"]
