"""Segment Anything's JSON (SA-1B, and the automatic mask generator's), one file an image: masks without classes, all ``object``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import fields
from bdd_inst.formats.json_files import items, plain
from bdd_inst.formats.reading import one_image_a_file
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.signs import Glimpse
from bdd_inst.formats.sniff import Found
from bdd_inst.masks import run_lengths

NAME = "object"
KEPT = ("predicted_iou", "stability_score")


def signs(glimpse: Glimpse) -> bool:
    """Whether the outermost JSON object is an image with its annotations."""
    return not glimpse.listed and glimpse.has("image") and glimpse.is_list("annotations")


def read(found: Found) -> LabelSet:
    """The label set of one file or a folder of them."""
    return one_image_a_file(found, _image, "pixels", categories=(NAME,))


def _image(top: Any, file: Path, log: ProblemLog) -> ImageLabels | None:
    try:
        entry = plain(top["image"])
        name = fields.word(entry["file_name"])
    except (ValueError, KeyError, TypeError):
        log.add("bad-record", str(file), "no image with a file_name; left out")
        return None
    size = fields.side(entry.get("height")), fields.side(entry.get("width"))
    own = fields.identity(entry.get("image_id"))
    image = ImageLabels(name, size[1], size[0], image_id=own)
    for number, raw in enumerate(items(top.get("annotations")) or []):
        where = f"{file}: annotation #{number}"
        try:
            value = plain(raw)
            box = fields.sized_box(value["bbox"]) if value.get("bbox") is not None else None
        except (ValueError, TypeError, AttributeError) as error:
            log.add("bad-label", where, f"{error}; left out")
            continue
        attributes = {key: value[key] for key in KEPT if key in value}
        out = Instance(NAME, box, id=fields.identity(value.get("id")), attributes=attributes)
        try:
            rle = run_lengths.normalize(
                value.get("segmentation"), default=size if all(size) else None
            )
        except DataError as error:
            log.add("bad-rle", where, f"{error}; mask left out")
        else:
            if all(size) and tuple(rle["size"]) != size:
                height, width = rle["size"]
                message = (
                    f"its mask is {width}x{height}, the image {size[1]}x{size[0]}; mask left out"
                )
                log.add("wrong-size-mask", where, message)
            else:
                out.rle = rle
        image.instances.append(out)
    return image
