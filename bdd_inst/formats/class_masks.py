"""One gray PNG an image that says which pixels are of a class: 0 background, 1 the first class asked for, 2 the second, and so on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.base.files import settle
from bdd_inst.formats import label_map
from bdd_inst.formats.conversion import Conversion, convert, fingerprint_of
from bdd_inst.formats.plan import make_plan
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.registry import check_output
from bdd_inst.formats.target import Parts
from bdd_inst.formats.write_png import Chosen, PngTarget
from bdd_inst.masks import run_lengths

# What becomes of crowds, regions of many objects: they are of the class, they are background, or they are marked as void.
CROWDS = ("class", "background", "void")
MAX_CLASSES = 254


@dataclass
class ClassMaskTarget(PngTarget):
    """Gray PNGs of class numbers; where classes overlap, the one that was named first stays, and any class goes before void."""

    crowds: str = "class"

    def category(self, word: str) -> tuple[str, bool] | None:
        # What was not asked for is no loss here, and not counted.
        return self.plan.words.get(word)

    def class_number(self, name: str) -> int | None:
        return self.plan.number[name]

    def pixels(self, chosen: Chosen, height: int, width: int) -> np.ndarray:
        layers = [(self._value(instance, name), rle) for instance, rle, name, _ in chosen]
        # Painted from the last named to the first; void lies under all.
        layers = sorted((layer for layer in layers if layer[0]), key=lambda layer: -layer[0])
        return label_map.to_label_map(
            [rle for _, rle in layers], [value for value, _ in layers], height, width
        )

    def _value(self, instance: Instance, name: str) -> int:
        if instance.crowd and self.crowds != "class":
            return label_map.VOID if self.crowds == "void" else 0
        return self.plan.number[name]

    def _count_lost(self, image: ImageLabels, chosen: Chosen, values: np.ndarray) -> None:
        by_value: dict[int, list[dict]] = {}
        for instance, rle, name, _ in chosen:
            by_value.setdefault(self._value(instance, name), []).append(rle)
        by_value.pop(0, None)
        if len(by_value) < 2:
            return
        claimed = sum(run_lengths.area(run_lengths.union(rles)) for rles in by_value.values())
        shared = claimed - int(np.count_nonzero(values))
        if shared:
            self.lost.add(
                "lost-overlaps",
                image.name,
                f"{shared} pixels belong to several classes; the one named first keeps each",
            )

    def save(self, file: Path, values: np.ndarray) -> int:
        # By the tens of thousands: waiting for the disk after each would take longer than all the rest.
        return label_map.write_gray(file, values, durable=False)

    def finish(self, parts: Parts) -> None:
        settle()
        super().finish(parts)


def write_class_masks(
    labels: LabelSet,
    output: str | os.PathLike,
    categories: Sequence[str],
    *,
    crowds: str = "class",
    raster: str | None = None,
    images: str | os.PathLike | None = None,
    workers: int | None = 1,
    progress: Callable[[int], None] | None = None,
) -> Conversion:
    """Write ``output/NAME.png`` for each labeled image; see :class:`ClassMaskTarget`. An interrupted run is taken up.

    Args:
        labels: of any format.
        output: the folder.
        categories: in the order of their values, which is also the order in which they keep contested pixels.
        crowds: one of :data:`CROWDS`.
        raster: the rule that draws outlines; None takes the label set's own.
        images: the folder of images, where the output must not lie.
        workers: processes; None takes one for each core.
        progress: called with the number of images of each finished chunk.

    Returns:
        How many masks were written, what was skipped and what a mask cannot say.

    Raises:
        DataError: a class that is not there, more than 254 of them, two images that would share one PNG.
        ValueError: another ``crowds``.
    """
    if crowds not in CROWDS:
        raise ValueError(f"crowds must be one of {', '.join(CROWDS)}, not {crowds!r}")
    if not 1 <= len(categories) <= MAX_CLASSES or len(set(categories)) != len(categories):
        raise DataError(
            f"class masks need 1 to {MAX_CLASSES} different categories, not {', '.join(categories) or 'none'}"
        )
    rule = raster or labels.drawing_rule
    target = ClassMaskTarget(make_plan(labels, rule, list(categories)), Path(output), crowds=crowds)
    check_output(target, labels, images)
    options = {
        "to": "class-masks",
        "raster": rule,
        "categories": tuple(categories),
        "crowds": crowds,
    }
    mark = fingerprint_of(labels.source, labels.files, options) if labels.files else ""
    # What was not asked for need not be drawn, nor travel to another process.
    chosen = replace(labels, images=(with_chosen_classes(image, target) for image in labels.images))
    return convert(chosen, target, fingerprint=mark, workers=workers, progress=progress)


def with_chosen_classes(image: ImageLabels, target: ClassMaskTarget) -> ImageLabels:
    """An image with the objects of the target's classes alone."""
    kept = [i for i in image.instances if target.category(i.category) is not None]
    return replace(image, instances=kept)
