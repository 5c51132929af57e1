"""The segments of an image and the label map of its stuff, from a dataset dict of any of the panoptic forms."""

from __future__ import annotations

import numpy as np
from fvcore.common.config import CfgNode

from bdd_inst.base.errors import DataError
from bdd_inst.datasets.panoptic_classes import ARCHITECTURE
from bdd_inst.formats.label_map import read_encoded
from bdd_inst.formats.panoptic_png import read_ids
from bdd_inst.masks import coco_fill, run_lengths
from bdd_inst.masks.label_runs import label_rles, paint


def is_panoptic(cfg: CfgNode) -> bool:
    """Whether the model gives objects and stuff.

    Args:
        cfg: MODEL.META_ARCHITECTURE.

    Returns:
        True for PanopticFPN.
    """
    return cfg.MODEL.META_ARCHITECTURE == ARCHITECTURE


def has_segments(record: dict) -> bool:
    """Whether a dict says what its stuff is."""
    return "segments_info" in record


def segments_of(record: dict, ignore: int = 255) -> tuple[np.ndarray, list[dict]]:
    """H,W int32 segment ids (0 where nobody labeled) and for each ``id``, ``category_id``, ``isthing``, ``iscrowd``.

    ``category_id`` counts things from 0 and stuff from 1. The dict names a PNG of ids (``pan_seg_file_name``, its meaning in
    ``segments_info``), or has stuff with masks in ``segments_info``, or in a label map (``sem_seg_file_name``); in the last two the things
    are its annotations, and lie on top, larger ones below smaller ones.

    Args:
        record: Detectron2's standard dict with segments.
        ignore: the label of a label map's unknown pixels.

    Returns:
        H,W int32, and a dict for each segment.

    Raises:
        DataError: a PNG that is none, or of another size than the image.
    """
    if "pan_seg_file_name" in record:
        return read_segments(record), record["segments_info"]
    size = record["height"], record["width"]
    stuff = record.get("segments_info", ())
    segments = [{**_plain(item), "id": n} for n, item in enumerate(stuff, 1)]
    rles = [item["segmentation"] for item in stuff]
    if "segments_info" not in record:
        rles, segments = _of_label_map(record, ignore)
    things = [item for item in record.get("annotations", ()) if item.get("segmentation")]
    masks = [as_rle(item["segmentation"], *size) for item in things]
    # Labels say nothing of depth. A small object painted on a large one is seen in front of it; the other way
    # round it would be gone.
    for place in sorted(range(len(masks)), key=lambda n: -run_lengths.area(masks[n])):
        rles.append(masks[place])
        segments.append({**_plain(things[place]), "isthing": True, "id": len(segments) + 1})
    ids = paint(rles, range(1, len(rles) + 1), *size, np.uint32)
    return ids.astype(np.int32), segments


def stuff_map_of(record: dict, ignore: int) -> np.ndarray:
    """H,W uint8 (uint16 above 255): 0 where things are, stuff by its class, ``ignore`` where nobody labeled or stuff is a crowd."""
    ids, segments = segments_of(record, ignore)
    # One look-up for all pixels, where a comparison for each segment would read the image as many times.
    table = np.full(int(ids.max(initial=0)) + 1, ignore, np.uint16)
    for segment in segments:
        if segment["id"] < len(table):
            unclear = segment.get("iscrowd", 0) and not segment["isthing"]
            label = 0 if segment["isthing"] else segment["category_id"]
            table[segment["id"]] = ignore if unclear else label
    return table.astype(np.uint8 if table.max(initial=0) < 256 else np.uint16)[ids]


def read_segments(record: dict) -> np.ndarray:
    """The ids in the PNG of a dict, H,W int32, those that ``segments_info`` does not know as 0."""
    ids = read_ids(record["pan_seg_file_name"])
    check_size(ids, (record["height"], record["width"]), record["pan_seg_file_name"])
    known = np.array([segment["id"] for segment in record["segments_info"]], np.uint32)
    return np.where(np.isin(ids, known), ids, 0).astype(np.int32)


def as_rle(segmentation: list | dict, height: int, width: int) -> dict:
    """Polygons or run lengths as run lengths of an image's size. DataError where they are of another."""
    if not isinstance(segmentation, dict):
        return coco_fill.from_polygons_coco(segmentation, height, width)
    if tuple(segmentation["size"]) != (height, width):
        h, w = segmentation["size"]
        raise DataError(
            f"a mask of {w}x{h} on an image of {width}x{height}; one of them is another version"
        )
    return segmentation


def _of_label_map(record: dict, ignore: int) -> tuple[list[dict], list[dict]]:
    """Masks and segments of the classes from 1 on in a label map whose 0 is things; none where there is no map."""
    path, size = record.get("sem_seg_file_name"), (record["height"], record["width"])
    if path is None:
        return [], []
    values = read_encoded(path, record.get("sem_seg_values"))
    check_size(values, size, path)
    found = zip(*label_rles(values.astype(np.uint32)), strict=True)
    kept = [(int(label), rle) for label, rle in found if label != ignore]
    segments = [
        {"id": n, "category_id": label, "isthing": False, "iscrowd": 0}
        for n, (label, _) in enumerate(kept, 1)
    ]
    return [rle for _, rle in kept], segments


def check_size(values: np.ndarray, size: tuple[int, int], path: str) -> None:
    """Raise DataError where a map of pixels (H,W of any dtype) is not of its image's (height, width)."""
    if values.shape != size:
        found = f"{values.shape[1]}x{values.shape[0]}"
        raise DataError(
            f"{path}: the label map is {found}, its image {size[1]}x{size[0]}; one of them is another version"
        )


def _plain(item: dict) -> dict:
    return {
        "category_id": item["category_id"],
        "isthing": bool(item.get("isthing", False)),
        "iscrowd": int(item.get("iscrowd", 0)),
    }
