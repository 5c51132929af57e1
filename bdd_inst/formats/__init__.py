"""One door for every label format: say what a file is, read it, write it.

labels = formats.read("labels/ins_seg/polygons/ins_seg_val.json")
for image in labels.images: ...
formats.write(labels, "out.json", to="coco")
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bdd_inst.base.errors import DataError
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet

if TYPE_CHECKING:
    from bdd_inst.formats.conversion import Conversion
    from bdd_inst.formats.sniff import Found

__all__ = [
    "ImageLabels",
    "Instance",
    "LabelSet",
    "detect",
    "inspect",
    "read",
    "read_truth",
    "write",
]


def detect(path: str | os.PathLike) -> str:
    """Name the kind of a label file or folder from its content; DataError says what was seen where it is none that we know."""
    return inspect(path).kind


def inspect(path: str | os.PathLike, kind: str | None = None, named: bool = False) -> Found:
    """Open a label file or folder, and say of what kind it is; :func:`read` takes the result and does not open it again.

    Args:
        path: a file, a folder, or a folder with a pattern such as ``labels/*_person.png``.
        kind: spares the look at the content: it is taken at its word.
        named: the values of PNGs are known to be classes, and number no objects.

    Returns:
        Its ``kind``, its ``files``, and the outermost JSON (``top``) where it is one file.

    Raises:
        DataError: nothing there, or nothing that we know; the line says what was seen.
    """
    from bdd_inst.formats.sniff import sniff

    return sniff(path, kind, named)


def read(
    path: str | os.PathLike | Found,
    kind: str | None = None,
    images: str | os.PathLike | None = None,
    bitmasks: str | os.PathLike | None = None,
    class_attribute: str | None = None,
    values: Mapping[int, str] | None = None,
) -> LabelSet:
    """Read any label file or folder.

    Args:
        path: a file, a folder, a pattern, or what :func:`inspect` found there.
        kind: spares the look at the content: it is taken at its word.
        images: the folder of images, needed only where the labels do not say their sizes.
        bitmasks: a folder of BDD100K bitmasks that hold the masks of the labels (:mod:`bdd_inst.formats.join_masks`).
        class_attribute: the attribute of VIA's regions that is their class.
        values: names of the values of label maps (:mod:`bdd_inst.formats.value_names`).

    Returns:
        Images with their objects, parsed as they are iterated; ``load()`` has them all at once. ``problems`` counts what was left out.

    Raises:
        DataError: nothing there, nothing that we know, or nothing of it can be read.
    """
    from bdd_inst.formats.registry import read as read_kind

    return read_kind(
        path,
        kind=kind,
        images=images,
        bitmasks=bitmasks,
        class_attribute=class_attribute,
        values=values,
    )


def read_truth(path: str | os.PathLike, **options) -> LabelSet:
    """As :func:`read`, for labels to learn from or to score against.

    Args:
        path: a file, a folder, a pattern, or what :func:`inspect` found there.
        options: those of :func:`read`.

    Returns:
        The labels.

    Raises:
        DataError: as :func:`read`, and for predictions, which name neither images nor classes.
    """
    labels = read(path, **options)
    if labels.kind == "coco-results":
        raise DataError(
            f"{path}: this is a list of COCO results, not labels; are two files swapped?"
        )
    return labels


def write(labels: LabelSet, path: str | os.PathLike, to: str, **options) -> Conversion:
    """Write a label set as another kind.

    Args:
        labels: of any kind.
        path: the file, or the folder for kinds that have a file an image.
        to: ``coco``, ``bitmask``, ``rle``, ``scalabel``, ``dicts``, ``yolo``, ``label-map``, ``binary-masks``, or one of a user's own.
        options: those of :func:`bdd_inst.formats.registry.write`.

    Returns:
        How much was written, what was skipped, and what the kind cannot say.

    Raises:
        DataError: an unknown kind, an output over an input, or nothing that could be written.
    """
    from bdd_inst.formats.registry import write as write_kind

    return write_kind(labels, path, to=to, **options)
