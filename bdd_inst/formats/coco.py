"""COCO instances JSON: polygons, RLE in all three spellings, crowds, gaps in the ids, missing optional fields.

``bbox`` is ``[x, y, width, height]``, continuous. ``area`` is kept as the file has it, for COCO's size ranges go by it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import fields
from bdd_inst.formats.coco_segmentation import SegmentationReader
from bdd_inst.formats.json_files import describe, items, plain, top_level
from bdd_inst.formats.reading import label_set
from bdd_inst.formats.records import Instance, LabelSet, Picture
from bdd_inst.formats.sniff import Found

Id = int | str


class _Image(msgspec.Struct, gc=False):
    id: Id
    file_name: str
    width: int | None = None
    height: int | None = None
    attributes: dict[str, Any] | None = None
    video_name: str | None = None
    frame_index: int | None = None
    labelled: bool = True


class Annotation(msgspec.Struct, gc=False):
    """One annotation or result, its segmentation still raw."""

    image_id: Id
    category_id: int
    id: Id | None = None
    bbox: tuple[float, float, float, float] | None = None
    segmentation: msgspec.Raw = msgspec.Raw()
    iscrowd: bool | int | None = 0
    ignore: bool | int | None = 0
    area: float | None = None
    score: float | None = None
    attributes: dict[str, Any] | None = None
    file_name: str | None = None
    category_name: str | None = None


class _Category(msgspec.Struct, gc=False):
    id: int
    name: str


def read(found: Found) -> LabelSet:
    """The label set of one COCO file. Categories keep the file's order and ids; DataError where it has no pictures at all."""
    top = found.top if found.top is not None else top_level(found.files[0])
    where = str(found.files[0])
    if not isinstance(top, dict) or items(top.get("images")) is None:
        raise DataError(f"{where}: a COCO file needs a list 'images'")
    names: dict[int, str] = {}
    categories = items(top.get("categories"))
    if categories is not None:
        names = _categories(categories, where)

    def generate(log: ProblemLog) -> Iterator[Picture]:
        pictures = _pictures(items(top["images"]) or [], where, log)
        annotated = items(top.get("annotations"))
        if annotated is None and "annotations" in top:
            log.add(
                "bad-labels", where, "annotations is not a list; the pictures count as unlabelled"
            )
        by_picture = _grouped(read_annotations(annotated or [], where, log), pictures, where, log)
        reader = CocoInstances(names if categories is not None else None, log)
        for key, picture in pictures.items():
            picture.labelled = picture.labelled and annotated is not None
            picture.instances = reader.instances(by_picture.pop(key, ()), picture, where)
            yield picture

    return label_set(
        found,
        generate,
        "coco",
        categories=tuple(names.values()) or None,
        category_ids=tuple(names) or None,
    )


def _categories(raws: list[msgspec.Raw], where: str) -> dict[int, str]:
    """Names by id. Ids that collide are an error: no label could be told from another."""
    names: dict[int, str] = {}
    for number, raw in enumerate(raws):
        try:
            category = msgspec.json.decode(raw, type=_Category, strict=False)
        except (msgspec.MsgspecError, RecursionError):
            raise DataError(
                f"{where}: category #{number} is no object with a whole number 'id' and a 'name'"
            ) from None
        if category.id in names and names[category.id] != category.name.strip():
            raise DataError(
                f"{where}: categories {names[category.id]!r} and {category.name!r} share the id {category.id}"
            )
        names[category.id] = category.name.strip()
    return names


def key_of(identity: Id) -> Id:
    """An id to compare by: files that write ``"5"`` in one place and ``5`` in another mean the same."""
    if (
        isinstance(identity, str)
        and identity.isdecimal()
        and len(identity) < 19
        and str(int(identity)) == identity
    ):
        return int(identity)
    return identity


def _pictures(raws: list[msgspec.Raw], where: str, log: ProblemLog) -> dict[Id, Picture]:
    pictures: dict[Id, Picture] = {}
    decoder = msgspec.json.Decoder(_Image)
    for number, raw in enumerate(raws):
        try:
            image = decoder.decode(raw)
            if not image.file_name.strip():
                raise msgspec.ValidationError
        except (msgspec.MsgspecError, RecursionError):
            image = _careful_image(raw, f"{where}: image #{number}", log)
        if image is None:
            continue
        key = key_of(image.id)
        if key in pictures:
            message = f"{image.file_name} has the id of {pictures[key].name}; left out"
            log.add("duplicate-picture-id", f"{where}: image {image.id!r}", message)
            continue
        width, height = fields.side(image.width), fields.side(image.height)
        pictures[key] = Picture(
            image.file_name,
            width,
            height,
            image.attributes or {},
            [],
            image.video_name,
            image.frame_index,
            image.id,
            image.labelled,
        )
    return pictures


def _careful_image(raw: msgspec.Raw, where: str, log: ProblemLog) -> _Image | None:
    try:
        value = plain(raw)
    except ValueError as error:
        value, reason = None, str(error)
    else:
        reason = describe(value)
    own = fields.identity(value.get("id")) if isinstance(value, dict) else None
    if own is None:
        log.add("bad-image", where, f"{reason} without an id; left out")
        return None
    name = value.get("file_name")
    if not isinstance(name, str) or not name.strip():
        log.add("no-file-name", where, f"image {own!r} has no file_name; called by its id")
        name = str(own).strip() or f"#{where.rpartition('#')[2]}"
    return _Image(own, name, fields.side(value.get("width")), fields.side(value.get("height")))


def read_annotations(raws: list[msgspec.Raw], where: str, log: ProblemLog) -> Iterator[Annotation]:
    """Annotations of a raw list in order; what is none is counted."""
    decoder = msgspec.json.Decoder(Annotation)
    for number, raw in enumerate(raws):
        try:
            yield decoder.decode(raw)
        except (msgspec.MsgspecError, RecursionError):
            annotation = _careful_annotation(raw, f"{where}: annotation #{number}", log)
            if annotation is not None:
                yield annotation


def _careful_annotation(raw: msgspec.Raw, where: str, log: ProblemLog) -> Annotation | None:
    try:
        value = plain(raw)
        if not isinstance(value, dict):
            raise ValueError(f"{describe(value)} where an annotation should be")
        image, category = (
            fields.identity(value.get("image_id")),
            fields.identity(value.get("category_id")),
        )
        if image is None:
            raise ValueError("no image_id")
        if isinstance(category, str):
            category = key_of(category.strip())
        if not isinstance(category, int):
            raise ValueError("category_id is no whole number")
        out = Annotation(
            image,
            category,
            fields.identity(value.get("id")),
            score=fields.score_of(value.get("score")),
        )
    except ValueError as error:
        log.add("bad-label", where, f"{error}; left out")
        return None
    if value.get("bbox") is not None:
        try:
            fields.sized_box(value["bbox"])
            out.bbox = tuple(value["bbox"])
        except ValueError as error:
            log.add("bad-box", f"{where} (id {out.id!r})", f"{error}; box left out")
    area = value.get("area")
    out.area = float(area) if isinstance(area, int | float) and 0 <= area < float("inf") else None
    crowd = value.get("iscrowd")
    out.iscrowd = crowd if isinstance(crowd, int) else fields.truth(crowd)
    out.ignore = fields.truth(value.get("ignore"))
    out.attributes = value["attributes"] if isinstance(value.get("attributes"), dict) else None
    out.category_name = (
        value["category_name"] if isinstance(value.get("category_name"), str) else None
    )
    out.file_name = value["file_name"] if isinstance(value.get("file_name"), str) else None
    out.segmentation = msgspec.Raw(msgspec.json.encode(value.get("segmentation")))
    return out


def _grouped(
    annotations: Iterable[Annotation], pictures: dict[Id, Picture], where: str, log: ProblemLog
) -> dict[Id, list[Annotation]]:
    """Annotations by picture, in the file's order; those of no picture, and ids that occur twice, are counted."""
    groups: dict[Id, list[Annotation]] = defaultdict(list)
    ids: set[Id] = set()
    for annotation in annotations:
        key = key_of(annotation.image_id)
        if key not in pictures:
            message = f"its image_id {annotation.image_id!r} is no picture of this file; left out"
            log.add("unknown-picture", f"{where}: annotation {annotation.id!r}", message)
            continue
        if annotation.id is not None:
            if annotation.id in ids:
                log.add(
                    "duplicate-id",
                    f"{where}: annotation {annotation.id!r}",
                    "the id occurs twice; both are kept",
                )
            ids.add(annotation.id)
        groups[key].append(annotation)
    return groups


class CocoInstances:
    """Annotations of one picture at a time into instances. ``names`` by category id, None where the file has no categories."""

    def __init__(self, names: dict[int, str] | None, log: ProblemLog) -> None:
        self.names = names
        self.log = log
        self.segmentations = SegmentationReader(log)

    def instances(
        self, annotations: Iterable[Annotation], picture: Picture, where: str
    ) -> list[Instance]:
        """Instances in order, those of unknown categories counted and left out."""
        out, raws = [], []
        for annotation in annotations:
            category = annotation.category_name or str(annotation.category_id)
            if self.names is not None:
                category = self.names.get(annotation.category_id)
                if category is None:
                    message = f"category_id {annotation.category_id} is not among the file's categories; left out"
                    self.log.add(
                        "unknown-category",
                        f"{where} ({picture.name}): annotation {annotation.id!r}",
                        message,
                    )
                    continue
            out.append(self._instance(annotation, category, f"{where} ({picture.name})"))
            raws.append(annotation.segmentation)
        self.segmentations.fill(out, raws, picture, where)
        return out

    def _instance(self, annotation: Annotation, category: str, where: str) -> Instance:
        flags, others = (
            fields.split_flags(annotation.attributes) if annotation.attributes else ({}, {})
        )
        flags["crowd"] = fields.crowd_of(flags, annotation.iscrowd)
        if annotation.iscrowd not in (0, 1, None):
            self.log.add(
                "odd-crowd-flag",
                f"{where}: annotation {annotation.id!r}",
                f"iscrowd is {annotation.iscrowd}; taken for a crowd",
            )
        flags["ignored"] = bool(annotation.ignore) or flags.get("ignored", False)
        if self.names is None:
            others["category_id"] = annotation.category_id
        box = None
        if annotation.bbox is not None:
            try:
                box = fields.sized_box(annotation.bbox)
            except ValueError as error:
                self.log.add(
                    "bad-box", f"{where}: annotation {annotation.id!r}", f"{error}; box left out"
                )
        return Instance(
            category,
            box,
            score=annotation.score,
            id=annotation.id,
            attributes=others,
            area=annotation.area,
            **flags,
        )
