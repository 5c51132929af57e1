"""The annotations of Pascal VOC, one XML file an image: boxes that count from 1, flags, and outlines where a tool adds them."""

from __future__ import annotations

from pathlib import Path

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import fields
from bdd_inst.formats.records import ImageLabels, Instance
from bdd_inst.formats.xml_files import Element, as_number, elements, text_of
from bdd_inst.images.names import is_image_name
from bdd_inst.masks.outlines import Outline


def read_annotation(file: Path, name: str, log: ProblemLog) -> ImageLabels:
    """One annotation.

    Args:
        file: XML.
        name: what the image is called where the file does not say.
        log: takes objects that are none.

    Returns:
        The image; what VOC calls difficult is ignored, as its scoring does.

    Raises:
        DataError: no XML, or no annotation.
    """
    root = next(elements(file, frozenset({"annotation"})), None)
    if root is None:
        raise DataError(f"{file}: no annotation in it")
    named = text_of(root, "filename").replace("\\", "/").rpartition("/")[2]
    if named and not is_image_name(named):
        named = f"{named}.jpg"
    sides = [fields.side(text_of(root, f"size/{key}")) for key in ("width", "height")]
    image = ImageLabels(named or name, *(sides if all(sides) else (None, None)))
    for number, element in enumerate(root.iter("object"), 1):
        try:
            image.instances.append(_object(element, number))
        except (DataError, ValueError) as error:
            log.add("bad-label", f"{file}: object {number}", f"{error}; left out")
    return image


def _object(element: Element, number: int) -> Instance:
    """One object. ValueError or DataError for what is none."""
    flags = {key: fields.truth(text_of(element, key)) for key in ("truncated", "occluded")}
    out = Instance(fields.word(text_of(element, "name")), id=number, **flags)
    out.ignored = fields.truth(text_of(element, "difficult"))
    pose = text_of(element, "pose")
    if pose and pose != "Unspecified":
        out.attributes["pose"] = pose
    box = element.find("bndbox")
    if box is not None:
        x1, y1, x2, y2 = (as_number(box.findtext(k), k) for k in ("xmin", "ymin", "xmax", "ymax"))
        # The first pixel is 1, the last one belongs to the box.
        out.box = (max(x1 - 1, 0.0), max(y1 - 1, 0.0), x2, y2)
        if out.box[2] <= out.box[0] or out.box[3] <= out.box[1]:
            raise ValueError(f"a box of no area ({x1:g}, {y1:g}, {x2:g}, {y2:g})")
    polygon = element.find("polygon")
    if polygon is not None:
        out.paths = [_outline(polygon)]
    if out.box is None and out.paths is None:
        raise ValueError("neither a bndbox nor a polygon")
    return out


def _outline(polygon: Element) -> Outline:
    """Roboflow's ``<x1>``, ``<y1>``, ... or LabelMe's ``<pt><x>``, ``<y>``, as an outline."""
    points = [(p.findtext("x"), p.findtext("y")) for p in polygon.iter("pt")]
    number = 1
    while not points or (number > 1 and polygon.find(f"x{number}") is not None):
        points.append((polygon.findtext(f"x{number}"), polygon.findtext(f"y{number}")))
        number += 1
    outline = Outline.checked([[as_number(x, "x"), as_number(y, "y")] for x, y in points])
    if len(outline) < 3:
        raise ValueError(f"a polygon of {len(outline)} points")
    return outline
