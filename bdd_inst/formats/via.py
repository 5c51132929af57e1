"""VIA (VGG Image Annotator), JSON or CSV: ``regions`` of polygons, rectangles, circles and ellipses for each image, as list or object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import fields, via_csv
from bdd_inst.formats.json_files import describe, plain, raw_object
from bdd_inst.formats.reading import contents, label_set
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.signs import Glimpse, first_objects
from bdd_inst.formats.sniff import Found
from bdd_inst.masks.outlines import Outline, ellipse

# Attribute names under which annotators keep the class; VIA itself has no such notion.
CLASS_KEYS = ("class", "category", "label", "name", "type", "object")


def signs(glimpse: Glimpse) -> bool:
    """Whether a JSON object holds images with regions and file names: an export, or a whole project."""
    listed = raw_object(glimpse.fields.get("_via_img_metadata")) or glimpse.fields
    images = [] if glimpse.listed else list(first_objects(listed.values()))
    return bool(images) and all("regions" in image and "filename" in image for image in images)


def read(found: Found) -> LabelSet:
    """The label set of a VIA export or project.

    The class is the region attribute that ``found.class_attribute`` names, else one of the names in ``CLASS_KEYS``, else the one that
    most regions fill in (a note says which, and what else there is); regions without a class are ``object``.
    """
    candidates = _candidates(found)
    attribute = _class_attribute(found, candidates)
    others = [name for name in candidates if name != attribute]
    notes = ()
    if others and not found.class_attribute:
        notes = (
            f"the class is the attribute {attribute!r}; {', '.join(map(repr, others))} could be it too: "
            "choose with --class-attribute",
        )

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        for file, top in _contents(found, log):
            options = _options(top, attribute)
            for key, record in _records(file, top).items():
                image = _image(
                    record, f"{file}: {key!r:.80}", attribute=attribute, options=options, log=log
                )
                if image is not None:
                    yield image

    return label_set(found, generate, "coco", notes=notes)


def _contents(found: Found, log: ProblemLog) -> Iterator[tuple[Path, Any]]:
    """Every file with its content; a CSV export's records as they would stand in JSON."""
    if via_csv.find(found.files[0]):
        yield found.files[0], via_csv.records(found.files[0])
    else:
        yield from contents(found, log)


def _records(file: Path, top: Any) -> dict[str, Any]:
    """A file's images by VIA's keys. DataError where they cannot be read."""
    metadata = top.get("_via_img_metadata") if isinstance(top, dict) else None
    try:
        records = plain(metadata) if metadata is not None else plain(msgspec.json.encode(top))
    except ValueError as error:
        raise DataError(f"{file}: {error}") from None
    return records if isinstance(records, dict) else {}


def _candidates(found: Found) -> Counter[str]:
    """The region attributes that could be classes (text, a choice, ticked boxes), with how many regions fill each in."""
    filled: Counter[str] = Counter()
    for file, top in _contents(found, ProblemLog()):
        for record in _records(file, top).values():
            regions = record.get("regions") if isinstance(record, dict) else None
            regions = list(regions.values()) if isinstance(regions, dict) else regions
            for region in regions if isinstance(regions, list) else ():
                attributes = region.get("region_attributes") if isinstance(region, dict) else None
                _, others = fields.split_flags(attributes)
                filled.update(name for name, value in others.items() if _chosen(value))
    return filled


def _class_attribute(found: Found, candidates: Counter[str]) -> str | None:
    """The attribute that is the class; None where none could be. DataError where the one asked for is not there."""
    if found.class_attribute is not None:
        if found.class_attribute not in candidates:
            there = ", ".join(map(repr, candidates)) or "none"
            raise DataError(
                f"{found.path}: no region has the attribute {found.class_attribute!r}; there are {there}"
            )
        return found.class_attribute
    usual = [name for key in CLASS_KEYS for name in candidates if name.lower() == key]
    return (usual or [name for name, _ in candidates.most_common(1)] or [None])[0]


def _options(top: Any, attribute: str | None) -> dict[str, str]:
    """What the options of a choice are called where the project numbers them."""
    try:
        known = plain(top["_via_attributes"])["region"][attribute]["options"]
        return {
            k: v for k, v in known.items() if k.isdecimal() and isinstance(v, str) and v.strip()
        }
    except (KeyError, TypeError, AttributeError, ValueError):
        return {}


def _chosen(value: Any) -> list[str]:
    """What an attribute says: its text or number, or those of its boxes that are ticked."""
    if isinstance(value, dict):
        return [name for name, ticked in value.items() if fields.truth(ticked) and name.strip()]
    if isinstance(value, int) and not isinstance(value, bool):
        return [str(value)]
    return [value.strip()] if isinstance(value, str) and value.strip() else []


def _image(
    record: Any, where: str, attribute: str | None, options: dict[str, str], log: ProblemLog
) -> ImageLabels | None:
    name = record.get("filename") if isinstance(record, dict) else None
    if not isinstance(name, str) or not name.strip():
        log.add("bad-record", where, "a record without a filename; left out")
        return None
    attributes = record.get("file_attributes")
    image = ImageLabels(name, attributes=attributes if isinstance(attributes, dict) else {})
    regions = record.get("regions")
    if isinstance(regions, dict):
        regions = list(regions.values())
    if not isinstance(regions, list):
        image.labeled = False
        return image
    for number, region in enumerate(regions):
        try:
            instance = _instance(region)
            _name(instance, attribute, options=options, where=f"{where}, region #{number}", log=log)
            image.instances.append(instance)
        except (DataError, ValueError, TypeError, OverflowError) as error:
            log.add("bad-label", f"{where}, region #{number}", f"{error}; left out")
    return image


def _instance(region: Any) -> Instance:
    shape = region.get("shape_attributes") if isinstance(region, dict) else None
    if not isinstance(shape, dict):
        raise ValueError(f"{describe(region)} without shape_attributes")
    flags, others = fields.split_flags(region.get("region_attributes"))
    out = Instance("object", attributes=others, **flags)
    kind = shape.get("name")
    if kind in ("polygon", "polyline"):
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
            raise ValueError("a polygon without x and y for each point")
        out.paths = [Outline.checked(list(zip(xs, ys, strict=True)), closed=kind == "polygon")]
        if len(out.paths[0]) < 3:
            raise ValueError(f"a polygon of {len(out.paths[0])} points")
    elif kind == "rect":
        out.box = fields.sized_box([shape.get(k) for k in ("x", "y", "width", "height")])
    elif kind in ("circle", "ellipse"):
        rx = fields.number(shape.get("r", shape.get("rx")), "radius")
        ry = fields.number(shape.get("r", shape.get("ry")), "radius")
        theta = fields.number(shape.get("theta", 0), "theta")
        center = [fields.number(shape.get(k), k) for k in ("cx", "cy")]
        # VIA's angle is in radians, from x towards y, as ours.
        out.paths = [Outline(ellipse(center, (rx, ry), theta))]
    else:
        raise ValueError(f"a {str(kind)[:20]} encloses nothing")
    return out


def _name(
    instance: Instance, attribute: str | None, options: dict[str, str], where: str, log: ProblemLog
) -> None:
    """Give an instance its class; several ticked boxes, and none among others that have one, are counted."""
    names = [attribute]
    if attribute is not None and attribute.lower() in CLASS_KEYS:
        # Where nobody chose, regions of one file may keep their class under different usual names.
        names += [name for name in instance.attributes if name.lower() in CLASS_KEYS]
    words = next((w for w in (_chosen(instance.attributes.get(name)) for name in names) if w), [])
    if words:
        instance.category = options.get(words[0], words[0])
    elif instance.attributes:
        log.add("no-class", where, f"its attribute {attribute!r} says nothing; called 'object'")
    if len(words) > 1:
        message = f"{', '.join(words)} are all ticked; an object has one class, the first is taken"
        log.add("several-classes", where, message)
