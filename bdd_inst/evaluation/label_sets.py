"""Any label format as ground truth or as predictions: Scalabel JSON, bitmask folders and what else the readers know."""

from __future__ import annotations

import numpy as np

from bdd_inst.base import vocabulary as classes
from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.evaluation.ground_truth import GroundTruth, GroundTruthBuilder
from bdd_inst.evaluation.results import Results, ResultsBuilder
from bdd_inst.evaluation.results_masks import add_unscored
from bdd_inst.formats import shapes
from bdd_inst.formats.names import ImageNames, full_name
from bdd_inst.formats.plan import vocabulary
from bdd_inst.formats.records import BDD_SIZE, ImageLabels, Instance, LabelSet, size_of
from bdd_inst.formats.score_files import Scores
from bdd_inst.formats.words import (
    BDD_KINDS,
    class_list,
    match_class,
    own_vocabulary,
    resolve_classes,
)
from bdd_inst.images.png_kinds import KINDS as PNG_KINDS
from bdd_inst.masks import run_lengths


def truth_from_labels(labels: LabelSet) -> GroundTruth:
    """A label set as ground truth; polygons are drawn by its own rule (``official`` for BDD100K).

    Raises:
        DataError: where there is no image, or an image's size is needed and nowhere said.
    """
    labels.load()
    names, ids = scored_classes(labels)
    builder = GroundTruthBuilder(names, ids, labels.source)
    builder.problems.merge(labels.problems)
    position = {name: k for k, name in enumerate(names)}
    given = [image.image_id for image in labels.images]
    # Ids that are missing or not unique cannot name an image: they are counted instead.
    numbered = None in given or len(set(given)) < len(given)
    for number, image in enumerate(labels.images, 1):
        size = size_of(image) or (BDD_SIZE if labels.kind in BDD_KINDS else (0, 0))
        builder.image(
            number if numbered else image.image_id,
            full_name(image),
            *size,
            image.attributes,
        )
        if not image.labeled:
            where = f"{labels.source}: {image.name}"
            builder.problems.add(
                "unlabelled-image", where, "no labels; every prediction there counts as false"
            )
        masks = masks_of(image, *builder.sizes[-1], labels.drawing_rule, builder.problems)
        for instance, mask in zip(image.instances, masks, strict=True):
            add_instance(builder, instance, mask=mask, image=image, position=position)
    if not builder.image_ids:
        raise DataError(f"{labels.source}: no image in it; there is nothing to score against")
    built = builder.build()
    built.rule, built.numbered = labels.rule, numbered
    return built


def add_instance(
    builder: GroundTruthBuilder,
    instance: Instance,
    mask: dict | None,
    image: ImageLabels,
    position: dict[str, int],
) -> None:
    """One labeled object with its mask; those of classes that are not scored are counted."""
    name, ignored = match_class(instance.category, position) or (None, False)
    where = f"{builder.source}: {image.name}"
    if name is None:
        builder.problems.add(
            "category-left-out", where, f"{instance.category!r} is not among the classes"
        )
        return
    if instance.rle is not None and instance.paths:
        message = "carries a mask and an outline: the mask is scored; training draws the outline unless DATASETS.SOURCE is rles"
        builder.problems.add("mask-and-outline", where, message)
    box = instance.box if instance.box is not None else mask_box(mask)
    if box is None:
        builder.problems.add("no-shape", where, f"a {instance.category} with neither box nor mask")
        return
    flags = {
        name: getattr(instance, name) for name in ("occluded", "truncated", "ignored", "crowd")
    }
    flags["ignored"] = flags["ignored"] or ignored
    builder.add(
        position[name],
        box=(box[0], box[1], box[2] - box[0], box[3] - box[1]),
        mask=mask,
        area=instance.attributes.get("area") if mask is None else None,
        crowd=instance.crowd,
        ignored=flags["ignored"],
        attributes=instance.attributes | flags,
    )


def scored_classes(labels: LabelSet) -> tuple[list[str], list[int]]:
    """The classes that a label set is scored on, with their ids: its own list, else BDD100K's eight or ten, else every name in it."""
    present = {instance.category for image in labels.images for instance in image.instances}
    if labels.kind not in BDD_KINDS:
        names, ids, _ = vocabulary(labels, sorted(present), None)
        return list(names), list(ids)
    names = bdd_classes(labels, present)
    own = labels.category_ids if names == list(labels.categories or ()) else None
    return names, list(own or range(1, len(names) + 1))


def bdd_classes(labels: LabelSet, present: set[str]) -> list[str]:
    """The classes that files of BDD100K's kinds are scored on."""
    if labels.categories and own_vocabulary(labels, present):
        return list(labels.categories)
    meant = {name for name, ignored in resolve_classes(labels, present).values() if not ignored}
    if not meant or meant & set(classes.BDD100K_DET):
        listed = meant if labels.kind == "bitmask" else set(labels.categories or ()) | meant
        return list(class_list(listed))
    return list(labels.categories or sorted(present))


def masks_of(
    image: ImageLabels, height: int, width: int, rule: str, problems: ProblemLog
) -> list[dict | None]:
    """The masks of an image's objects as compressed RLE: their own, or their outlines drawn by ``rule``; open lines have none."""
    if not height or not width:
        if any(i.rle is None and shapes.area_outlines(i) for i in image.instances):
            raise DataError(
                "outlines need the images' sizes; give the folder of images with --images"
            )
        return [instance.rle for instance in image.instances]
    return shapes.image_masks(
        image, int(height), width=int(width), rule=rule, log=problems, prefer="rle", lines=False
    )


def mask_box(mask: dict | None) -> tuple[float, float, float, float] | None:
    """x1, y1, x2, y2 around a mask; None without one."""
    return None if mask is None else run_lengths.to_bbox(mask)


def results_from_labels(
    labels: LabelSet, truth: GroundTruth, scores: Scores | None = None
) -> Results:
    """A label set with scores as predictions on ``truth``; images are matched by name, classes by name.

    Args:
        scores: of bitmasks, where they lie in a file of their own.

    Raises:
        DataError: an image or class that the ground truth does not have, an object without score, a mask of another size.
    """
    labels.load()
    reader = PredictionReader(labels, truth, scores)
    names = ImageNames(truth.file_names)
    builder, seen = ResultsBuilder(), set()
    for image in labels.images:
        place = names.find(full_name(image))
        if place is None:
            raise DataError(
                f"{labels.source}: image {image.name} is not in the ground truth {truth.source}"
            )
        if place in seen:
            raise DataError(f"{labels.source}: image {image.name} comes twice")
        seen.add(place)
        columns = reader.rows(image, place)
        if columns:
            classes_, scores_, boxes, masks = zip(*columns, strict=True)
            builder.add(
                place,
                np.array(classes_),
                np.array(scores_),
                np.array(boxes, np.float64),
                list(masks),
            )
    results = builder.build(labels.source)
    results.problems = reader.problems
    refuse_damage(labels.problems, results)
    note_maskless(results)
    return results


# What readers say of a mask that they had to leave out or to mend, its object kept.
MASK_FAULTS = ("bad-rle", "bad-polygon", "bad-segmentation", "wrong-size-mask")


def refuse_damage(problems: ProblemLog, results: Results) -> None:
    """Predictions that reading had to leave out or to mend (``bad-label``, ...) would change the score in silence. Of damaged masks boxes
    are scored all the same.

    Raises:
        DataError: naming the first of them.
    """
    faults = [c for c in problems.counts if c.startswith("bad-") and c not in MASK_FAULTS]
    masks = [c for c in problems.counts if c in MASK_FAULTS]
    boxed = not results.problems.counts["no-shape"]
    for code in faults + ([] if boxed else masks):
        first = problems.examples[code][0]
        number = sum(problems.counts[c] for c in faults + masks)
        more = f" (and {number - 1} more)" if number > 1 else ""
        raise DataError(
            f"{first.where}: {first.message}; a prediction is right or refused, mend the file{more}"
        )
    if masks:
        results.masks = None
        first = problems.examples[masks[0]][0]
        error = DataError(f"{first.where}: {first.message}")
        add_unscored(results.problems, error, sum(problems.counts[c] for c in masks))


class PredictionReader:
    """Turns predicted instances into rows of class, score, box and mask."""

    def __init__(self, labels: LabelSet, truth: GroundTruth, scores: Scores | None):
        self.labels, self.truth, self.scores = labels, truth, scores
        self.position = {name: k for k, name in enumerate(truth.class_names)}
        self.problems = ProblemLog()
        self.problems.merge(labels.problems)
        self.unscored = labels.kind == "bitmask" and scores is None
        if self.unscored:
            message = "bitmasks carry no scores; every instance counts with score 1 (name a file of scores with --scores)"
            self.problems.add("no-scores", labels.source, message)

    def rows(self, image: ImageLabels, place: int) -> list[tuple]:
        """The rows of an image's predictions, those that are left out (and counted) not among them."""
        size = self.truth.sizes[place]
        for instance in image.instances:
            where = self.where(instance, image)
            instance.rle = self.of_size(instance.rle, instance, place, where)
        masks = masks_of(image, *size, self.labels.drawing_rule, self.problems)
        pairs = zip(image.instances, masks, strict=True)
        rows = (self.row(instance, mask, image) for instance, mask in pairs)
        return [row for row in rows if row is not None]

    def where(self, instance: Instance, image: ImageLabels) -> str:
        """How messages call a prediction."""
        own = f" (id {instance.id})" if instance.id is not None else ""
        return f"{self.labels.source}: {image.name}, a {instance.category}{own}"

    def row(self, instance: Instance, mask: dict | None, image: ImageLabels) -> tuple | None:
        """class, score, box (x, y, w, h) and mask of one predicted object; None for one that is left out (and counted)."""
        where = self.where(instance, image)
        name, _ = match_class(instance.category, self.position) or (None, False)
        if name is None:
            raise DataError(
                f"{where}: this class is not in the ground truth, which has {', '.join(self.truth.class_names)}"
            )
        score = self.score(instance, image)
        if score is None or not np.isfinite(score):
            raise DataError(f"{where}: it has no score; every prediction needs one")
        box = instance.box if instance.box is not None else mask_box(mask)
        if box is None:
            self.problems.add("no-shape", where, "neither box nor mask; left out")
            return None
        return (
            self.position[name],
            float(score),
            (box[0], box[1], box[2] - box[0], box[3] - box[1]),
            mask,
        )

    def score(self, instance: Instance, image: ImageLabels) -> float | None:
        """The instance's score: from the file of scores, else its own, else 1 for bitmasks without either."""
        if self.scores is not None:
            return self.scores.of(full_name(image)).get(str(instance.id))
        return 1.0 if self.unscored else instance.score

    def of_size(self, mask: dict | None, instance: Instance, place: int, where: str) -> dict | None:
        """A mask of its image's size; None, counted, for another where the object has a box of its own.

        Raises:
            DataError: another where the box is that of the mask.
        """
        size = self.truth.sizes[place]
        if mask is None or not all(size) or tuple(mask["size"]) == tuple(size):
            return mask
        h, w = mask["size"]
        message = f"its mask is for height x width {h}x{w}, but the image is {size[0]}x{size[1]}"
        if instance.box is None or self.labels.kind in PNG_KINDS:
            raise DataError(f"{where}: {message}")
        self.labels.problems.add("wrong-size-mask", where, message)
        return None


def note_maskless(results: Results) -> None:
    """Where only some predictions have masks, count the others: they are left out of the mask scores. Where none has, drop the column."""
    lacking = sum(mask is None for mask in results.masks or ())
    if results.masks and lacking == len(results.masks):
        results.masks = None
    elif lacking:
        n = next(n for n, mask in enumerate(results.masks) if mask is None)
        message = "predictions with a box but no mask, though others have one: left out of the mask scores"
        results.problems.add(
            "prediction-without-mask",
            f"{results.source}: prediction {n + 1}",
            message,
            count=lacking,
        )
