"""COCO instances JSON: polygons, RLE in all three spellings, crowds, gaps in the ids, missing optional fields.

``bbox`` is ``[x, y, width, height]``, continuous. ``area`` is kept as the file has it where it can be the object's, for COCO's size
ranges go by it; where it cannot (0, NaN, the whole image) the shape's own area holds, counted.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import coco_entries as entries
from bdd_inst.formats import fields
from bdd_inst.formats.coco_entries import Annotation, Id, Image, key_of
from bdd_inst.formats.coco_segmentation import SegmentationReader
from bdd_inst.formats.json_files import items, top_level
from bdd_inst.formats.reading import label_set
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.signs import Glimpse
from bdd_inst.formats.sniff import Found
from bdd_inst.masks import run_lengths


def signs(glimpse: Glimpse) -> bool:
    """Whether a JSON object has a list of images whose annotations are no panoptic segments."""
    return glimpse.is_list("images") and not is_panoptic(glimpse)


def is_panoptic(glimpse: Glimpse) -> bool:
    """Whether the first annotation of a JSON object lists segments."""
    return any("segments_info" in first for first in glimpse.objects("annotations")[:1])


def read(found: Found) -> LabelSet:
    """The label set of one COCO file. Categories keep the file's order and ids; DataError where it has no images at all."""
    top = found.top if found.top is not None else top_level(found.files[0])
    where = str(found.files[0])
    if not isinstance(top, dict) or items(top.get("images")) is None:
        raise DataError(f"{where}: a COCO file needs a list 'images'")
    names: dict[int, str] = {}
    every: dict[int, str] = {}
    categories = items(top.get("categories"))
    if categories is not None:
        every = names = entries.categories(categories, where)
        if len(set(every.values())) < len(every):
            used = {
                a.category_id
                for a in read_annotations(items(top.get("annotations")) or [], where, ProblemLog())
            }
            names = entries.without_unused_doubles(every, used, where)

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        for own in every.keys() - names.keys():
            message = (
                f"category {own} {every[own]!r} has no object and another one's name; left out"
            )
            log.add("unused-category", where, message)
        images = _images(items(top["images"]) or [], where, log)
        annotated = items(top.get("annotations"))
        if annotated is None and "annotations" in top:
            log.add("bad-labels", where, "annotations is not a list; the images count as unlabeled")
        by_image = _grouped(read_annotations(annotated or [], where, log), images, where, log)
        reader = CocoInstances(names if categories is not None else None, log)
        for key, image in images.items():
            image.labeled = image.labeled and annotated is not None
            image.instances = reader.instances(by_image.pop(key, ()), image, where)
            yield image

    return label_set(
        found,
        generate,
        "coco",
        categories=tuple(names.values()) or None,
        category_ids=tuple(names) or None,
    )


def _images(raws: list[msgspec.Raw], where: str, log: ProblemLog) -> dict[Id, ImageLabels]:
    images: dict[Id, ImageLabels] = {}
    decoder = msgspec.json.Decoder(Image)
    for number, raw in enumerate(raws):
        try:
            image = decoder.decode(raw)
            if not image.file_name.strip():
                raise msgspec.ValidationError
        except (msgspec.MsgspecError, RecursionError):
            image = entries.image(raw, f"{where}: image #{number}", log)
        if image is None:
            continue
        key = key_of(image.id)
        if key in images:
            message = f"{image.file_name} has the id of {images[key].name}; left out"
            log.add("duplicate-image-id", f"{where}: image {image.id!r}", message)
            continue
        width, height = fields.side(image.width), fields.side(image.height)
        if (image.width and width is None) or (image.height and height is None):
            message = f"{image.width}x{image.height} is the size of no image; taken for unknown"
            log.add("bad-image-size", f"{where}: image {image.id!r}", message)
        images[key] = ImageLabels(
            image.file_name,
            width=width,
            height=height,
            attributes=image.attributes or {},
            instances=[],
            video=image.video_name,
            frame_index=image.frame_index,
            image_id=image.id,
            labeled=image.labeled,
        )
    return images


def read_annotations(raws: list[msgspec.Raw], where: str, log: ProblemLog) -> Iterator[Annotation]:
    """Annotations of a raw list in order; what is none is counted."""
    decoder = msgspec.json.Decoder(Annotation)
    for number, raw in enumerate(raws):
        try:
            yield decoder.decode(raw)
        except (msgspec.MsgspecError, RecursionError):
            annotation = entries.annotation(raw, f"{where}: annotation #{number}", log)
            if annotation is not None:
                yield annotation


def _grouped(
    annotations: Iterable[Annotation], images: dict[Id, ImageLabels], where: str, log: ProblemLog
) -> dict[Id, list[Annotation]]:
    """Annotations by image, in the file's order; those of no image, and ids that occur twice, are counted."""
    groups: dict[Id, list[Annotation]] = defaultdict(list)
    ids: set[Id] = set()
    for annotation in annotations:
        key = key_of(annotation.image_id)
        if key not in images:
            message = f"its image_id {annotation.image_id!r} is no image of this file; left out"
            log.add("unknown-image", f"{where}: annotation {annotation.id!r}", message)
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
    """Annotations of one image at a time into instances. ``names`` by category id, None where the file has no categories."""

    def __init__(self, names: dict[int, str] | None, log: ProblemLog) -> None:
        self.names = names
        self.log = log
        self.segmentations = SegmentationReader(log)

    def instances(
        self, annotations: Iterable[Annotation], image: ImageLabels, where: str
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
                        f"{where} ({image.name}): annotation {annotation.id!r}",
                        message,
                    )
                    continue
            out.append(self._instance(annotation, category, f"{where} ({image.name})"))
            raws.append(annotation.segmentation)
        self.segmentations.fill(out, raws, image, where)
        for instance in out:
            if instance.area is not None and not possible_area(instance):
                told = f"{instance.area:g}" if math.isfinite(instance.area) else "no finite number"
                message = f"its area is {told}, not this object's; its shape's own is taken"
                self.log.add(
                    "odd-area", f"{where} ({image.name}): annotation {instance.id!r}", message
                )
                instance.area = None
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
        flags["ignored"] = bool(annotation.ignore or annotation.ignored) or flags.get(
            "ignored", False
        )
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
            xywh=annotation.bbox if annotation.bbox and is_box(annotation.bbox) else None,
            score=annotation.score,
            id=annotation.id,
            attributes=others,
            area=annotation.area,
            **flags,
        )


def is_box(box: tuple[float, ...]) -> bool:
    """Whether x, y, width, height are finite and no side negative: what COCO's figures are defined on, boxes of no area included."""
    return all(map(math.isfinite, box)) and min(box[2:]) >= 0


def possible_area(instance: Instance) -> bool:
    """Whether a file's ``area`` can be that of the object: up to its box, or within a factor of two of its mask's."""
    area = instance.area
    if not 0 < area < math.inf:
        return False
    if instance.xywh is not None:
        box = instance.xywh[2] * instance.xywh[3]
        # Nearly every object of a sound file ends here; only the others' masks are measured.
        # A little over the box: areas are often counted in pixels, boxes measured between them.
        if 0.05 * box <= area <= 1.01 * box + 1:
            return True
    if instance.rle is not None:
        own = run_lengths.area(instance.rle)
    elif instance.paths:
        own = sum(polygon_area(path.vertices) for path in instance.paths)
    else:
        return instance.xywh is None or area <= 1.01 * box + 1
    # Pixels and outlines differ by the edge, which is much of a small object.
    return own / 2 - 16 <= area <= own * 2 + 16


def polygon_area(points: np.ndarray) -> float:
    """The area inside an outline (V,2 float64 x, y), by the shoelace formula."""
    x, y = points[:, 0], points[:, 1]
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
