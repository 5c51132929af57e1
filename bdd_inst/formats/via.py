"""VIA (VGG Image Annotator) JSON: ``regions`` of polygons, rectangles, circles and ellipses for each picture, as list or object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import fields
from bdd_inst.formats.json_files import describe, plain
from bdd_inst.formats.reading import contents, label_set
from bdd_inst.formats.records import Instance, LabelSet, Picture
from bdd_inst.formats.sniff import Found
from bdd_inst.masks.paths import Path

# Attribute names under which annotators keep the class; VIA itself has no such notion.
CLASS_KEYS = ("class", "category", "label", "name", "type", "object")
ELLIPSE_CORNERS = 64


def read(found: Found) -> LabelSet:
    """The label set of a VIA export or project. The class is the region attribute of the names in ``CLASS_KEYS``, else the only one,
    else ``object``."""

    def generate(log: ProblemLog) -> Iterator[Picture]:
        for file, top in contents(found, log):
            metadata = top.get("_via_img_metadata") if isinstance(top, dict) else None
            try:
                records = (
                    plain(metadata) if metadata is not None else plain(msgspec.json.encode(top))
                )
            except ValueError as error:
                raise DataError(f"{file}: {error}") from None
            for key, record in records.items() if isinstance(records, dict) else ():
                picture = _picture(record, f"{file}: {key!r:.80}", log)
                if picture is not None:
                    yield picture

    return label_set(found, generate, "coco")


def _picture(record: Any, where: str, log: ProblemLog) -> Picture | None:
    name = record.get("filename") if isinstance(record, dict) else None
    if not isinstance(name, str) or not name.strip():
        log.add("bad-frame", where, "a record without a filename; left out")
        return None
    attributes = record.get("file_attributes")
    picture = Picture(name, attributes=attributes if isinstance(attributes, dict) else {})
    regions = record.get("regions")
    if isinstance(regions, dict):
        regions = list(regions.values())
    if not isinstance(regions, list):
        picture.labelled = False
        return picture
    for number, region in enumerate(regions):
        try:
            picture.instances.append(_instance(region))
        except (DataError, ValueError, TypeError, OverflowError) as error:
            log.add("bad-label", f"{where}, region #{number}", f"{error}; left out")
    return picture


def _instance(region: Any) -> Instance:
    shape = region.get("shape_attributes") if isinstance(region, dict) else None
    if not isinstance(shape, dict):
        raise ValueError(f"{describe(region)} without shape_attributes")
    flags, others = fields.split_flags(region.get("region_attributes"))
    words = [others[k] for k in CLASS_KEYS if isinstance(others.get(k), str)] or [
        v for v in others.values() if isinstance(v, str)
    ]
    out = Instance(
        fields.word(words[0]) if words and words[0].strip() else "object",
        attributes=others,
        **flags,
    )
    kind = shape.get("name")
    if kind in ("polygon", "polyline"):
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
            raise ValueError("a polygon without x and y for each point")
        out.paths = [Path.checked(list(zip(xs, ys, strict=True)), closed=kind == "polygon")]
        if len(out.paths[0]) < 3:
            raise ValueError(f"a polygon of {len(out.paths[0])} points")
    elif kind == "rect":
        out.box = fields.sized_box([shape.get(k) for k in ("x", "y", "width", "height")])
    elif kind in ("circle", "ellipse"):
        rx = fields.number(shape.get("r", shape.get("rx")), "radius")
        ry = fields.number(shape.get("r", shape.get("ry")), "radius")
        turn = np.linspace(0, 2 * np.pi, ELLIPSE_CORNERS, endpoint=False)
        points = np.stack([rx * np.cos(turn), ry * np.sin(turn)], axis=1)
        theta = fields.number(shape.get("theta", 0), "theta")
        rotation = np.array([[np.cos(theta), np.sin(theta)], [-np.sin(theta), np.cos(theta)]])
        center = [fields.number(shape.get(k), k) for k in ("cx", "cy")]
        out.paths = [Path(points @ rotation + center)]
    else:
        raise ValueError(f"a {str(kind)[:20]} encloses nothing")
    return out
