"""What of a label set can be used: one verdict for every tool, whatever files the labels came from.

Of an image that is labeled twice the first labels hold. A shape that covers nothing is left out and counted, its object kept: an
outline that is a line or lies beside its image, a mask without a pixel. Coordinates from 0 to 1 are shares of the image's sides that
were never turned into pixels; as pixels they would all be one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats.records import Box, ImageLabels, Instance, LabelSet, LazyImages
from bdd_inst.masks import run_lengths
from bdd_inst.masks.outlines import Outline
from bdd_inst.masks.rle_check import MAX_PIXELS

# Images whose sides are below this may hold an object between 0 and 1.
LEAST_SIDE = 8
CHUNK = 64  # images looked at together
# Only a mask of one run, all background, can be without a pixel; its counts are no longer than this.
ONE_RUN = 7
ORIGIN = np.zeros((1, 2))
SHARES = "from 0 to 1: shares of the image's sides, not pixels; multiply by width and height"


def usable_images(labels: LabelSet) -> LazyImages:
    """The images of a label set without what cannot be used, each reason counted in ``labels.problems``."""
    images, official = labels.images, labels.rule == "official"

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        for chunk in chunks(first_labels(images, labels.source, log)):
            suspects = suspect_outlines(chunk, official)
            for image in chunk:
                where = f"{labels.source} ({image.name})"
                judge = _ShapeCheck(
                    image, suspects=suspects, official=official, where=where, log=log
                )
                image.instances = [i for i in image.instances if judge.keeps(i)]
                yield image

    return LazyImages(generate, labels.problems)


def first_labels(
    images: Iterable[ImageLabels], source: str, log: ProblemLog
) -> Iterator[ImageLabels]:
    """The images without those that were there before, counted; a size that no mask can have is taken for unknown."""
    seen: set[tuple[str | None, str]] = set()
    for image in images:
        key = (image.video, image.name)
        if key in seen:
            message = "labeled more than once; the first is kept"
            log.add("duplicate-image", f"{source} ({image.name})", message)
            continue
        seen.add(key)
        if image.width and image.height and image.width * image.height > MAX_PIXELS:
            message = f"{image.width}x{image.height} is the size of no image; taken for unknown"
            log.add("bad-image-size", f"{source} ({image.name})", message)
            image.width = image.height = None
        yield image


def chunks(images: Iterable[ImageLabels]) -> Iterator[list[ImageLabels]]:
    """Lists of up to :data:`CHUNK` images."""
    rest = iter(images)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def suspect_outlines(images: Sequence[ImageLabels], official: bool) -> set[int]:
    """The outlines (by ``id``) that may be at fault, told by their bounds: few are, so that only those need a closer look."""
    paths: list[Outline] = []
    owners: list[int] = []
    for number, image in enumerate(images):
        if official and image.width is None:
            continue  # nothing can be said of them
        for instance in image.instances:
            if instance.paths:
                paths += instance.paths
                owners += [number] * len(instance.paths)
    if not paths:
        return set()
    counts = np.fromiter(map(len, paths), np.int64, len(paths))
    if not counts.all():
        # An outline without vertices stands for the origin: ``reduceat`` has no empty stretch.
        counts = np.maximum(counts, 1)
    ends = np.cumsum(counts)
    points = np.concatenate([path.vertices if len(path) else ORIGIN for path in paths])
    suspect = np.zeros(len(paths), bool)
    small = ~suspect
    for axis, side in enumerate(("width", "height")):
        values = np.ascontiguousarray(points[:, axis])
        # Bounds of all outlines of many images in one pass, which leaves next to none for a closer look.
        low = np.minimum.reduceat(values, ends - counts)
        high = np.maximum.reduceat(values, ends - counts)
        sides = np.array([getattr(image, side) or np.inf for image in images])
        suspect |= (high < 0) | (low > sides[owners])
        if not official:
            suspect |= high == low
        small &= high <= 1
    return {id(paths[n]) for n in np.flatnonzero(suspect | small)}


# Reasons for which readers leave a whole object out that somebody has labeled.
LEFT_OUT = (
    "bad-label",
    "unknown-category",
    "unknown-image",
    "normalised-coordinates",
    "wrong-size-image",
)


def refuse_nothing_usable(source: str, problems: ProblemLog) -> None:
    """Refuse labels of which not one object is left: what is made of them would say that there is none.

    Args:
        source: the label file.
        problems: of a label set without an object, after a whole pass.

    Raises:
        DataError: objects were left out; a file without any is what it is.
    """
    lost = {code: number for code in LEFT_OUT if (number := problems.counts[code])}
    if lost:
        first = problems.examples[next(iter(lost))][0]
        raise DataError(
            f"{source}: none of its objects can be used ({sum(lost.values())} problems), e.g. {first.where}: {first.message}"
        )


def are_shares(low: float, high: float, whole: bool) -> bool:
    """Whether coordinates can only be shares of an image's sides.

    Args:
        low: the least of them.
        high: the largest.
        whole: all are whole numbers.

    Returns:
        True where they lie in 0 to 1 and are not the corners of a single pixel.
    """
    return low >= 0 and high <= 1 and not whole


class _ShapeCheck:
    """The shapes of one image."""

    def __init__(
        self, image: ImageLabels, suspects: set[int], official: bool, where: str, log: ProblemLog
    ) -> None:
        self.suspects, self.official, self.where, self.log = suspects, official, where, log
        sides = image.width, image.height
        self.sides = sides if None not in sides else None
        self.large = self.sides is not None and min(self.sides) >= LEAST_SIDE

    def keeps(self, instance: Instance) -> bool:
        """Take the unusable shapes from an instance; False where its coordinates are shares, and nothing is left of it."""
        if instance.rle is not None and len(instance.rle["counts"]) <= ONE_RUN:
            self._mask(instance)
        shares = False
        box = instance.box
        if self.large and box is not None and box[2] <= 1 and box[3] <= 1 and is_share_box(box):
            self._add("normalised-coordinates", instance, f"its box is {SHARES}; box left out")
            instance.box = instance.xywh = None
            shares = True
        if self.suspects and instance.paths:
            shares = self._outlines(instance) or shares
        return not shares or instance.box is not None or instance.has_mask

    def _outlines(self, instance: Instance) -> bool:
        """Take the unusable outlines from an instance; whether one was in shares."""
        shares, kept = False, []
        for path in instance.paths:
            fault = self._fault(path) if id(path) in self.suspects else None
            if fault is None:
                kept.append(path)
                continue
            code, message = fault
            self._add(code, instance, f"{message}; outline left out")
            shares = shares or code == "normalised-coordinates"
        instance.paths = kept or None
        return shares

    def _mask(self, instance: Instance) -> None:
        if not run_lengths.area(instance.rle):
            self._add("empty-object", instance, "its mask has no pixel; mask left out")
            instance.rle = None

    def _fault(self, path: Outline) -> tuple[str, str] | None:
        """What is wrong with a closed outline, None for a sound one."""
        if not path.closed:
            return None
        points = path.vertices
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        low, high = min(left, top), max(right, bottom)
        if self.large and high <= 1 and are_shares(low, high, bool((points % 1 == 0).all())):
            return "normalised-coordinates", f"its outline's coordinates are {SHARES}"
        # BDD100K's rule paints every pixel that a line touches; COCO's fills what is enclosed.
        if not self.official and (left == right or top == bottom):
            return "no-area", "its outline is a line and encloses nothing"
        if self.sides is not None:
            width, height = self.sides
            if right < 0 or bottom < 0 or left > width or top > height:
                message = f"its outline lies outside the image of {width}x{height}"
                return "empty-object", message
        return None

    def _add(self, code: str, instance: Instance, message: str) -> None:
        self.log.add(code, f"{self.where}: {instance.category} {instance.id!r}", message)


def is_share_box(box: Box) -> bool:
    """Whether a box x1, y1, x2, y2 can only be in shares of an image's sides."""
    return are_shares(min(box[:2]), max(box[2:]), all(float(v).is_integer() for v in box))
