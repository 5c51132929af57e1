"""A loaded data set as something to check: its label file where there is one, else the standard dicts that its loader gave."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bdd_inst import formats
from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.checks.run import Split
from bdd_inst.formats.label_map import class_instances, read_encoded
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.masks.outlines import Outline
from bdd_inst.masks.run_lengths import to_bbox


def split_of_dataset(name: str, dicts: Sequence[dict], metadata: Mapping[str, Any]) -> Split:
    """A data set of the catalog from its dicts and metadata (``json_file``, ``image_root``, ``thing_classes``, ``problems``).

    Args:
        name: of the catalog.
        dicts: Detectron2's standard dicts.
        metadata: ``json_file``, ``image_root``, ``thing_classes``, ``problems``, where known.

    Returns:
        The label file itself where it is there, else the dicts as labels.
    """
    images = Path(metadata["image_root"]) if metadata.get("image_root") else None
    source = metadata.get("json_file")
    if source and os.path.exists(source):
        return Split(name, formats.read(source), images)
    names = tuple(metadata.get("thing_classes") or ())
    problems = ProblemLog()
    if metadata.get("problems"):
        problems.merge(metadata["problems"])
    labels = LabelSet(
        "dicts",
        source=name,
        categories=names or None,
        images=[_image(d, names, metadata.get("stuff_classes") or (), problems) for d in dicts],
        problems=problems,
        rule=metadata.get("mask_rule", "coco"),
    )
    # Such a set is part of what lies in its folder; what it leaves out was counted by its loader.
    return Split(name, labels, images, whole_folder=False)


def _image(
    record: dict, names: Sequence[str], stuff: Sequence[str], problems: ProblemLog
) -> ImageLabels:
    instances = [_instance(a, names) for a in record.get("annotations", ())]
    if "sem_seg_file_name" in record:
        instances += _regions(record, stuff, problems)
    return ImageLabels(
        record["file_name"],
        width=record.get("width"),
        height=record.get("height"),
        attributes=dict(record.get("attributes") or {}),
        instances=instances,
        image_id=record.get("image_id"),
    )


def _regions(record: dict, stuff: Sequence[str], problems: ProblemLog) -> list[Instance]:
    """What a label map holds, one region a class; background is none. A file that cannot be read is counted."""
    path = record["sem_seg_file_name"]
    try:
        values = read_encoded(path, record.get("sem_seg_values"))
    except DataError as error:
        problems.add("unreadable-file", path, str(error))
        return []
    if record.get("sem_seg_scaled"):
        size = record["width"], record["height"]
        values = cv2.resize(values, size, interpolation=cv2.INTER_NEAREST_EXACT)
    out = []
    for number, rle in class_instances(values, background=-1):
        name = stuff[number] if number < len(stuff) else str(number)
        if name != "background":
            out.append(Instance(name, to_bbox(rle), rle=rle))
    return out


def _instance(annotation: dict, names: Sequence[str]) -> Instance:
    category = annotation["category_id"]
    attributes = dict(annotation.get("attributes") or {})
    flags = {
        flag: bool(attributes.pop(flag, False))
        for flag in ("occluded", "truncated", "ignored", "crowd")
    }
    flags["crowd"] = flags["crowd"] or (bool(annotation.get("iscrowd")) and not flags["ignored"])
    out = Instance(
        names[category] if category < len(names) else str(category),
        tuple(annotation["bbox"]) if annotation.get("bbox") is not None else None,
        id=attributes.pop("id", None),
        attributes=attributes,
        **flags,
    )
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        out.rle = segmentation
    elif segmentation:
        out.paths = [Outline(np.asarray(part, np.float64).reshape(-1, 2)) for part in segmentation]
    return out
