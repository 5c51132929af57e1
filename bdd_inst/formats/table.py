"""The table of label formats: what tells, reads and writes each. An entry is one line."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bdd_inst.base.errors import DataError
from bdd_inst.formats.records import LabelSet

if TYPE_CHECKING:
    from bdd_inst.formats.signs import Glimpse

Reader = Callable[[Any], LabelSet]  # of what sniff.py has found
Finder = Callable[[Path], list[Path]]
Signs = Callable[["Glimpse"], bool]


@dataclass
class Format:
    """One kind. A part is there or None; a text ``module.name`` is imported from this room when it is first needed.

    Attributes:
        name: what messages call it.
        read: from a label source to its label set.
        signs: whether a JSON object is of this kind, for kinds that lie in JSON files. PNGs need no such function: their content is
            looked at once for all kinds (``images/png_kinds.py``).
        find: from a path to its label files of this kind, none where it has none, for kinds that are neither JSON nor PNG.
        write: the writer's class, a Target (``target.py``).
        one_file: a file holds a whole data set, so that a folder of several is a question, not an answer.
        beside: names of files that stand beside its labels and are none.
        options: what its reader takes beside the source, of ``values`` and ``class_attribute``.
    """

    name: str = ""
    read: str | Reader | None = None
    signs: str | Signs | None = None
    find: str | Finder | None = None
    write: str | type | None = None
    one_file: bool = False
    beside: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


# A JSON file is of the first kind here whose signs it shows.
FORMATS: dict[str, Format] = {
    "coco": Format("COCO", "coco.read", "coco.signs", write="write_coco.CocoTarget", one_file=True),
    "bdd-v1": Format("BDD100K of before August 2018", "bdd_v1.read", "bdd_v1.signs"),
    "scalabel": Format("BDD100K/Scalabel", "scalabel.read", "scalabel.signs", write="write_scalabel.ScalabelTarget"),
    "coco-results": Format("COCO results", "coco_results.read", "coco_results.signs", one_file=True),
    "dicts": Format("Detectron2 dicts", "dicts.read", "dicts.signs", write="write_dicts.DictsTarget", one_file=True),
    "supervisely": Format("Supervisely", "supervisely.read", "supervisely.signs", beside=("meta.json", "key_id_map.json", "obj_class_to_machine_color.json")),
    "superannotate": Format("SuperAnnotate", "superannotate.read", "superannotate.signs", beside=("classes.json",)),
    "labelstudio": Format("Label Studio", "label_studio.read", "label_studio.signs", write="write_label_studio.LabelStudioTarget"),
    "labelme": Format("LabelMe", "labelme.read", "labelme.signs"),
    "via": Format("VIA", "via.read", "via.signs", find="via_csv.find", options=("class_attribute",)),
    "cityscapes": Format("Cityscapes", "cityscapes.read", "cityscapes.signs"),
    "cityscapes-instances": Format("Cityscapes' instanceIds", "cityscapes.read"),
    "panoptic": Format("COCO panoptic", "panoptic.read", "panoptic.signs", write="write_panoptic.PanopticTarget", one_file=True),
    "sam": Format("Segment Anything", "sam.read", "sam.signs"),
    "deepfashion2": Format("DeepFashion2", "deepfashion2.read", "deepfashion2.signs"),
    "cvat": Format("CVAT XML", "cvat.read", find="cvat.find", write="write_cvat.CvatTarget"),
    "voc": Format("Pascal VOC", "voc.read", find="voc.find"),
    "rle-csv": Format("run lengths in CSV", "rle_csv.read", find="rle_csv.find", write="write_rle_csv.RleCsvTarget"),
    "yolo": Format("YOLO text", "yolo.read", find="yolo.find", write="write_yolo.YoloTarget"),
    "bitmask": Format("BDD100K bitmasks", "png_folders.read", write="write_png.BitmaskTarget"),
    "pan-seg": Format("BDD100K panoptic bitmasks", "png_folders.read"),
    "label-map": Format("label maps", "png_folders.read", write="write_png.LabelMapTarget", options=("values",)),
    "binary-masks": Format("0/255 masks", "png_folders.read", write="write_png.BinaryTarget"),
    "rle": Format("BDD100K run lengths", write="write_scalabel.RleTarget"),
}  # fmt: skip


def kinds(part: str) -> tuple[str, ...]:
    """The kinds that have a part.

    Args:
        part: ``read``, ``signs``, ``find`` or ``write``.

    Returns:
        Their names, in the order of the table, as ``--kind`` and ``--to`` take them.
    """
    return tuple(kind for kind, entry in FORMATS.items() if getattr(entry, part) is not None)


def part_of(kind: str, part: str) -> Any:
    """What reads, tells, finds or writes a kind.

    Args:
        kind: one of :func:`kinds`.
        part: ``read``, ``signs``, ``find`` or ``write``.

    Returns:
        The function or class, its module imported.
    """
    found = getattr(FORMATS[kind], part)
    if not isinstance(found, str):
        return found
    module, _, name = found.rpartition(".")
    return getattr(importlib.import_module(f"bdd_inst.formats.{module}"), name)


def known_formats() -> str:
    """What can be read, in words for messages."""
    return ", ".join(FORMATS[kind].name or kind for kind in kinds("read"))


def check_options(kind: str, given: Mapping[str, object], where: str) -> None:
    """Refuse what the reader of a kind does not take.

    Args:
        kind: of the labels.
        given: ``values`` and ``class_attribute``, as the user has given them, or None.
        where: the labels, for the message.

    Raises:
        DataError: one is given that only other kinds take.
    """
    for option, value in given.items():
        if value and option not in FORMATS[kind].options:
            takers = " and ".join(e.name or k for k, e in FORMATS.items() if option in e.options)
            raise DataError(
                f"{where}: {kind} files say it themselves; --{option.replace('_', '-')} is for {takers}"
            )
