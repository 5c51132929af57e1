"""The table of label formats: what reads, finds and writes each. An entry is one line."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bdd_inst.formats.records import LabelSet

Reader = Callable[[Any], LabelSet]  # of what sniff.py has found
Finder = Callable[[Path], list[Path]]


@dataclass
class Format:
    """One kind. Each part is there or None; a text ``module.name`` is imported from this room when it is first needed.

    Attributes:
        read: from a label source to its label set.
        find: from a path to its label files of this kind, none where it has none. JSON and PNG files need no such function: their
            content is looked at once for all kinds (``sniff.py``, ``images/png_kinds.py``).
        write: the writer's class, a Target (``target.py``).
    """

    read: str | Reader | None = None
    find: str | Finder | None = None
    write: str | type | None = None


FORMATS: dict[str, Format] = {
    "coco": Format(read="coco.read", write="write_coco.CocoTarget"),
    "scalabel": Format(read="scalabel.read", write="write_scalabel.ScalabelTarget"),
    "bdd-v1": Format(read="bdd_v1.read"),
    "coco-results": Format(read="coco_results.read"),
    "dicts": Format(read="dicts.read", write="write_dicts.DictsTarget"),
    "supervisely": Format(read="supervisely.read"),
    "superannotate": Format(read="superannotate.read"),
    "labelme": Format(read="labelme.read"),
    "via": Format(read="via.read"),
    "cityscapes": Format(read="cityscapes.read"),
    "cityscapes-instances": Format(read="cityscapes.read"),
    "panoptic": Format(read="panoptic.read", write="write_panoptic.PanopticTarget"),
    "sam": Format(read="sam.read"),
    "deepfashion2": Format(read="deepfashion2.read"),
    "yolo": Format(read="yolo.read", find="yolo.find", write="write_yolo.YoloTarget"),
    "bitmask": Format(read="png_folders.read", write="write_png.BitmaskTarget"),
    "pan-seg": Format(read="png_folders.read"),
    "label-map": Format(read="png_folders.read", write="write_png.LabelMapTarget"),
    "binary-masks": Format(read="png_folders.read", write="write_png.BinaryTarget"),
    "rle": Format(write="write_scalabel.RleTarget"),
}


def kinds(part: str) -> tuple[str, ...]:
    """The kinds that have a part.

    Args:
        part: ``read``, ``find`` or ``write``.

    Returns:
        Their names, as ``--kind`` and ``--to`` take them.
    """
    return tuple(kind for kind, entry in FORMATS.items() if getattr(entry, part) is not None)


def part_of(kind: str, part: str) -> Any:
    """What reads, finds or writes a kind.

    Args:
        kind: one of :func:`kinds`.
        part: ``read``, ``find`` or ``write``.

    Returns:
        The function or class, its module imported.
    """
    found = getattr(FORMATS[kind], part)
    if not isinstance(found, str):
        return found
    module, _, name = found.rpartition(".")
    return getattr(importlib.import_module(f"bdd_inst.formats.{module}"), name)
