"""A user's own panoptic labels, for models of objects and stuff: COCO panoptic JSON, BDD100K's panoptic bitmasks, Cityscapes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bdd_inst import formats
from bdd_inst.base.errors import DataError
from bdd_inst.datasets.cache import cached
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.datasets.image_folder import images_beside
from bdd_inst.datasets.panoptic import parse
from bdd_inst.datasets.panoptic_classes import ARCHITECTURE, PanopticClasses
from bdd_inst.formats.plan import make_plan
from bdd_inst.formats.records import LabelSet


def panoptic_classes_of(paths: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Things and stuff of label files, in the first file's order, then those that only later ones have.

    Args:
        paths: of label files or folders.

    Returns:
        names of things, and of stuff.

    Raises:
        DataError: a file whose labels do not tell things from stuff.
    """
    things: dict[str, None] = {}
    names: dict[str, None] = {}
    for path in paths:
        plan = make_plan(_read(path), "coco")
        things |= dict.fromkeys(plan.things or ())
        names |= dict.fromkeys(plan.categories)
    return tuple(things), tuple(name for name in names if name not in things)


def load_panoptic_labels(
    path: str,
    images: str | os.PathLike | None,
    things: Sequence[str],
    stuff: Sequence[str],
) -> DatasetRecords:
    """Panoptic labels as Detectron2's dicts: things are annotations, stuff ``segments_info``.

    Args:
        path: of the labels.
        images: the folder of their images; None looks beside the labels.
        things, stuff: names in the order of class numbers.

    Returns:
        its dicts, classes and problems.

    Raises:
        DataError: labels or images that are not there or cannot be read, or no panoptic labels.
    """

    def build() -> DatasetRecords:
        labels = _read(path).load()
        plan = make_plan(labels, "coco")
        ids = plan.number if set(plan.number) == {*things, *stuff} else {}
        classes = PanopticClasses(tuple(things), tuple(stuff), ids)
        found = parse(labels, images or images_beside(path, labels), classes)
        return DatasetRecords(
            found.dicts, found.metadata | {"json_file": str(path)}, found.problems
        )

    sources = [Path(path), *([Path(images)] if images else [])]
    options = {"loader": "own_panoptic", "classes": [list(things), list(stuff)]}
    return cached(sources, options, build)


def _read(path: str) -> LabelSet:
    labels = formats.read_truth(path)
    if labels.things is None:
        raise DataError(
            f"{path}: these labels do not tell things from stuff; MODEL.META_ARCHITECTURE {ARCHITECTURE} learns from panoptic ones, "
            "such as a COCO panoptic JSON"
        )
    return labels
