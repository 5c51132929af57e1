"""The fashion set: 600 images of one dressed person each, with a person mask and a clothing mask; two data sets of instances."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from bdd_inst.base import vocabulary as classes
from bdd_inst.base.errors import ConfigError, DataError, ProblemLog
from bdd_inst.config.checking import check_value
from bdd_inst.datasets.cache import cached
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.datasets.layout import MissingDataError
from bdd_inst.formats.label_map import class_instances, read_label_map
from bdd_inst.images import png_kinds
from bdd_inst.images.finder import ImageFinder
from bdd_inst.images.size import read_size
from bdd_inst.masks import run_lengths
from bdd_inst.structures import BoxMode

FOLDER = "fashion"
TARGETS = classes.FASHION_TARGETS
# 50, 10 and 40 per cent of the 600 images by their numbers, so that every machine has the same split.
SPLITS = {"train": range(1, 301), "val": range(301, 361), "test": range(361, 601)}
SMALLEST_PART = 16  # pixels; smaller connected components are specks of the labeling tool


def load_fashion(
    root: str | os.PathLike,
    target: str = "person",
    split: str = "train",
    *,
    instances: str = "class",
) -> DatasetRecords:
    """Load one split from ``root/fashion``.

    Images are ``images/NNNN.jpg``, masks ``labels/NNNN_person.png`` (0, 1) and ``labels/NNNN_clothes.png`` (0 to 6), palette or gray:
    their stored values count, not their colors. Where some of the 600 are missing the rest is loaded and they are counted.

    Args:
        root: the folder that $DETECTRON2_DATASETS names.
        target: ``person`` (1 class) or ``clothes`` (6 classes). They were labeled apart and do not agree; neither follows from the other.
        instances: ``class``, one instance a class present, or ``component``, one a connected component (8 neighbors).

    Raises:
        MissingDataError: there is not one image of the split.
        ConfigError: an unknown target, split or way of making instances.
    """
    check_value("DATASETS.INSTANCES", instances)
    if target not in TARGETS or split not in SPLITS:
        raise ConfigError(
            f"the fashion set has targets {', '.join(TARGETS)} and splits {', '.join(SPLITS)}; not {target}, {split}"
        )
    base = Path(root) / FOLDER
    name = f"fashion_{target}_{split}"
    if not (base / "images").is_dir() or not (base / "labels").is_dir():
        raise MissingDataError(name, root, [base / "images", base / "labels"], FOLDER)
    options = {"loader": FOLDER, "target": target, "split": split, "instances": instances}
    return cached(
        [base / "images", base / "labels"], options, lambda: parse(root, target, split, instances)
    )


def parse(root: str | os.PathLike, target: str, split: str, instances: str) -> DatasetRecords:
    """Read every mask of the split and cut it into instances."""
    base, name = Path(root) / FOLDER, f"fashion_{target}_{split}"
    images, labels, problems = (
        ImageFinder(base / "images"),
        ImageFinder(base / "labels"),
        ProblemLog(),
    )
    files = numbered(images, r"(\d+)\.\w+")
    masks = numbered(labels, rf"(\d+)_{target}\.png")
    dicts = []
    for number in SPLITS[split]:
        record = load_sample(
            number,
            files.get(number),
            mask=masks.get(number),
            target=target,
            instances=instances,
            problems=problems,
        )
        if record is not None:
            dicts.append(record)
    if not dicts:
        raise MissingDataError(
            name,
            root,
            [
                base / "images" / f"{SPLITS[split][0]:04d}.jpg",
                base / "labels" / f"{SPLITS[split][0]:04d}_{target}.png",
            ],
            FOLDER,
        )
    names = TARGETS[target]
    metadata = {
        "thing_classes": list(names),
        "thing_dataset_id_to_contiguous_id": {i + 1: i for i in range(len(names))},
        "image_root": str(base / "images"),
        "label_root": str(base / "labels"),
        "evaluator_type": "coco",
        "mask_rule": "pixels",
    }
    return DatasetRecords(dicts, metadata, problems)


def numbered(folder: ImageFinder, pattern: str) -> dict[int, str]:
    """The files of a folder whose whole name fits ``pattern``, by their number."""
    found = {}
    for name in folder.names():
        match = re.fullmatch(pattern, name, re.IGNORECASE)
        if match:
            found[int(match[1])] = str(folder.find(name))
    return found


def load_sample(
    number: int,
    image: str | None,
    mask: str | None,
    target: str,
    instances: str,
    problems: ProblemLog,
) -> dict | None:
    """The standard dict of one image, or None, counted, where it or its mask cannot be used."""
    where = f"{number:04d}"
    if image is None and mask is None:
        problems.add("missing-sample", where, "neither image nor mask is there")
        return None
    if image is None or mask is None:
        code, message = (
            ("missing-image", f"{mask} has no image")
            if image is None
            else ("image-without-labels", f"{image} has no {target} mask")
        )
        problems.add(code, where, message)
        return None
    try:
        height, width = read_size(image)
        colored = png_kinds.header(mask)[3] not in (png_kinds.PALETTE, png_kinds.GRAY)
        values = read_label_map(mask) if not colored else None
    except DataError as error:
        problems.add("unreadable-file", where, str(error))
        return None
    if values is None:
        problems.add(
            "wrong-mask-kind",
            where,
            f"{mask}: a color image where class numbers are expected (a converted palette?)",
        )
        return None
    if values.shape != (height, width):
        problems.add(
            "wrong-size-image",
            where,
            f"the image is {width}x{height}, its mask {values.shape[1]}x{values.shape[0]}",
        )
        return None
    record = {
        "file_name": image,
        "height": height,
        "width": width,
        "image_id": number,
        "label_file": mask,
    }
    record["annotations"] = annotations(
        values, len(TARGETS[target]), instances=instances, where=where, problems=problems
    )
    return record


def annotations(
    values: np.ndarray, count: int, instances: str, where: str, problems: ProblemLog
) -> list[dict]:
    """One annotation a class present (or a connected component of it) from class numbers H,W uint8; 0 is background."""
    out = []
    unknown = np.unique(values[values > count]).tolist()
    for value in unknown:
        problems.add(
            "unknown-category",
            where,
            f"value {value} in the mask is none of the classes 1 to {count}; taken as background",
        )
    for value, rle in class_instances(values, void=None, by=instances):
        if value in unknown:
            continue
        if instances == "component" and run_lengths.area(rle) < SMALLEST_PART:
            problems.add("speck", where, f"components under {SMALLEST_PART} pixels, left out")
        else:
            out.append(annotation(rle, value - 1))
    return out


def annotation(rle: dict, category_id: int) -> dict:
    """The annotation of one mask, as run lengths, not empty."""
    return {
        "bbox": list(run_lengths.to_bbox(rle)),
        "bbox_mode": BoxMode.XYXY_ABS,
        "category_id": category_id,
        "iscrowd": 0,
        "segmentation": rle,
        "attributes": {},
    }
