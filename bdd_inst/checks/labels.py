"""Checks of labels alone: categories, ids, outlines, masks, boxes."""

from __future__ import annotations

from collections import Counter

import numpy as np

from bdd_inst.base import vocabulary as classes
from bdd_inst.base.errors import ProblemLog
from bdd_inst.checks.findings import Findings
from bdd_inst.checks.outlines import first_crossing, on_a_line, signed_area
from bdd_inst.checks.statistics import Statistics
from bdd_inst.formats import shapes
from bdd_inst.formats.records import BDD_SIZE, ImageLabels, Instance, LabelSet, size_of
from bdd_inst.formats.words import BDD_KINDS
from bdd_inst.masks import bezier, run_lengths

# Shapes may end this far outside the image before it is reported: half a pixel is how annotation tools round.
EDGE = 1.0
# Box and mask disagree when the boxes' IoU is below this and a side is off by more than so many pixels.
SAME_BOX_IOU, SAME_BOX_PIXELS = 0.8, 3.0


class LabelChecker:
    """Goes through the images of one label set, one at a time; ``findings`` and ``statistics`` fill up."""

    def __init__(self, labels: LabelSet, findings: Findings, statistics: Statistics) -> None:
        self.labels = labels
        self.findings = findings
        self.statistics = statistics
        self.words: Counter[str] = Counter()
        self.rule = labels.drawing_rule

    def image(self, image: ImageLabels) -> None:
        """Check one image's labels."""
        if not image.labeled:
            self._add("unlabelled-image", image, None, "labels are null or missing")
        elif not image.instances:
            self._add("empty-image", image, None, "labeled, without objects")
        size = size_of(image) or (BDD_SIZE if self.labels.kind in BDD_KINDS else None)
        if size is None:
            self._add(
                "no-image-size",
                image,
                None,
                "shapes cannot be held against the image's edges",
            )
        rles = self._masks(image, size)
        self._instances(image, rles, size)
        self.statistics.add(image, rles, size)

    def finish(self) -> None:
        """What is known once all images are through: the categories."""
        self.findings.take(self.labels.problems)
        check_categories(self.labels, self.words, self.findings)

    def _add(self, code: str, image: ImageLabels, instance: Instance | None, message: str) -> None:
        name = (
            f"{image.video}/{image.name}"
            if image.video and not image.name.startswith(image.video)
            else image.name
        )
        label = (
            None
            if instance is None
            else f"{instance.category} {instance.id!r}"
            if instance.id is not None
            else instance.category
        )
        self.findings.add(code, name, label, message)

    def _masks(self, image: ImageLabels, size: tuple[int, int] | None) -> list[dict | None]:
        if size is None:
            return [instance.rle for instance in image.instances]
        log = ProblemLog()
        rles = shapes.image_masks(image, *size, self.rule, log)
        for instance in image.instances:
            if instance.rle is not None and instance.rle["size"] != list(size):
                height, width = instance.rle["size"]
                self._add(
                    "wrong-size-mask",
                    image,
                    instance,
                    f"mask of {width}x{height}, image of {size[1]}x{size[0]}",
                )
        for problem in log.examples.get("bad-polygon", ()):
            self.findings.add(
                "bad-polygon", image.name, problem.where.partition(": ")[2], problem.message
            )
        return rles

    def _instances(
        self, image: ImageLabels, rles: list[dict | None], size: tuple[int, int] | None
    ) -> None:
        ids: Counter = Counter()
        seen: dict[tuple, Instance] = {}
        for instance, rle in zip(image.instances, rles, strict=True):
            self.words[instance.category] += 1
            ids[instance.id] += instance.id is not None
            # By COCO's rule an open line has no pixel; by BDD100K's it is a thin one.
            line = self.rule == "coco" and not any(p.closed for p in instance.paths or ())
            if line and instance.rle is None:
                rle = None
            if instance.box is None and instance.rle is None and (line or not instance.paths):
                self._add("no-shape", image, instance, "neither box nor mask")
            if isinstance(instance.id, int) and instance.id == 0 and self.labels.kind == "coco":
                self._add("zero-id", image, instance, "annotation id 0")
            self._outlines(image, instance, size)
            self._mask_and_box(image, instance, rle, size)
            shape = (instance.category, instance.box, rle and rle["counts"])
            if shape in seen and (instance.box or rle):
                self._add(
                    "duplicate-instance",
                    image,
                    instance,
                    f"same class, box and mask as {seen[shape].id!r}",
                )
            seen.setdefault(shape, instance)
        if self.labels.kind != "coco":  # whose reader has compared ids over the whole file
            for own, number in ids.items():
                if number > 1:
                    self._add("duplicate-id", image, None, f"{number} labels have the id {own!r}")

    def _outlines(
        self, image: ImageLabels, instance: Instance, size: tuple[int, int] | None
    ) -> None:
        closed = [path for path in instance.paths or () if path.closed]
        for number, points in enumerate(bezier.flatten_many(closed) if closed else ()):
            part = f"part {number}: " if len(closed) > 1 else ""
            if abs(signed_area(points)) < 1e-6 and on_a_line(points):
                self._add("no-area", image, instance, f"{part}all points lie on one line")
                continue
            crossing = first_crossing(points)
            if crossing is not None:
                x, y = points[crossing[0]]
                self._add(
                    "self-crossing",
                    image,
                    instance,
                    f"{part}edges {crossing[0]} and {crossing[1]} cross near ({x:.0f}, {y:.0f})",
                )
            if size is not None:
                self._edges(image, instance, points=points, size=size, part=part)

    def _edges(
        self,
        image: ImageLabels,
        instance: Instance,
        points: np.ndarray,
        size: tuple[int, int],
        part: str,
    ) -> None:
        low, high = points.min(axis=0), points.max(axis=0)
        beyond = max(-low[0], -low[1], high[0] - size[1], high[1] - size[0])
        if beyond > EDGE:
            all_of_it = high[0] <= 0 or high[1] <= 0 or low[0] >= size[1] or low[1] >= size[0]
            message = (
                "lies outside the image"
                if all_of_it
                else f"reaches {beyond:.1f} pixels beyond the image's edge"
            )
            self._add("outside-image", image, instance, f"{part}{message} ({size[1]}x{size[0]})")

    def _mask_and_box(
        self,
        image: ImageLabels,
        instance: Instance,
        rle: dict | None,
        size: tuple[int, int] | None,
    ) -> None:
        tight = run_lengths.to_bbox(rle) if rle is not None else None
        if tight is not None and tight[2] <= tight[0]:
            self._add("empty-object", image, instance, "its mask has no pixel in the image")
            tight = None
        box = instance.box
        if box is None:
            return
        if size is not None:
            beyond = max(-box[0], -box[1], box[2] - size[1], box[3] - size[0])
            if beyond > EDGE:
                self._add(
                    "box-outside",
                    image,
                    instance,
                    f"reaches {beyond:.1f} pixels beyond the image's edge ({size[1]}x{size[0]})",
                )
        if tight is None:
            return
        off = max(abs(a - b) for a, b in zip(box, tight, strict=True))
        if off > SAME_BOX_PIXELS and iou(box, tight) < SAME_BOX_IOU:
            shown = ", ".join(f"{v:.0f}" for v in box), ", ".join(f"{v:.0f}" for v in tight)
            self._add(
                "box-mask-disagree",
                image,
                instance,
                f"box ({shown[0]}), mask ({shown[1]}): {off:.0f} pixels apart",
            )


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union of two boxes x1, y1, x2, y2."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0


def check_categories(labels: LabelSet, words: Counter[str], findings: Findings) -> None:
    """The words that labels use, and the file's own list of categories, against each other and against the contract's names."""
    by_lower: dict[str, str] = {}
    for word in words:
        other = by_lower.setdefault(word.lower(), word)
        if other != word:
            findings.add(
                "category-spelling", labels.source, None, f"{other!r} and {word!r}", words[word]
            )
    if labels.kind in ("scalabel", "bdd-v1") and any(classes.bdd_word(word) for word in words):
        for word, number in words.items():
            if classes.bdd_word(word) is None and not word.lower().startswith(
                ("lane", "area", "drivable")
            ):
                findings.add(
                    "unknown-category",
                    labels.source,
                    word,
                    f"{number} labels of a category that BDD100K does not have",
                    number,
                )
    names = labels.categories or ()
    for name, number in Counter(names).items():
        if number > 1:
            findings.add(
                "duplicate-category", labels.source, name, f"{number} categories of this name"
            )
    for expected in (classes.BDD100K_INS_SEG, classes.BDD100K_DET):
        meant = tuple((classes.bdd_word(name) or (name,))[0] for name in names)
        if set(meant) == set(expected) and meant != expected:
            message = f"categories are {', '.join(names)}; BDD100K's order is {', '.join(expected)}"
            findings.add("category-order", labels.source, None, message)
