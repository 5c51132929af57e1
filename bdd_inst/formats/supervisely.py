"""Supervisely JSON, one file an image: bitmap objects (base64, zlib, PNG, placed at an origin), polygons with holes, rectangles.

A polygon with holes becomes a mask by COCO's fill, outline minus holes, for a list of outlines cannot say which of them are holes.
"""

from __future__ import annotations

import base64
import binascii
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import fields
from bdd_inst.formats.json_files import describe, json_stem, plain, read_bytes
from bdd_inst.formats.reading import one_image_a_file
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.signs import Glimpse
from bdd_inst.formats.sniff import Found
from bdd_inst.images import png_kinds
from bdd_inst.images.names import image_name
from bdd_inst.images.png_bytes import decode_mask
from bdd_inst.masks import rasterize, run_lengths
from bdd_inst.masks.outlines import Outline
from bdd_inst.masks.rle_check import MAX_PIXELS

# A mask of 2^28 pixels does not pack worse than this; what unpacks to more is a bomb.
LARGEST_PNG = 64 << 20


def signs(glimpse: Glimpse) -> bool:
    """Whether the outermost JSON object is an image of objects with a size."""
    return not glimpse.listed and glimpse.has("objects", "size")


def read(found: Found) -> LabelSet:
    """The label set of one annotation file or of a project's folder; classes come from ``meta.json`` where it stands there."""
    return one_image_a_file(found, _image, "coco", categories=_classes(found.path))


def _classes(path: Path) -> tuple[str, ...] | None:
    """Class titles of the project's ``meta.json``, looked for in the folder and the two above."""
    folder = path if path.is_dir() else path.parent
    for place in (folder, *list(Path(os.path.realpath(folder)).parents)[:2]):
        meta = place / "meta.json"
        if meta.is_file():
            try:
                classes = plain(read_bytes(meta))["classes"]
                return tuple(dict.fromkeys(str(c["title"]).strip() for c in classes))
            except (DataError, ValueError, KeyError, TypeError):
                return None
    return None


def _image(top: Any, file: Path, log: ProblemLog) -> ImageLabels | None:
    try:
        value = {key: plain(raw) for key, raw in top.items()} if isinstance(top, dict) else None
    except ValueError as error:
        log.add("bad-record", str(file), f"{error}; left out")
        return None
    size = value.get("size") if value is not None else None
    width, height = (
        (fields.side(size.get(k)) for k in ("width", "height"))
        if isinstance(size, dict)
        else (None, None)
    )
    objects = value.get("objects") if value is not None else None
    if not width or not height or not isinstance(objects, list) or width * height > MAX_PIXELS:
        log.add("bad-record", str(file), "no image size or no list of objects; left out")
        return None
    image = ImageLabels(image_name(json_stem(file)), width, height)
    tags = value.get("tags")
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, dict) and "name" in tag:
            image.attributes[str(tag["name"])] = tag.get("value", True)
    for number, item in enumerate(objects):
        where = f"{file}: object {item.get('id', f'#{number}') if isinstance(item, dict) else f'#{number}'}"
        try:
            image.instances.append(_instance(item, height, width=width, where=where, log=log))
        except (DataError, ValueError, TypeError, KeyError, OverflowError) as error:
            log.add("bad-label", where, f"{error}; left out")
    return image


def _instance(item: Any, height: int, width: int, where: str, log: ProblemLog) -> Instance:
    """One object; ValueError or DataError for what is none."""
    if not isinstance(item, dict):
        raise ValueError(f"{describe(item)} where an object should be")
    out = Instance(fields.word(item.get("classTitle")), id=fields.identity(item.get("id")))
    bitmap, points = item.get("bitmap"), item.get("points")
    if isinstance(bitmap, dict) and bitmap.get("data"):
        out.rle = _bitmap(bitmap, height, width=width, where=where, log=log)
        return out
    exterior = points.get("exterior") if isinstance(points, dict) else None
    if not isinstance(exterior, list):
        raise ValueError(
            f"an object of type {item.get('geometryType')!r} without bitmap or outline"
        )
    outline = Outline.checked(exterior)
    if item.get("geometryType") == "rectangle" or len(outline) == 2:
        low, high = outline.vertices.min(0), outline.vertices.max(0)
        # A rectangle names its last pixel, as all of Supervisely's integer coordinates do.
        out.box = (float(low[0]), float(low[1]), float(high[0]) + 1, float(high[1]) + 1)
        return out
    if item.get("geometryType") in ("point", "line", "polyline", "graph"):
        raise ValueError(f"a {item['geometryType']} encloses nothing")
    if len(outline) < 3:
        raise ValueError(f"a polygon of {len(outline)} points")
    holes = []
    for hole in points.get("interior") or []:
        try:
            holes.append(Outline.checked(hole))
            if len(holes[-1]) < 3:
                raise DataError(f"a hole of {len(holes.pop())} points")
        except DataError as error:
            log.add("bad-polygon", where, f"hole left out: {error}")
    if holes:
        # A list of outlines cannot say which are holes: such an object travels as its mask.
        out.rle = rasterize.with_holes(outline, holes, height, width)
    else:
        out.paths = [outline]
    return out


def _bitmap(bitmap: dict, height: int, width: int, where: str, log: ProblemLog) -> dict:
    """The RLE of a bitmap placed in its image; what lies outside is cut off and counted."""
    origin = bitmap.get("origin")
    if not isinstance(origin, list) or len(origin) != 2:
        raise ValueError("a bitmap without an origin")
    x, y = (int(fields.number(v, "bitmap origin")) for v in origin)
    mask = decode_mask(unpack(bitmap["data"]), where)
    h, w = mask.shape
    left, top, right, bottom = max(0, -x), max(0, -y), min(w, width - x), min(h, height - y)
    if right <= left or bottom <= top:
        raise ValueError(
            f"a bitmap of {w}x{h} at {x},{y} lies outside its image of {width}x{height}"
        )
    if (left, top, right, bottom) != (0, 0, w, h):
        log.add(
            "outside-image",
            where,
            f"a bitmap of {w}x{h} at {x},{y} leaves its image of {width}x{height}; cut off",
        )
    return run_lengths.encode_crop(
        mask[top:bottom, left:right], x + left, y=y + top, height=height, width=width
    )


def unpack(data: Any) -> bytes:
    """The PNG of a bitmap's ``data``: base64 of a zlib stream. ValueError where it is none, or unpacks to more than any mask."""
    if not isinstance(data, str):
        raise ValueError("bitmap data is no text")
    try:
        packed = base64.b64decode(data)
        # Some exporters leave out the zlib layer.
        if packed.startswith(png_kinds.SIGNATURE):
            return packed
        unpacker = zlib.decompressobj()
        png = unpacker.decompress(packed, LARGEST_PNG)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise ValueError(f"bitmap data is no base64 of a zlib stream ({error})") from None
    if unpacker.unconsumed_tail:
        raise ValueError(f"bitmap data unpacks to more than {LARGEST_PNG >> 20} MB")
    return png


def pack(mask: np.ndarray) -> str:
    """The ``data`` of a bitmap: H,W bool -> PNG, zlib, base64."""
    from bdd_inst.images.png_bytes import encode_mask

    return base64.b64encode(zlib.compress(encode_mask(mask))).decode("ascii")
