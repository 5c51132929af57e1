"""From label sets to Detectron2's standard dicts: images found and measured, categories resolved, masks drawn, everything skipped
counted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.base.pipeline import batched
from bdd_inst.base.vocabulary import ClassVocabulary
from bdd_inst.datasets.dict_array import DictArray
from bdd_inst.formats import shapes
from bdd_inst.formats.dicts import annotation_dict, image_dict
from bdd_inst.formats.records import ImageLabels, Instance
from bdd_inst.images.finder import ImageFinder
from bdd_inst.masks import run_lengths

CHUNK = 64  # images whose polygons are drawn in one go


@dataclass(slots=True)
class Options:
    """How instances become annotations.

    ``masks``: a mask is required (an instance without one is skipped); otherwise boxes alone. ``rule``: how outlines become pixels:
    ``official`` gives run lengths, ``coco`` keeps them as polygons. ``prefer``: ``paths`` or ``rle`` where a label carries both.
    ``box``: ``mask``, the tight box of the mask as in the official conversion, or ``file``, the label's own where it has one.
    """

    masks: bool = True
    rule: str = "official"
    prefer: str = "paths"
    box: str = "mask"


def to_dicts(
    labels: Iterable[ImageLabels],
    images: ImageFinder,
    categories: ClassVocabulary,
    options: Options,
    problems: ProblemLog,
) -> DictArray:
    """The standard dicts of all images that are there, in file order; ``image_id`` counts from 1 unless the file has ids of its own.

    They become arrays as they come, so that the whole never exists as Python objects.
    """
    out = DictArray.from_dicts(
        records(labels, images, categories=categories, options=options, problems=problems)
    )
    # All or none: a number given to one image could be the id of another.
    if not out.has_ids():
        out.number()
    return out


def records(
    labels: Iterable[ImageLabels],
    images: ImageFinder,
    categories: ClassVocabulary,
    options: Options,
    problems: ProblemLog,
) -> Iterator[dict]:
    """The standard dicts one after the other, ids as in the file."""
    seen: set[str] = set()
    for chunk in batched(labels, CHUNK):
        ready = []
        for image in chunk:
            record = start_record(image, images, seen, problems)
            if record is not None:
                ready.append(
                    (
                        record,
                        [
                            candidate
                            for i in image.instances
                            if (
                                candidate := accept(
                                    i,
                                    image,
                                    categories=categories,
                                    options=options,
                                    problems=problems,
                                )
                            )
                        ],
                    )
                )
        draw(ready, options, problems)
        yield from (record for record, _ in ready)
    report_unlabeled(images, seen, problems)


def start_record(
    image: ImageLabels, images: ImageFinder, seen: set[str], problems: ProblemLog
) -> dict | None:
    """The dict of an image without its annotations; None where the image cannot be used."""
    try:
        path = images.find(image)
    except DataError as error:
        problems.add("ambiguous-image", image.name, str(error).removeprefix(f"{image.name}: "))
        return None
    if path is None:
        problems.add(
            "missing-image", image.name, f"labels without an image: not in {images.folder}"
        )
        return None
    path = str(path)
    if path in seen:
        problems.add("duplicate-image", image.name, "labeled twice; the first is kept")
        return None
    seen.add(path)
    try:
        height, width = images.measure(path)
    except DataError as error:
        problems.add("unreadable-image", image.name, str(error))
        return None
    if image.width is not None and (image.width, image.height) != (width, height):
        problems.add(
            "wrong-size-image",
            image.name,
            f"the image is {width}x{height}, its labels say {image.width}x{image.height}",
        )
        return None
    if not image.labeled:
        problems.add(
            "unlabelled-image",
            image.name,
            "the file says nothing of its objects (labels: null); kept without objects",
        )
    return image_dict(image, path, height, width) | {"annotations": []}


def report_unlabeled(images: ImageFinder, seen: set[str], problems: ProblemLog) -> None:
    """Count the images of the folder that no label speaks of."""
    spare = [str(path) for path in images.all() if str(path) not in seen]
    if spare:
        problems.add(
            "image-without-labels",
            os.path.relpath(spare[0], images.folder),
            f"an image in {images.folder} that no label names; not used",
            count=len(spare),
        )


@dataclass(slots=True)
class Candidate:
    """An instance on its way to an annotation; ``name`` is what messages call it."""

    instance: Instance
    category_id: int
    ignored: bool
    name: str
    rle: dict | None = None


def accept(
    instance: Instance,
    image: ImageLabels,
    categories: ClassVocabulary,
    options: Options,
    problems: ProblemLog,
) -> Candidate | None:
    """The instance with its class, or None, counted, where it has none or lacks what the task needs."""
    name = f"{image.name}, instance {instance.id}"
    found = categories.resolve(instance.category)
    if found is None:
        code = "category-left-out" if categories.is_known(instance.category) else "unknown-category"
        problems.add(
            code, name, f"category {instance.category!r} is none of {', '.join(categories.names)}"
        )
        return None
    shaped = instance.rle is not None or bool(shapes.area_outlines(instance))
    if options.masks and not shaped:
        problems.add(
            "no-mask", name, "a label without polygon or mask, which instance segmentation needs"
        )
        return None
    if not options.masks and instance.box is None and not shaped:
        problems.add("no-box", name, "a label with neither box nor mask")
        return None
    return Candidate(instance, found[0], found[1] or instance.ignored, name)


def draw(ready: list[tuple[dict, list[Candidate]]], options: Options, problems: ProblemLog) -> None:
    """Fill in the annotations of a chunk of records; masks of images of one size are drawn together."""
    by_size: dict[tuple[int, int], list[Candidate]] = {}
    for record, candidates in ready:
        # A box that the label lacks is the mask's.
        shaped = (c for c in candidates if options.masks or c.instance.box is None)
        masked = [c for c in shaped if not keeps_polygons(c, options)]
        by_size.setdefault((record["height"], record["width"]), []).extend(masked)
    for size, masked in by_size.items():
        instances, names = [c.instance for c in masked], [c.name for c in masked]
        # Together: drawing one by one takes several times as long.
        rles = shapes.object_masks(
            instances, names, *size, options.rule, problems, prefer=options.prefer
        )
        for candidate, rle in zip(masked, rles, strict=True):
            candidate.rle = rle
    for record, candidates in ready:
        for candidate in candidates:
            annotation = annotate(candidate, record, options, problems)
            if annotation is not None:
                record["annotations"].append(annotation)


def keeps_polygons(candidate: Candidate, options: Options) -> bool:
    """Whether the mask is kept as the label's polygons, for COCO's rule fills them when they are needed."""
    return options.rule == "coco" and shapes.uses_outlines(candidate.instance, options.prefer)


def annotate(
    candidate: Candidate, record: dict, options: Options, problems: ProblemLog
) -> dict | None:
    """The annotation of one instance, or None, counted, where it is empty."""
    instance, height, width = candidate.instance, record["height"], record["width"]
    segmentation, box = None, instance.box
    if options.masks or box is None:
        if keeps_polygons(candidate, options):
            segmentation = shapes.flat_polygons(instance)[0]
            tight = box_around(segmentation, height, width)
        elif candidate.rle is not None:
            segmentation, tight = candidate.rle, run_lengths.to_bbox(candidate.rle)
        else:
            return None  # counted where it was drawn
        # The official conversion takes the mask's box, for labels' boxes are drawn by hand and a little apart from it.
        box = box if options.box == "file" and box is not None and segmentation else tight
    if not options.masks:
        segmentation = None
    if box is None or not (
        min(box[2], width) - max(box[0], 0) > 0 and min(box[3], height) - max(box[1], 0) > 0
    ):
        problems.add("empty-object", candidate.name, "its mask or box covers no pixel of the image")
        return None
    return annotation_dict(
        instance,
        candidate.category_id,
        ignored=candidate.ignored,
        box=box,
        segmentation=segmentation,
    )


def box_around(
    polygons: list[list[float]], height: int, width: int
) -> tuple[float, float, float, float] | None:
    """x1, y1, x2, y2 around flat polygons, cut at the image; None where there is none."""
    if not polygons:
        return None
    every = np.concatenate([np.reshape(flat, (-1, 2)) for flat in polygons])
    low, high = every.min(axis=0).clip(min=0), np.minimum(every.max(axis=0), (width, height))
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
