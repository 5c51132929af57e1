"""Images with their labels and predictions, brought together from label files, data sets and results files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.drawing.colors import PALETTE, Color, class_color, class_colors, street_color
from bdd_inst.drawing.objects import DrawnObjects, gather
from bdd_inst.formats.names import ImageNames, full_name
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.words import match_class
from bdd_inst.images.finder import ImageFinder
from bdd_inst.masks.bezier import flatten_many
from bdd_inst.structures import BoxMode

MISSING = (np.nan,) * 4


class ClassTable:
    """Class words and their indices and colors; words that are not known yet are added. BDD100K's classes keep their colors."""

    def __init__(
        self,
        names: Iterable[str] = (),
        colors: Sequence[Color] | None = None,
        ids: dict[int, int] | None = None,
    ):
        """``ids``: what a results file's category numbers mean, id -> index."""
        self.names: list[str] = list(names)
        self.colors: list[Color] = class_colors(self.names, colors)
        self.position: dict[str, int] = {name: i for i, name in enumerate(self.names)}
        self.ids = ids or {}

    def add(self, word: str) -> int:
        """The index of a word."""
        if word not in self.position:
            self.position[word] = len(self.names)
            self.colors.append(street_color(word) or class_color(len(PALETTE) + len(self.names)))
            self.names.append(word)
        return self.position[word]

    def of_prediction(self, instance: Instance) -> int:
        """The index of a predicted object's class: by number where the file has no word, by other spellings of the same class."""
        number = instance.attributes.get("category_id")
        if number in self.ids and instance.category == str(number):
            return self.ids[number]
        known, _ = match_class(instance.category, self.position) or (None, False)
        return self.add(
            known or (f"class {number}" if instance.category == str(number) else instance.category)
        )


@dataclass(slots=True)
class Rows:
    """Objects before they are bound to an image: boxes (or MISSING), masks of any kind (or None), and the rest by row."""

    boxes: list[Sequence[float]] = field(default_factory=list)
    masks: list[object] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    scores: list[float] | None = None

    def objects(
        self, size: tuple[int, int], class_table: ClassTable, score_threshold: float = 0.0
    ) -> DrawnObjects:
        """For an image of ``size`` (H, W); scored ones below the threshold are left out. DataError where a mask does not fit."""
        keep = [
            i for i, s in enumerate(self.scores or [1.0] * len(self.boxes)) if s >= score_threshold
        ]
        boxes, masks, indices, crowd = (
            [column[i] for i in keep]
            for column in (self.boxes, self.masks, self.classes, self.crowd)
        )
        scores = None if self.scores is None else [self.scores[i] for i in keep]
        return gather(
            size,
            boxes=boxes,
            masks=masks,
            classes=indices,
            scores=scores,
            crowd=crowd,
            names=class_table.names,
            colors=class_table.colors,
        )


@dataclass(slots=True)
class AnnotatedImage:
    """One image file with its labels (None: it is unlabeled) and its predictions (None: none were asked for)."""

    name: str
    path: Path | None
    image_id: int | str | None = None
    labels: Rows | None = None
    predictions: Rows | None = None


def from_label_set(
    labels: LabelSet, images: ImageFinder, class_table: ClassTable, problems: ProblemLog
) -> Iterator[AnnotatedImage]:
    """The images of a label file.

    Args:
        labels: of any format.
        images: finds the files; those that it does not find are entries without a ``path``.
        class_table: takes up each class as it comes.
        problems: counts names that could be several files.

    Returns:
        An entry each, in the labels' order, as they are asked for.
    """
    for image in labels.images:
        rows = instance_rows(image, class_table) if image.labeled else None
        yield AnnotatedImage(full_name(image), find(images, image, problems), image.image_id, rows)


def from_records(
    records: Iterable[dict], class_table: ClassTable, root: str | None = None
) -> Iterator[AnnotatedImage]:
    """The images of a data set of the catalog.

    Args:
        records: Detectron2's standard dicts.
        class_table: of the data set.
        root: entries are named below it where their file lies there, else by the file's name alone.

    Returns:
        An entry each, as they are asked for.
    """
    for record in records:
        rows = Rows()
        for annotation in record.get("annotations") or ():
            mode = annotation.get("bbox_mode", BoxMode.XYXY_ABS)
            rows.boxes.append(BoxMode.convert(list(annotation["bbox"]), mode, BoxMode.XYXY_ABS))
            rows.masks.append(annotation.get("segmentation") or None)
            rows.classes.append(annotation["category_id"])
            rows.crowd.append(
                bool(
                    annotation.get("iscrowd") or (annotation.get("attributes") or {}).get("ignored")
                )
            )
        path = Path(record["file_name"])
        name = (
            path.relative_to(root).as_posix() if root and path.is_relative_to(root) else path.name
        )
        yield AnnotatedImage(
            name,
            path if os.path.isfile(path) else None,
            record.get("image_id"),
            rows if "annotations" in record else None,
        )


def from_predictions(
    labels: LabelSet, images: ImageFinder, class_table: ClassTable, problems: ProblemLog
) -> Iterator[AnnotatedImage]:
    """The images of a results file, where there are no labels to set beside it.

    Args:
        labels: the predictions, as a label set of any format.
        images: finds the files.
        class_table: takes up each class as it comes.
        problems: counts names that could be several files.

    Returns:
        An entry each, without labels, as they are asked for.
    """
    for image in labels.images:
        rows = instance_rows(image, class_table, predicted=True)
        yield AnnotatedImage(
            full_name(image),
            path=find(images, image, problems),
            image_id=image.image_id,
            labels=None,
            predictions=rows,
        )


def with_predictions(
    entries: Iterable[AnnotatedImage],
    found: LabelSet,
    class_table: ClassTable,
    problems: ProblemLog,
) -> Iterator[AnnotatedImage]:
    """The entries with what a results file has for them, by name, else by image id.

    Args:
        entries: of the labels.
        found: the predictions.
        class_table: of the entries.
        problems: counts, at the end, what fits no entry.

    Returns:
        The same entries, as they are asked for; ``predictions`` has no rows where the file has nothing for one.
    """
    found.load()
    names = ImageNames([full_name(p) for p in found.images])
    ids = {str(p.image_id): i for i, p in enumerate(found.images) if p.image_id is not None}
    named = {i for i, p in enumerate(found.images) if full_name(p) != str(p.image_id)}
    left = set(range(len(found.images)))
    for entry in entries:
        place = names.find(entry.name)
        if place is None:
            place = ids.get(str(entry.image_id))
            place = None if place in named else place
        left.discard(place)
        entry.predictions = (
            Rows(scores=[])
            if place is None
            else instance_rows(found.images[place], class_table, predicted=True)
        )
        yield entry
    for place in sorted(left):
        problems.add(
            "prediction-without-label",
            full_name(found.images[place]),
            "has predictions but is not among the labels",
        )


def instance_rows(image: ImageLabels, class_table: ClassTable, predicted: bool = False) -> Rows:
    """The objects of an image of any label file."""
    rows = Rows(scores=[] if predicted else None)
    for instance in image.instances:
        rows.boxes.append(instance.box or MISSING)
        rows.masks.append(instance.rle if instance.rle is not None else outlines(instance))
        rows.classes.append(
            class_table.of_prediction(instance) if predicted else class_table.add(instance.category)
        )
        rows.crowd.append(not predicted and (instance.crowd or instance.ignored))
        if predicted:
            rows.scores.append(1.0 if instance.score is None else instance.score)
    return rows


def outlines(instance: Instance) -> list[np.ndarray] | None:
    """Curves flattened, V,2 float64 each; an open line runs there and back, so that it encloses nothing."""
    if not instance.paths:
        return None
    flat = flatten_many(instance.paths)
    return [
        line if path.closed else np.concatenate([line, line[::-1]])
        for path, line in zip(instance.paths, flat, strict=True)
    ]


def find(images: ImageFinder, image: ImageLabels, problems: ProblemLog) -> Path | None:
    """The image's file; None where it is missing, or where several could be meant (counted)."""
    try:
        return images.find(image)
    except DataError as error:
        problems.add("ambiguous-image", image.name, str(error).removeprefix(f"{image.name}: "))
        return None
