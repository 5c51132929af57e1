"""Detectron2's standard dataset dicts: made of labels for every loader and writer, and read from JSON (class names in ``NAME.meta.json``)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import fields
from bdd_inst.formats.coco_segmentation import SegmentationReader
from bdd_inst.formats.json_files import decode, describe, json_stem
from bdd_inst.formats.reading import contents, label_set, named_record
from bdd_inst.formats.records import Box, ImageLabels, Instance, LabelSet
from bdd_inst.formats.signs import Glimpse
from bdd_inst.formats.sniff import Found

XYXY_ABS, XYWH_ABS = 0, 1  # the values of structures.BoxMode, which needs torch


def image_dict(image: ImageLabels, file_name: str, height: int, width: int) -> dict[str, Any]:
    """Detectron2's standard dict of an image, without its ``annotations``; what it lacks a key for travels in ``attributes``.

    Args:
        image: its name, ids and attributes are taken.
        file_name: where its file lies, as loaders open it.
        height, width: of the file, in pixels.

    Returns:
        ``file_name, height, width, image_id, attributes``.
    """
    attributes = dict(image.attributes)
    if image.video is not None:
        attributes |= {"video": image.video, "frame_index": image.frame_index}
    return {
        "file_name": file_name,
        "height": height,
        "width": width,
        "image_id": image.image_id,
        "attributes": attributes,
    }


def annotation_dict(
    instance: Instance,
    category_id: int,
    ignored: bool,
    box: Box,
    segmentation: list[list[float]] | dict | None,
) -> dict[str, Any]:
    """Detectron2's annotation of an object.

    Args:
        instance: its flags, attributes and id are taken.
        category_id: the class's number from 0.
        ignored: detections of the object count neither way; it is ``iscrowd`` 1, as a crowd is, and ``attributes`` tell which.
        box: x1, y1, x2, y2 in pixels, exclusive.
        segmentation: flat polygons, or a compressed RLE with str counts; None where boxes alone are wanted.

    Returns:
        ``bbox, bbox_mode, category_id, iscrowd, attributes`` and, where there is one, ``segmentation``.
    """
    flags = {
        "occluded": instance.occluded,
        "truncated": instance.truncated,
        "crowd": instance.crowd,
        "ignored": ignored,
    }
    out = {
        "bbox": [float(v) for v in box],
        "bbox_mode": XYXY_ABS,
        "category_id": category_id,
        # Detectron2 has one word for both: the loader leaves such objects out of training.
        "iscrowd": int(instance.crowd or ignored),
        "attributes": {**instance.attributes, **flags, "id": instance.id},
    }
    if segmentation is not None:
        out["segmentation"] = segmentation
    return out


def meta_path(path: Path) -> Path:
    """Where the class names of a file of dicts stand."""
    return path.with_name(json_stem(path) + ".meta.json")


def signs(glimpse: Glimpse) -> bool:
    """Whether an item of a JSON list is Detectron2's dict of an image."""
    named = glimpse.listed and glimpse.has("file_name")
    return named and (glimpse.has("annotations") or glimpse.has("image_id"))


def read(found: Found) -> LabelSet:
    """The label set of one file of dicts. Without class names a category is called by its number."""
    names, ids, rule = _meta(meta_path(found.files[0]))

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        for file, top in contents(found, log):
            if not isinstance(top, list):
                raise DataError(f"{file}: dataset dicts are a list")
            for number, raw in enumerate(top):
                image = _image(raw, names, f"{file}: dict #{number}", log)
                if image is not None:
                    yield image

    return label_set(found, generate, rule, categories=names, category_ids=ids)


def _meta(path: Path) -> tuple[tuple[str, ...] | None, tuple[int, ...] | None, str]:
    """Class names, the ids that the data set has for them (else their places) and mask rule of a meta file; None, None and ``coco`` where
    there is none."""
    if not path.is_file():
        return None, None, "coco"
    what = "the meta file of dataset dicts (an object with 'thing_classes'), mend or remove it"
    meta = decode(path, Meta, what)
    ids = tuple(meta.dataset_ids or range(len(meta.thing_classes)))
    return tuple(meta.thing_classes), ids, meta.mask_rule


class Meta(msgspec.Struct):
    """What stands in a meta file."""

    thing_classes: list[str]
    dataset_ids: list[int] = []
    mask_rule: Literal["official", "coco", "pixels"] = "coco"

    def __post_init__(self) -> None:
        if self.dataset_ids and len(set(self.dataset_ids)) != len(self.thing_classes):
            raise ValueError(f"{len(self.thing_classes)} classes, {len(self.dataset_ids)} ids")


def _image(
    raw: msgspec.Raw, names: tuple[str, ...] | None, where: str, log: ProblemLog
) -> ImageLabels | None:
    value = named_record(raw, "file_name", where, log)
    if value is None:
        return None
    image = ImageLabels(
        value["file_name"],
        fields.side(value.get("width")),
        fields.side(value.get("height")),
        image_id=fields.identity(value.get("image_id")),
        labeled=isinstance(value.get("annotations"), list),
    )
    if isinstance(value.get("attributes"), dict):
        image.attributes = value["attributes"]
    raws = []
    for number, annotation in enumerate(value["annotations"] if image.labeled else []):
        try:
            image.instances.append(_instance(annotation, names))
            raws.append(msgspec.Raw(msgspec.json.encode(annotation.get("segmentation"))))
        except ValueError as error:
            log.add("bad-label", f"{where}, annotation #{number}", f"{error}; left out")
    SegmentationReader(log).fill(image.instances, raws, image, where)
    return image


def _instance(annotation: Any, names: tuple[str, ...] | None) -> Instance:
    if not isinstance(annotation, dict):
        raise ValueError(f"{describe(annotation)} where an annotation should be")
    category = annotation.get("category_id")
    if (
        isinstance(category, bool)
        or not isinstance(category, int)
        or category < 0
        or (names and category >= len(names))
    ):
        raise ValueError(f"category_id {str(category)[:20]!r} is no class")
    box, mode = annotation.get("bbox"), annotation.get("bbox_mode", XYXY_ABS)
    if box is not None and mode == XYWH_ABS:
        box = fields.sized_box(box)
    elif box is not None and mode == XYXY_ABS and isinstance(box, list) and len(box) == 4:
        box = fields.corners_box(
            dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)), inclusive=False
        )
    elif box is not None:
        raise ValueError(
            f"bbox {str(box)[:40]} of mode {str(mode)[:20]} is not understood (0 is x1,y1,x2,y2; 1 is x,y,w,h)"
        )
    flags, others = fields.split_flags(annotation.get("attributes"))
    flags["crowd"] = fields.crowd_of(flags, annotation.get("iscrowd"))
    # Detectron2 has no place for an id: ours stands among the attributes, others write it beside the box.
    own = fields.identity(annotation.get("id", others.pop("id", None)))
    score = fields.score_of(annotation.get("score"))
    return Instance(
        names[category] if names else str(category),
        box,
        id=own,
        score=score,
        attributes=others,
        **flags,
    )
