"""DeepFashion2 JSON, one file an image: ``item1``, ``item2``, ... with polygons, corner boxes and a class each.

The files do not say the image's name or size: ``annos/000001.json`` belongs to ``image/000001.jpg``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import fields
from bdd_inst.formats.json_files import describe, json_stem, plain
from bdd_inst.formats.reading import one_image_a_file
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.signs import Glimpse
from bdd_inst.formats.sniff import Found
from bdd_inst.masks.outlines import Outline

ITEM = re.compile(r"item(\d+)$")
KEPT = ("scale", "viewpoint", "zoom_in", "occlusion", "style")


def signs(glimpse: Glimpse) -> bool:
    """Whether the outermost JSON object is an image of a shop or a user with its pair."""
    return not glimpse.listed and glimpse.has("source", "pair_id")


def read(found: Found) -> LabelSet:
    """The label set of one file or a folder of them."""
    return one_image_a_file(found, _image, "coco")


def _image(top: dict, file: Path, log: ProblemLog) -> ImageLabels:
    image = ImageLabels(f"{json_stem(file)}.jpg")
    for key in ("source", "pair_id"):
        if key in top:
            image.attributes[key] = plain(top[key])
    numbered = sorted((int(m[1]), key) for key in top if (m := ITEM.match(key)))
    for number, key in numbered:
        try:
            image.instances.append(_instance(plain(top[key]), number))
        except (DataError, ValueError, TypeError) as error:
            log.add("bad-label", f"{file}: {key}", f"{error}; left out")
    return image


def _instance(item: Any, number: int) -> Instance:
    if not isinstance(item, dict):
        raise ValueError(f"{describe(item)} where an item should be")
    out = Instance(fields.word(item.get("category_name")), id=number)
    corners = item.get("bounding_box")
    if isinstance(corners, list) and len(corners) == 4:
        named = dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True))
        out.box = fields.corners_box(named, inclusive=False)
    parts = [Outline.from_coco(part) for part in item.get("segmentation") or ()]
    out.paths = [path for path in parts if len(path) >= 3] or None
    out.attributes = {key: item[key] for key in KEPT if key in item}
    return out
