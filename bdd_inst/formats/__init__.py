"""One door for every label format: say what a file is, read it, write it.

labels = formats.read("labels/ins_seg/polygons/ins_seg_val.json")
for picture in labels.images: ...
formats.write(labels, "out.json", to="coco")
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bdd_inst.formats.records import ImageLabels, Instance, LabelSet

if TYPE_CHECKING:
    from bdd_inst.formats.conversion import Conversion
    from bdd_inst.formats.sniff import Found

__all__ = ["ImageLabels", "Instance", "LabelSet", "detect", "inspect", "read", "write"]


def detect(path: str | os.PathLike) -> str:
    """Name the kind of a label file or folder from its content; DataError says what was seen where it is none that we know."""
    return inspect(path).kind


def inspect(path: str | os.PathLike, kind: str | None = None) -> Found:
    """Open a label file or folder: its kind (told from the content, or as given), its files, its JSON. :func:`read` takes it as well."""
    from bdd_inst.formats.sniff import sniff

    return sniff(path, kind)


def read(
    path: str | os.PathLike | Found,
    kind: str | None = None,
    images: str | os.PathLike | None = None,
    bitmasks: str | os.PathLike | None = None,
    class_attribute: str | None = None,
) -> LabelSet:
    """Read any label file or folder, or what :func:`inspect` found there, which is then not opened again.

    ``images``: the folder of pictures, needed only where the labels do not say their sizes. ``bitmasks``: a folder of BDD100K bitmasks
    that hold the masks of the labels in ``path`` (:mod:`bdd_inst.formats.join_masks`). ``class_attribute``: the attribute of VIA's
    regions that is their class.
    """
    from bdd_inst.formats.registry import read as read_kind

    return read_kind(
        path, kind=kind, images=images, bitmasks=bitmasks, class_attribute=class_attribute
    )


def write(labels: LabelSet, path: str | os.PathLike, to: str, **options) -> Conversion:
    """Write a label set as another kind (``coco``, ``bitmask``, ``rle``, ``scalabel``, ``dicts``, ...); what it says of the result, and the
    options, are those of :func:`bdd_inst.formats.registry.write`."""
    from bdd_inst.formats.registry import write as write_kind

    return write_kind(labels, path, to=to, **options)
