"""Panoptic predictions against panoptic labels from files: COCO panoptic JSON or BDD100K's panoptic bitmasks, on either side."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.datasets.panoptic_classes import PanopticClasses
from bdd_inst.evaluation.panoptic import RULES, image_counts, report
from bdd_inst.formats.names import bare, full_name
from bdd_inst.formats.records import ImageLabels, LabelSet, size_of
from bdd_inst.masks.label_runs import paint

PANOPTIC_KINDS = ("panoptic", "pan-seg")
Segments = tuple[np.ndarray, list[dict]]


def score_panoptic(truth: LabelSet, predicted: LabelSet, protocol: str) -> dict:
    """The content of ``metrics.json``: ``panoptic_seg``, of each protocol under ``both``, and notes.

    Args:
        truth: labels of things and stuff; classes are told by name.
        predicted: segments of the same images, told by name.
        protocol: ``coco``, ``bdd`` or ``both``.

    Raises:
        DataError: a prediction of no image or of another size, nothing in common, another protocol.
    """
    rules = RULES if protocol == "both" else (protocol,)
    if not set(rules) <= set(RULES):
        raise DataError(
            f"--protocol {protocol}: panoptic segments are scored by {', '.join(RULES)} or both"
        )
    classes, problems = classes_of(truth), ProblemLog()
    sums = {rule: np.zeros((len(classes.names), 4)) for rule in rules}
    for pair in pairs(truth, predicted, classes, problems):
        for rule in rules:
            sums[rule] += image_counts(*pair, classes, rule)
    problems.merge(truth.problems)
    problems.merge(predicted.problems)
    blocks = {rule: report(counts, classes) for rule, counts in sums.items()}
    metrics = {"protocol": protocol, "panoptic_seg": blocks[rules[0]]}
    if len(rules) > 1:
        metrics |= {rule: {"panoptic_seg": block} for rule, block in blocks.items()}
    return metrics | ({"notes": problems.lines()} if problems else {})


def classes_of(labels: LabelSet) -> PanopticClasses:
    """Things and stuff of panoptic labels, each in the order of the file."""
    names, things = labels.categories or (), labels.things or ()
    return PanopticClasses(
        tuple(name for name in names if name in things),
        tuple(name for name in names if name not in things),
    )


def pairs(
    truth: LabelSet, predicted: LabelSet, classes: PanopticClasses, problems: ProblemLog
) -> Iterator[tuple[Segments, Segments]]:
    """Both sides' segments of every labeled image."""
    found = {bare(full_name(image)): image for image in predicted.images}
    number = 0
    for image in truth.images:
        key = bare(full_name(image))
        other = found.pop(key, None)
        if not image.labeled:
            problems.add("unlabelled-image", image.name, "nobody has labeled it; left out")
            continue
        size = _size(image, truth.source)
        if other is None:
            message = "no prediction; all its segments are missed"
            problems.add("image-without-prediction", image.name, message)
            empty = np.zeros(size, np.int32), []
            yield segments_of_labels(image, size, classes, problems), empty
            continue
        number += 1
        if _size(other, predicted.source) != size:
            raise DataError(
                f"{predicted.source} ({other.name}): {_size_text(_size(other, predicted.source))}, but its labels are {_size_text(size)}; "
                "predictions must be of the labels' size"
            )
        wanted = segments_of_labels(image, size, classes, problems)
        yield wanted, segments_of_labels(other, size, classes, problems)
    if found:
        name = next(iter(found.values())).name
        raise DataError(f"{predicted.source}: {name} is no image of {truth.source}")
    if not number:
        raise DataError(f"{predicted.source}: no image in common with {truth.source}")


def segments_of_labels(
    image: ImageLabels, size: tuple[int, int], classes: PanopticClasses, problems: ProblemLog
) -> Segments:
    """H,W int32 segment ids and what they are; objects of a class that is not scored are no segments.

    Args:
        image: with a mask for each object.
        size: (height, width).
        classes: those that are scored.
        problems: counts what is left out.
    """
    rles, segments = [], []
    for instance in image.instances:
        if instance.category not in classes.names:
            message = f"{instance.category!r} is none of the classes of the ground truth; left out"
            problems.add("unknown-category", image.name, message)
            continue
        isthing = instance.category in classes.things
        label = (
            classes.things.index(instance.category)
            if isthing
            else classes.stuff.index(instance.category) + 1
        )
        rles.append(instance.rle)
        crowd = int(instance.crowd or instance.ignored)
        segments.append(
            {"id": len(rles), "category_id": label, "isthing": isthing, "iscrowd": crowd}
        )
    return paint(rles, range(1, len(rles) + 1), *size, np.uint32).astype(np.int32), segments


def _size(image: ImageLabels, source: str) -> tuple[int, int]:
    size = size_of(image)
    if size is None:
        raise DataError(f"{source} ({image.name}): neither its size nor any segment is known")
    return size


def _size_text(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
