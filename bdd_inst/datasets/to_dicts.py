"""From label sets to Detectron2's standard dicts: pictures found and measured, categories resolved, masks drawn, everything skipped
counted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.base.vocabulary import ClassVocabulary
from bdd_inst.datasets.dict_array import DictArray
from bdd_inst.formats.records import ImageLabels, Instance
from bdd_inst.images.finder import ImageFinder
from bdd_inst.images.size import read_size
from bdd_inst.masks import bezier, rasterize, run_lengths
from bdd_inst.structures import BoxMode

CHUNK = 64  # pictures whose polygons are drawn in one go


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
    pictures: Iterable[ImageLabels],
    images: ImageFinder,
    categories: ClassVocabulary,
    options: Options,
    problems: ProblemLog,
) -> DictArray:
    """The standard dicts of all pictures that are there, in file order; ``image_id`` counts from 1 unless the file has ids of its own.

    They become arrays as they come, so that the whole never exists as Python objects.
    """
    out = DictArray.from_dicts(records(pictures, images, categories, options, problems))
    if not out.has_ids():
        out.number()
    return out


def records(
    pictures: Iterable[ImageLabels],
    images: ImageFinder,
    categories: ClassVocabulary,
    options: Options,
    problems: ProblemLog,
) -> Iterator[dict]:
    """The standard dicts one after the other, ids as in the file."""
    seen: set[str] = set()
    for chunk in chunks(pictures, CHUNK):
        ready = []
        for picture in chunk:
            record = start_record(picture, images, seen, problems)
            if record is not None:
                ready.append(
                    (
                        record,
                        [
                            job
                            for i in picture.instances
                            if (job := accept(i, picture, categories, options, problems))
                        ],
                    )
                )
        draw(ready, options, problems)
        yield from (record for record, _ in ready)
    report_unlabelled(images, seen, problems)


def chunks(items: Iterable[ImageLabels], size: int) -> Iterator[list[ImageLabels]]:
    """Lists of up to ``size`` items."""
    chunk: list[ImageLabels] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def start_record(
    picture: ImageLabels, images: ImageFinder, seen: set[str], problems: ProblemLog
) -> dict | None:
    """The dict of a picture without its annotations; None where the picture cannot be used."""
    try:
        path = images.find(picture)
    except DataError as error:
        problems.add("ambiguous-image", picture.name, str(error).removeprefix(f"{picture.name}: "))
        return None
    if path is None:
        problems.add(
            "missing-image", picture.name, f"labels without a picture: not in {images.folder}"
        )
        return None
    path = str(path)
    if path in seen:
        problems.add("duplicate-image", picture.name, "labelled twice; the first is kept")
        return None
    seen.add(path)
    try:
        width, height = read_size(path)
    except DataError as error:
        problems.add("unreadable-image", picture.name, str(error))
        return None
    if picture.width is not None and (picture.width, picture.height) != (width, height):
        problems.add(
            "wrong-size-image",
            picture.name,
            f"the picture is {width}x{height}, its labels say {picture.width}x{picture.height}",
        )
        return None
    if not picture.labelled:
        problems.add(
            "unlabelled-image",
            picture.name,
            "the file says nothing of its objects (labels: null); kept without objects",
        )
    record = {
        "file_name": path,
        "height": height,
        "width": width,
        "image_id": picture.image_id,
        "annotations": [],
    }
    attributes = dict(picture.attributes)
    if picture.video is not None:
        attributes |= {"video": picture.video, "frame_index": picture.frame_index}
    record["attributes"] = attributes
    return record


def report_unlabelled(images: ImageFinder, seen: set[str], problems: ProblemLog) -> None:
    """Count the pictures of the folder that no label speaks of."""
    spare = [str(path) for path in images.all() if str(path) not in seen]
    if spare:
        problems.add(
            "image-without-labels",
            os.path.relpath(spare[0], images.folder),
            f"a picture in {images.folder} that no label names; not used",
            count=len(spare),
        )


@dataclass(slots=True)
class Candidate:
    """An instance on its way to an annotation."""

    instance: Instance
    category_id: int
    ignored: bool
    where: str


def accept(
    instance: Instance,
    picture: ImageLabels,
    categories: ClassVocabulary,
    options: Options,
    problems: ProblemLog,
) -> Candidate | None:
    """The instance with its class, or None, counted, where it has none or lacks what the task needs."""
    where = f"{picture.name}, instance {instance.id}"
    found = categories.resolve(instance.category)
    if found is None:
        code = "category-left-out" if categories.is_known(instance.category) else "unknown-category"
        problems.add(
            code, where, f"category {instance.category!r} is none of {', '.join(categories.names)}"
        )
        return None
    if options.masks and instance.rle is None and not closed_paths(instance):
        problems.add(
            "no-mask", where, "a label without polygon or mask, which instance segmentation needs"
        )
        return None
    if not options.masks and instance.box is None:
        problems.add("no-box", where, "a label without box2d")
        return None
    return Candidate(instance, found[0], found[1] or instance.ignored, where)


def closed_paths(instance: Instance) -> list:
    """The outlines that bound an area."""
    return [path for path in instance.paths or () if path.closed and len(path) >= 3]


def draw(ready: list[tuple[dict, list[Candidate]]], options: Options, problems: ProblemLog) -> None:
    """Fill in the annotations of a chunk of records; polygons of pictures of one size are drawn together."""
    if options.masks and options.rule == "official":
        by_size: dict[tuple[int, int], list[Candidate]] = {}
        for record, jobs in ready:
            outlined = [job for job in jobs if uses_paths(job.instance, options)]
            by_size.setdefault((record["height"], record["width"]), []).extend(outlined)
        for (height, width), jobs in by_size.items():
            draw_official(jobs, height, width, problems)
    for record, jobs in ready:
        for job in jobs:
            annotation = annotate(job, record, options, problems)
            if annotation is not None:
                record["annotations"].append(annotation)


def uses_paths(instance: Instance, options: Options) -> bool:
    """Whether the mask comes from the outlines rather than from the run lengths."""
    return bool(closed_paths(instance)) and (instance.rle is None or options.prefer == "paths")


def draw_official(jobs: list[Candidate], height: int, width: int, problems: ProblemLog) -> None:
    """Give each instance the run lengths of its outlines by BDD100K's rule; one that cannot be drawn loses its mask, counted."""
    try:
        rles = rasterize.objects_to_rles(
            [closed_paths(job.instance) for job in jobs], height, width, "official"
        )
    except DataError:
        rles = [try_draw(job, height, width, problems) for job in jobs]
    for job, rle in zip(jobs, rles):
        job.instance.rle, job.instance.paths = rle, None


def try_draw(job: Candidate, height: int, width: int, problems: ProblemLog) -> dict | None:
    """One instance drawn alone, or None, counted."""
    try:
        return rasterize.polygons_to_rle(closed_paths(job.instance), height, width, "official")
    except DataError as error:
        problems.add("bad-polygon", job.where, str(error))
        return None


def annotate(job: Candidate, record: dict, options: Options, problems: ProblemLog) -> dict | None:
    """The annotation of one instance, or None, counted, where it is empty."""
    instance, height, width = job.instance, record["height"], record["width"]
    segmentation, box = None, instance.box
    if options.masks:
        if uses_paths(instance, options):
            segmentation, box = as_polygons(instance, height, width)
        elif instance.rle is not None:
            segmentation, box = as_rle(instance.rle, job, height, width, problems)
        if segmentation is None:
            return None
        if options.box == "file" and instance.box is not None:
            box = instance.box
    if box is None or not (
        min(box[2], width) - max(box[0], 0) > 0 and min(box[3], height) - max(box[1], 0) > 0
    ):
        problems.add("empty-object", job.where, "its mask or box covers no pixel of the picture")
        return None
    crowd = bool(instance.crowd or job.ignored)
    attributes = {
        "occluded": instance.occluded,
        "truncated": instance.truncated,
        "crowd": instance.crowd,
        "ignored": job.ignored,
    }
    out = {
        "bbox": [float(v) for v in box],
        "bbox_mode": BoxMode.XYXY_ABS,
        "category_id": job.category_id,
        "iscrowd": int(crowd),
        "attributes": {**instance.attributes, **attributes, "id": instance.id},
    }
    if segmentation is not None:
        out["segmentation"] = segmentation
    return out


def as_polygons(
    instance: Instance, height: int, width: int
) -> tuple[list[list[float]], tuple[float, float, float, float]]:
    """Flat polygons, curves flattened, and the box around them, clipped to the picture."""
    flat = [
        bezier.flatten(path) if path.curved else path.vertices for path in closed_paths(instance)
    ]
    every = np.concatenate(flat) if len(flat) > 1 else flat[0]
    low, high = every.min(axis=0).clip(min=0), np.minimum(every.max(axis=0), (width, height))
    return [points.reshape(-1).tolist() for points in flat], (
        float(low[0]),
        float(low[1]),
        float(high[0]),
        float(high[1]),
    )


def as_rle(
    rle: dict, job: Candidate, height: int, width: int, problems: ProblemLog
) -> tuple[dict | None, tuple[float, float, float, float] | None]:
    """The run lengths with str counts, and their tight box; None, counted, where they do not fit the picture."""
    if tuple(rle["size"]) != (height, width):
        problems.add(
            "wrong-size-mask",
            job.where,
            f"a mask of {rle['size'][1]}x{rle['size'][0]} on a picture of {width}x{height}",
        )
        return None, None
    try:
        if not isinstance(rle["counts"], str):
            rle = run_lengths.normalize(rle)
        return rle, run_lengths.to_bbox(rle)
    except DataError as error:
        problems.add("bad-rle", job.where, str(error))
        return None, None
