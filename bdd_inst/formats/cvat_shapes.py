"""The shapes of CVAT's XML as instances: their labels, attributes and geometry, masks in its own run lengths, and how they move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bdd_inst.formats import fields
from bdd_inst.formats.records import Instance
from bdd_inst.formats.xml_files import Element, number_of
from bdd_inst.masks import run_lengths
from bdd_inst.masks.outlines import Outline, ellipse, turned_rectangle
from bdd_inst.masks.rle_check import MAX_PIXELS

SHAPES = ("polygon", "box", "ellipse", "mask", "polyline", "points", "cuboid", "skeleton")


def instance_of(
    shape: Element, width: int | None, height: int | None, label: str | None = None
) -> Instance:
    """One shape as an object.

    Args:
        shape: an element of an ``image`` or a ``track``.
        width, height: of its image, in pixels; masks need them.
        label: its track's.

    Returns:
        An object with box, outline or mask, its order of drawing among its attributes where it has one.

    Raises:
        ValueError: it encloses nothing, or is not what the format says.
        DataError: an outline of numbers that are none.
    """
    attributes: dict[str, object] = {}
    for attribute in shape.iter("attribute"):
        if attribute.get("name"):
            attributes[attribute.get("name")] = (attribute.text or "").strip()
    flags, others = fields.split_flags(attributes)
    flags["occluded"] = flags.get("occluded", False) or fields.truth(shape.get("occluded"))
    order = shape.get("z_order") or "0"
    if order.lstrip("-").isdecimal() and len(order) < 10 and int(order):
        others["z_order"] = int(order)
    group = shape.get("group_id")
    if group and group != "0":
        others["group_id"] = group
    out = Instance(fields.word(shape.get("label") or label), attributes=others, **flags)
    if shape.tag == "polygon":
        outline = points_of(shape)
        if len(outline) < 3:
            raise ValueError(f"a polygon of {len(outline)} points")
        out.paths = [outline]
    elif shape.tag == "box":
        _box(out, shape)
    elif shape.tag == "ellipse":
        cx, cy, rx, ry = (number_of(shape, key) for key in ("cx", "cy", "rx", "ry"))
        turn = np.radians(number_of(shape, "rotation", 0))
        out.paths = [Outline.checked(ellipse((cx, cy), (abs(rx), abs(ry)), turn))]
    elif shape.tag == "mask":
        out.rle = _mask(shape, width, height)
    else:
        raise ValueError(f"a {shape.tag[:20]} encloses nothing")
    return out


def points_of(shape: Element) -> Outline:
    """``points="x,y;x,y"`` as an outline. DataError or ValueError for what is none."""
    rows = [pair.split(",") for pair in (shape.get("points") or "").split(";") if pair.strip()]
    try:
        return Outline.checked([[float(value) for value in row] for row in rows])
    except ValueError:
        raise ValueError("points are no pairs of numbers, x,y;x,y") from None


def _box(out: Instance, shape: Element) -> None:
    x1, y1, x2, y2 = (number_of(shape, key) for key in ("xtl", "ytl", "xbr", "ybr"))
    if x2 <= x1 or y2 <= y1:
        raise ValueError(f"a box of no area ({x1:g}, {y1:g}, {x2:g}, {y2:g})")
    turn = number_of(shape, "rotation", 0)
    if turn % 360:
        # CVAT turns a box about its center.
        corners = turned_rectangle((x1, y1, x2, y2), turn, ((x1 + x2) / 2, (y1 + y2) / 2))
        out.paths = [Outline.checked(corners)]
    else:
        out.box = (x1, y1, x2, y2)


def _mask(shape: Element, width: int | None, height: int | None) -> dict:
    """The RLE of a ``mask``: runs row by row, background first, of the crop at left, top. ValueError for what is none."""
    if not width or not height or width * height > MAX_PIXELS:
        raise ValueError("a mask on an image of no known size")
    x, y, w, h = (int(number_of(shape, key)) for key in ("left", "top", "width", "height"))
    if w <= 0 or h <= 0 or x < 0 or y < 0 or x + w > width or y + h > height:
        raise ValueError(f"a mask of {w}x{h} at {x},{y} leaves its image of {width}x{height}")
    words = (shape.get("rle") or "").split(",")
    if not all(word.strip().isdecimal() and len(word) < 12 for word in words):
        raise ValueError("a mask's rle are whole numbers with commas between")
    runs = np.array([int(word) for word in words], dtype=np.int64)
    if runs.sum() != w * h:
        raise ValueError(f"a mask's runs cover {runs.sum()} pixels of {w * h}")
    crop = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(h, w)
    return run_lengths.encode_crop(crop, x, y=y, height=height, width=width)


def runs_of(rle: dict) -> tuple[Sequence[int], tuple[int, int, int, int]] | None:
    """A mask as CVAT writes it.

    Args:
        rle: of the whole image.

    Returns:
        The runs of its tight crop, row by row, background first; and the crop's left, top, width and height. None for an empty mask.
    """
    crop, x, y = run_lengths.decode_tight([rle])[0]
    if not crop.size:
        return None
    flat = np.ascontiguousarray(crop).reshape(-1)
    edges = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [len(flat)]))
    runs = np.diff(edges).tolist()
    return [0, *runs] if flat[0] else runs, (x, y, crop.shape[1], crop.shape[0])


def moved(before: Instance, after: Instance | None, share: float) -> Instance:
    """An object between two frames on which it is listed.

    Args:
        before, after: the object there; ``after`` None where it is gone by then.
        share: how far between the two, 0 to 1.

    Returns:
        Boxes and outlines of as many corners moved evenly; else the object as it was before.
    """
    box, paths = before.box, before.paths
    if after is not None and box is not None and after.box is not None:
        pairs = zip(box, after.box, strict=True)
        box = tuple(a + (b - a) * share for a, b in pairs)
    if after is not None and paths and after.paths and len(paths[0]) == len(after.paths[0]):
        start, end = paths[0].vertices, after.paths[0].vertices
        paths = [Outline(start + (end - start) * share)]
    return Instance(
        before.category,
        box,
        paths,
        before.rle,
        occluded=before.occluded,
        truncated=before.truncated,
        id=before.id,
        attributes=dict(before.attributes),
    )
