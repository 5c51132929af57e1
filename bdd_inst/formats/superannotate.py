"""SuperAnnotate JSON of vector projects, one file an image: polygons with holes, boxes, turned boxes, ellipses; groups are one object.

The classes' order is that of ``classes/classes.json`` where the export has one. Pixel projects keep their masks in images of colors
beside the JSON; those are named and left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import fields
from bdd_inst.formats.json_files import describe, items, json_stem, plain, read_bytes, split
from bdd_inst.formats.reading import contents, label_set
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.signs import Glimpse
from bdd_inst.formats.sniff import Found
from bdd_inst.masks import rasterize
from bdd_inst.masks.outlines import Outline, ellipse

# What follows the image's name in the names of label files.
ENDINGS = ("___objects", "___pixel")
CLASSES = "classes/classes.json"


def signs(glimpse: Glimpse) -> bool:
    """Whether the outermost JSON object is an image of instances with metadata."""
    return not glimpse.listed and glimpse.has("metadata") and glimpse.is_list("instances")


def read(found: Found) -> LabelSet:
    """The label set of one file or a folder of them."""

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        for file, top in contents(found, log):
            image = _image(top, file, log)
            if image is not None:
                yield image

    return label_set(found, generate, "coco", categories=_classes(found.path))


def _classes(path: Path) -> tuple[str, ...] | None:
    """The names in the export's list of classes; None where it has none that can be read."""
    folder = path if path.is_dir() else path.parent
    for file in (folder / CLASSES, folder.parent / CLASSES):
        if file.is_file():
            try:
                entries = [plain(raw) for raw in split(read_bytes(file), file)]
                return tuple(dict.fromkeys(fields.word(entry["name"]) for entry in entries))
            except (DataError, ValueError, KeyError, TypeError):
                return None
    return None


def _image(top: Any, file: Path, log: ProblemLog) -> ImageLabels | None:
    objects = items(top.get("instances")) if isinstance(top, dict) else None
    try:
        metadata = plain(top["metadata"])
        image = ImageLabels(
            _name(metadata, file), fields.side(metadata["width"]), fields.side(metadata["height"])
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        objects = None
    if objects is None:
        log.add(
            "bad-record", str(file), "no metadata of an image or no list of instances; left out"
        )
        return None
    groups: dict[tuple[str, Any], Instance] = {}
    for number, raw in enumerate(objects):
        where = f"{file}: instance #{number}"
        try:
            instance, group = _instance(plain(raw), number, image)
        except (DataError, ValueError, TypeError, KeyError, OverflowError) as error:
            log.add("bad-label", where, f"{error}; left out")
            continue
        before = groups.get((instance.category, group)) if group else None
        if before is not None and before.paths and instance.paths:
            before.paths += instance.paths  # an object in several parts
            continue
        groups[instance.category, group] = instance
        image.instances.append(instance)
    return image


def _name(metadata: dict, file: Path) -> str:
    """The image's name, from the metadata, else from the file's."""
    name = metadata.get("name")
    if isinstance(name, str) and name.strip():
        return name
    stem = json_stem(file)
    for ending in ENDINGS:
        stem = stem.removesuffix(ending)
    return stem


def _instance(value: Any, number: int, image: ImageLabels) -> tuple[Instance, Any]:
    """One object and its group (0 or None for none); ValueError or DataError for what is none."""
    if not isinstance(value, dict):
        raise ValueError(f"{describe(value)} where an instance should be")
    out = Instance(fields.word(value.get("className")), id=number)
    kind, points = value.get("type"), value.get("points")
    if "parts" in value or kind == "mask":
        raise ValueError("its mask lies in the ___save.png of a pixel project; export it as COCO")
    if kind == "polygon":
        outline = _outline(points)
        holes = [_outline(hole) for hole in value.get("exclude") or ()]
        if holes:
            if not image.height or not image.width:
                raise ValueError("an outline with holes needs the image's size")
            out.rle = rasterize.with_holes(outline, holes, image.height, image.width)
        else:
            out.paths = [outline]
    elif kind == "bbox":
        sides = {key: fields.number(points[key], key) for key in ("x1", "y1", "x2", "y2")}
        xs, ys = sorted((sides["x1"], sides["x2"])), sorted((sides["y1"], sides["y2"]))
        out.box = fields.corners_box(
            {"x1": xs[0], "y1": ys[0], "x2": xs[1], "y2": ys[1]}, inclusive=False
        )
    elif kind == "rbbox":
        out.paths = [Outline.checked([[points[f"x{k}"], points[f"y{k}"]] for k in (1, 2, 3, 4)])]
    elif kind == "ellipse":
        cx, cy, rx, ry = (fields.number(value.get(key), key) for key in ("cx", "cy", "rx", "ry"))
        angle = np.deg2rad(fields.number(value.get("angle") or 0, "angle"))
        out.paths = [Outline(ellipse((cx, cy), (rx, ry), angle))]
    else:
        raise ValueError(f"a {str(kind)[:20]} encloses nothing")
    return out, fields.identity(value.get("groupId"))


def _outline(points: Any) -> Outline:
    """A flat list of coordinates as an outline; DataError or ValueError for what encloses nothing."""
    path = Outline.from_coco(points if isinstance(points, list) else [])
    if len(path) < 3:
        raise ValueError(f"a polygon of {len(path)} points")
    return path
