"""Annotations of a dataset dict, moved with the image, as the Instances that the model trains on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from bdd_inst.base.errors import DataError
from bdd_inst.data.transforms import OUTSIDE, Chain, chained
from bdd_inst.masks import coco_fill, run_lengths
from bdd_inst.structures import Boxes, BoxMode, CroppedMasks, Instances, PolygonMasks

SMALLEST_SIDE = 1e-5  # pixels; boxes below it count as empty, as in Detectron2

# A mask h,w bool, and the image coordinates x, y of its first pixel.
Window = tuple[np.ndarray, int, int]


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


def to_instances(
    annotations: Sequence[dict],
    chain: Chain,
    mask_format: str | None,
    recompute_boxes: bool,
    where: str,
) -> Instances:
    """``gt_boxes``, ``gt_classes`` and, unless ``mask_format`` is None, ``gt_masks`` after the transforms; empty objects left out.

    Args:
        annotations: usable ones of one image.
        mask_format: ``polygon`` (PolygonMasks) or ``bitmask`` (CroppedMasks).
        recompute_boxes: take boxes from the moved masks (after a crop the old box may be too wide).
        where: the image's name, for errors.

    Raises:
        DataError: a segmentation that does not suit the mask format or the image.
    """
    if mask_format is not None:
        # One without a mask cannot train the mask head; how many there are was logged when the data set was loaded.
        annotations = [a for a in annotations if a.get("segmentation") is not None]
    out = Instances(chain.out)
    out.gt_boxes = Boxes(torch.from_numpy(chain.boxes(boxes_of(annotations)).astype(np.float32)))
    out.gt_classes = torch.from_numpy(classes_of(annotations))
    keep = out.gt_boxes.nonempty(SMALLEST_SIDE)
    if mask_format is not None:
        out.gt_masks = moved_masks(
            [a["segmentation"] for a in annotations], chain, mask_format, where
        )
        if recompute_boxes:
            out.gt_boxes = out.gt_masks.get_bounding_boxes()
            keep = out.gt_boxes.nonempty(SMALLEST_SIDE)
        keep = keep & out.gt_masks.nonempty()
    # Selecting copies every field, masks too.
    return out if bool(keep.all()) else out[keep]


def moved_masks(
    segmentations: Sequence[list | dict], chain: Chain, mask_format: str, where: str
) -> PolygonMasks | CroppedMasks:
    """The masks of one image after the transforms."""
    if mask_format == "polygon":
        if any(isinstance(s, dict) for s in segmentations):
            raise DataError(
                f"{where}: a run-length mask, which INPUT.MASK_FORMAT polygon cannot carry; set INPUT.MASK_FORMAT bitmask"
            )
        return PolygonMasks([chain.polygons(parts) for parts in segmentations])
    coded = [s for s in segmentations if isinstance(s, dict)]
    check_sizes(coded, chain.size, where)
    decoded, tables = iter(run_lengths.decode_tight(coded)), chain.tables()
    windows = [
        moved(*next(decoded), chain, tables)
        if isinstance(s, dict)
        else filled(chain.polygons(s), chain.out)
        for s in segmentations
    ]
    return CroppedMasks.from_crops(windows, chain.out)


def check_sizes(rles: Sequence[dict], size: tuple[int, int], where: str) -> None:
    """Raise DataError for a run-length mask that is not of the image's size (H, W)."""
    for rle in rles:
        if tuple(rle["size"]) != tuple(size):
            (h, w), (height, width) = rle["size"], size
            raise DataError(
                f"{where}: a mask of {w}x{h} on an image of {width}x{height}; one of them is another version"
            )


def moved(
    mask: np.ndarray, x: int, y: int, chain: Chain, tables: tuple[np.ndarray, np.ndarray] | None
) -> Window:
    """A window (h,w bool) after the transforms, pixel by pixel: by index tables, or the whole image's mask where they cannot say it."""
    if tables is not None:
        return gather(mask, x, y, *tables)
    # A turned row is no row any more: the whole image's mask has to be warped.
    whole = np.zeros(chain.size, bool)
    whole[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    return chain.mask(whole), 0, 0


def filled(parts: Sequence[np.ndarray], size: tuple[int, int]) -> Window:
    """Polygons, flat x, y float64 in pixels, in an image of ``size`` (H, W), filled by COCO's rule."""
    if not parts:
        return np.zeros((0, 0), bool), 0, 0
    return run_lengths.decode_tight([coco_fill.from_polygons_coco(parts, *size)])[0]


def gather(mask: np.ndarray, x: int, y: int, rows: np.ndarray, columns: np.ndarray) -> Window:
    """What the index tables make of a window (h,w bool at ``x, y`` of an otherwise empty mask)."""
    chosen = []
    for table, start, count in ((rows, y, mask.shape[0]), (columns, x, mask.shape[1])):
        # Tables only rise or only fall, so what they hit is one stretch; OUTSIDE is below every start.
        hit = np.flatnonzero((table >= start) & (table < start + count))
        chosen.append(
            (int(hit[0]), table[hit[0] : hit[-1] + 1] - start)
            if len(hit)
            else (0, np.zeros(0, int))
        )
    (top, take_rows), (left, take_columns) = chosen
    return mask[take_rows][:, take_columns], left, top


__all__ = ["OUTSIDE", "boxes_of", "chained", "classes_of", "to_instances", "usable"]
