"""The ``segments_info`` of a user's dict: panoptic segments in standard form, or an error that says what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.data.validation_masks import checked_mask
from bdd_inst.data.validation_values import as_whole_number, shown


def checked_segments(
    record: Mapping,
    where: str,
    classes: tuple[int, int],
    size: tuple[int, int],
    problems: ProblemLog,
) -> list[dict]:
    """The segments of one image, their numbers as whole numbers.

    Args:
        record: with ``segments_info``; with ``pan_seg_file_name`` every segment names an ``id`` of that PNG, without it every one is
            stuff and has its mask as ``segmentation``.
        classes: how many things there are, and how many kinds of stuff, ``things`` among them.
        size: (height, width) of the image.

    Raises:
        DataError: a segment that cannot be used.
    """
    found = record["segments_info"]
    if not isinstance(found, (list, tuple)):
        raise DataError(
            f"{where}: segments_info is {shown(record, 'segments_info')}, not a list of dicts"
        )
    path = record.get("pan_seg_file_name")
    if path is not None and not isinstance(path, (str, os.PathLike)):
        raise DataError(
            f"{where}: pan_seg_file_name is {shown(record, 'pan_seg_file_name')}, not a path"
        )
    return [
        _segment(
            item,
            f"{where}, segments_info[{i}]",
            in_png=path is not None,
            classes=classes,
            size=size,
            problems=problems,
        )
        for i, item in enumerate(found)
    ]


def _segment(
    item: object,
    where: str,
    in_png: bool,
    classes: tuple[int, int],
    size: tuple[int, int],
    problems: ProblemLog,
) -> dict:
    if not isinstance(item, Mapping):
        raise DataError(f"{where}: a {type(item).__name__}, not a dict")
    out = {
        "isthing": bool(item.get("isthing", False)),
        "iscrowd": as_whole_number(item.get("iscrowd", 0)),
    }
    if out["iscrowd"] not in (0, 1):
        raise DataError(f"{where}: iscrowd is {shown(item, 'iscrowd')}; it must be 0 or 1")
    first, last = (0, classes[0] - 1) if out["isthing"] else (1, classes[1] - 1)
    out["category_id"] = as_whole_number(item.get("category_id"))
    if out["category_id"] is None or not first <= out["category_id"] <= last:
        kind = "thing_classes" if out["isthing"] else "stuff_classes, whose 0 is things"
        raise DataError(
            f"{where}: category_id is {shown(item, 'category_id')}; it counts from {first} to {last} in {kind}"
        )
    if in_png:
        out["id"] = as_whole_number(item.get("id"))
        if out["id"] is None or out["id"] < 1:
            raise DataError(
                f"{where}: id is {shown(item, 'id')}; it must be a number of the PNG, from 1"
            )
        return out
    if out["isthing"]:
        raise DataError(
            f"{where}: things belong into annotations where there is no pan_seg_file_name"
        )
    out["segmentation"] = checked_mask(item.get("segmentation"), where, size, problems)
    if not isinstance(out["segmentation"], dict):
        raise DataError(f"{where}: segmentation must be an RLE or a mask of height x width")
    return out
