"""LabelMe JSON, one file an image: polygons, rectangles, circles, masks; shapes of one ``group_id`` and label are one object.

Outlines of a group add up, and so do masks; a rectangle is the object's box. A mask does not join outlines: they stay two objects.
"""

from __future__ import annotations

import base64
import binascii
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import fields
from bdd_inst.formats.json_files import describe, items, json_stem, plain
from bdd_inst.formats.reading import one_image_a_file
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.signs import Glimpse
from bdd_inst.formats.sniff import Found
from bdd_inst.images.png_bytes import decode_mask
from bdd_inst.masks import run_lengths
from bdd_inst.masks.outlines import Outline, ellipse

# LabelMe's own words for pixels that are of no class, and for those that are to be ignored.
NO_CLASSES = ("__ignore__", "_background_")
# Shapes whose points are their corners; ``rotation`` is X-AnyLabeling's turned box, ``oriented_rectangle`` LabelMe's.
OUTLINES = ("polygon", "rectangle", "oriented_rectangle", "rotation", "quadrilateral")


def signs(glimpse: Glimpse) -> bool:
    """Whether the outermost JSON object is an image with a list of shapes."""
    return not glimpse.listed and glimpse.is_list("shapes")


def read(found: Found) -> LabelSet:
    """The label set of one file or a folder of them. ``imageData`` (the image itself) is not looked at."""
    return one_image_a_file(found, _image, "coco")


def _field(top: dict[str, msgspec.Raw], key: str) -> Any:
    try:
        return plain(top[key]) if key in top else None
    except ValueError:
        return None


def _image(top: Any, file: Path, log: ProblemLog) -> ImageLabels | None:
    shapes = items(top.get("shapes")) if isinstance(top, dict) else None
    if shapes is None:
        log.add("bad-record", str(file), "no list of shapes; left out")
        return None
    path = _field(top, "imagePath")
    # Paths come from the labeller's machine, Windows included; the image's own name is what holds elsewhere.
    name = (
        path.replace("\\", "/").rsplit("/", 1)[-1]
        if isinstance(path, str) and path.strip()
        else f"{json_stem(file)}.jpg"
    )
    image = ImageLabels(
        name, fields.side(_field(top, "imageWidth")), fields.side(_field(top, "imageHeight"))
    )
    flags = _field(top, "flags")
    image.attributes = flags if isinstance(flags, dict) else {}
    groups: dict[tuple[str, Any], Instance] = {}
    for number, raw in enumerate(shapes):
        where = f"{file}: shape #{number}"
        try:
            shape = plain(raw)
            if isinstance(shape, dict) and shape.get("label") in NO_CLASSES:
                message = f"{shape['label']} marks pixels that are no object; left out"
                log.add("category-left-out", where, message)
                continue
            _add(shape, image, groups=groups, where=where, log=log)
        except (DataError, ValueError, TypeError, OverflowError) as error:
            log.add("bad-label", where, f"{error}; left out")
    return image


def _add(
    shape: Any,
    image: ImageLabels,
    groups: dict[tuple[str, Any], Instance],
    where: str,
    log: ProblemLog,
) -> None:
    """Add one shape: a new instance, or another part of its group's."""
    if not isinstance(shape, dict):
        raise ValueError(f"{describe(shape)} where a shape should be")
    category = fields.word(shape.get("label"))
    group = fields.identity(shape.get("group_id"))
    flags, others = fields.split_flags(shape.get("flags"))
    new = Instance(category, attributes=others, id=group, **flags)
    kind = shape.get("shape_type") or "polygon"
    points = Outline.checked(
        shape.get("points") if isinstance(shape.get("points"), list) else []
    ).vertices
    if kind == "mask":
        new.rle = _mask(shape.get("mask"), points, image=image, where=where, log=log)
    elif kind == "rectangle" and len(points) == 2:
        (x1, y1), (x2, y2) = points.min(0).tolist(), points.max(0).tolist()
        if x2 <= x1 or y2 <= y1:
            raise ValueError("a rectangle of no area")
        new.box = (x1, y1, x2, y2)
    elif kind == "circle" and len(points) == 2:
        # LabelMe's circle is its center and a point on it.
        radius = math.dist(*points)
        new.paths = [Outline(ellipse(points[0], (radius, radius)))]
    elif kind in OUTLINES:
        if len(points) < 3:
            raise ValueError(f"a polygon of {len(points)} points")
        new.paths = [Outline(points)]
    else:
        raise ValueError(f"a {str(kind)[:20]} encloses nothing")
    # LabelMe's way to say that shapes are parts of one object: they share label and group number.
    before = groups.get((category, group)) if group is not None else None
    if before is not None and _joined(before, new):
        return
    groups[category, group] = new
    image.instances.append(new)


def _joined(before: Instance, new: Instance) -> bool:
    """Add ``new``, the next shape of a group, to the group's object; False where the two kinds of shape do not go together."""
    if before.paths and new.paths:
        before.paths += new.paths
    elif before.rle is not None and new.rle is not None:
        before.rle = run_lengths.union([before.rle, new.rle])
    elif before.box is None and new.box is not None:
        before.box = new.box
    elif new.box is None and before.box is not None and not before.has_mask:
        before.paths, before.rle = new.paths, new.rle
    else:
        return False
    return True


def _mask(data: Any, points: np.ndarray, image: ImageLabels, where: str, log: ProblemLog) -> dict:
    """The RLE of a ``mask`` shape: a base64 PNG whose first pixel is the first of its two corner points; cut at the image's edge."""
    if not isinstance(data, str) or len(points) != 2 or not image.width or not image.height:
        raise ValueError("a mask without data, corner points or image size")
    try:
        mask = decode_mask(base64.b64decode(data), where)
    except binascii.Error as error:
        raise ValueError(f"mask data is no base64 ({error})") from None
    x, y = (int(v) for v in points.min(0))
    h, w = mask.shape
    left, top = max(-x, 0), max(-y, 0)
    inside = mask[top : max(image.height - y, 0), left : max(image.width - x, 0)]
    if inside.shape != mask.shape:
        sizes = f"of {w}x{h} at {x},{y}", f"{image.width}x{image.height}"
        if not inside.size:
            raise ValueError(f"a mask {sizes[0]} lies outside its image of {sizes[1]}")
        log.add("outside-image", where, f"a mask {sizes[0]} is cut at the edge of {sizes[1]}")
    return run_lengths.encode_crop(
        inside, x + left, y=y + top, height=image.height, width=image.width
    )
