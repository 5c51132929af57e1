"""Cityscapes' gtFine: ``*_polygons.json``, one an image, and ``*_instanceIds.png``, which number classes and instances in one value.

In both a later object covers an earlier one, so masks are what is seen. ``cargroup`` and the like are crowds of their class.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.base.vocabulary import CITYSCAPES, CITYSCAPES_NOTHING, CITYSCAPES_THINGS
from bdd_inst.formats import fields, label_map
from bdd_inst.formats.json_files import items, json_stem, plain
from bdd_inst.formats.names import cityscapes_image
from bdd_inst.formats.png_folders import image_labels, instance_of, png_label_set
from bdd_inst.formats.reading import contents, label_set
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.signs import Glimpse, seen
from bdd_inst.formats.sniff import Found
from bdd_inst.masks import rasterize, run_lengths
from bdd_inst.masks.label_runs import label_rles, resolve_overlaps
from bdd_inst.masks.outlines import Outline

SIDES, NULL = ("imgHeight", "imgWidth"), b"null"
GROUPS = {f"{name}group": name for name in CITYSCAPES_THINGS}


def signs(glimpse: Glimpse) -> bool:
    """Whether the outermost JSON object is an image of objects with its two sides."""
    return not glimpse.listed and glimpse.has("imgHeight", "imgWidth", "objects")


def read(found: Found) -> LabelSet:
    """The label set of one file or a folder of them."""
    if found.kind == "cityscapes-instances":
        return png_label_set(
            found, _numbered, names=None, note={}, notes=("instance numbers by class * 1000",)
        )

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        for file, top in contents(found, log):
            if not isinstance(top, dict):
                log.add("bad-record", str(file), f"{seen(top)} where an image should be; left out")
                continue
            height, width = (fields.side(plain(top.get(key, NULL))) for key in SIDES)
            image = ImageLabels(cityscapes_image(json_stem(file)), width, height)
            _outlined(image, items(top.get("objects")) or [], file, log)
            yield image

    return label_set(found, generate, "coco")


def _outlined(image: ImageLabels, raws: list, file: Path, log: ProblemLog) -> None:
    """Give an image its objects, each with the pixels that no later one covers."""
    shapes: list[tuple[Instance, list[Outline]]] = []
    for number, raw in enumerate(raws):
        try:
            value = plain(raw)
            if value.get("deleted"):
                continue
            word = fields.word(value.get("label"))
            path = Outline.checked(value.get("polygon") or [])
            if len(path) < 3:
                raise ValueError(f"a polygon of {len(path)} points")
        except (DataError, ValueError, TypeError, AttributeError) as error:
            log.add("bad-label", f"{file}: object #{number}", f"{error}; left out")
            continue
        crowd = word in GROUPS
        shapes.append((Instance(GROUPS.get(word, word), crowd=crowd, id=number), [path]))
    if not image.height or not image.width:
        log.add("no-image-size", str(file), "no imgHeight and imgWidth; left out")
        return
    drawn = rasterize.objects_to_rles([p for _, p in shapes], image.height, image.width, "coco")
    # Cityscapes is annotated from back to front, and its own tools paint in the file's order.
    seen = resolve_overlaps(list(drawn), list(range(len(shapes)))) if shapes else []
    for (instance, _), rle in zip(shapes, seen, strict=True):
        where = f"{file}: object #{instance.id}"
        if instance.category in CITYSCAPES_NOTHING:
            log.add("category-left-out", where, f"{instance.category} is no object")
        elif not run_lengths.area(rle):
            log.add("empty-object", where, "later objects cover all of it; left out")
        else:
            instance.rle, instance.box = rle, run_lengths.to_bbox(rle)
            image.instances.append(instance)


def _numbered(file: Path, log: ProblemLog) -> ImageLabels:
    """The objects of an ``instanceIds`` PNG: class * 1000 + number, or the class alone for stuff and crowds."""
    values = label_map.read_label_map(file)
    image = image_labels(file, *values.shape)
    image.name, image.video = cityscapes_image(file.stem), None
    for value, rle in zip(*label_rles(values), strict=True):
        # A class below 1000 is stuff, or a group of things that nobody could tell apart.
        own = int(value) // 1000 if value >= 1000 else int(value)
        name = CITYSCAPES[own] if own < len(CITYSCAPES) else None
        if name is None or name in CITYSCAPES_NOTHING:
            code = "unknown-category" if name is None else "category-left-out"
            log.add(code, str(file), f"value {value} is {name or 'no class'}; left out")
            continue
        crowd = bool(value < 1000 and name in CITYSCAPES_THINGS)
        image.instances.append(instance_of(name, rle, id=int(value), crowd=crowd))
    return image
