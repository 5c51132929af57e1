"""BDD100K bitmasks: one RGBA PNG an image that holds every instance, its class and its flags.

R is the class (1-based, 0 background), G the flags ``truncated << 3 | occluded << 2 | crowd << 1 | ignored``, and ``(B << 8) + A`` the
instance's number, 1-based within the image. Background pixels are zero in all four, so A is no opacity: such a file is never converted to
RGB. Instances do not overlap. Source: BDD100K's ``format.rst`` and the official toolkit's ``common/bitmask.py``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from bdd_inst.base.errors import DataError
from bdd_inst.base.files import atomic_write
from bdd_inst.images import png_kinds
from bdd_inst.masks.label_runs import drawing_order, label_rles, paint

TRUNCATED, OCCLUDED, CROWD, IGNORED = 8, 4, 2, 1
MAX_CATEGORY, MAX_NUMBER = 255, 65535


@dataclass(slots=True)
class BitmaskInstance:
    """One instance of a bitmask. ``category`` is 1-based; ``number`` is its id in the image (0 where it is to be given on writing)."""

    rle: dict
    category: int
    number: int = 0
    truncated: bool = False
    occluded: bool = False
    crowd: bool = False
    ignored: bool = False

    @property
    def flags(self) -> int:
        """The G byte."""
        return (
            TRUNCATED * self.truncated
            | OCCLUDED * self.occluded
            | CROWD * self.crowd
            | IGNORED * self.ignored
        )


def read_bitmask(path: str | os.PathLike) -> tuple[tuple[int, int], list[BitmaskInstance]]:
    """A bitmask file -> its size (height, width) and its instances by number. DataError for any other or a broken PNG."""
    _, _, depth, color = png_kinds.header(path)
    if color != png_kinds.RGBA or depth != 8:
        what = f"{png_kinds.COLORS[color]} of {depth} bits"
        raise DataError(
            f"{path}: a BDD100K bitmask is an 8-bit RGBA PNG, this one is {what}; color maps and label maps are read as such"
        )
    values = png_kinds.pixels(path)
    return values.shape[:2], instances_of(values)


def instances_of(values: np.ndarray) -> list[BitmaskInstance]:
    """H,W,4 uint8 -> the instances, by number. Pixels of class 0 are background, whatever else they hold.

    Pixels of one number but of different classes or flags are different instances, as in the official reader (see :func:`shared_numbers`).

    Args:
        values: H,W,4 uint8: class, flags, and the number's high and low byte.

    Returns:
        The instances, each with an RLE of (H, W).
    """
    # Four bytes as one number: class, flags and number together tell instances apart in one pass.
    packed = np.ascontiguousarray(values).view("<u4")[..., 0]
    labels, rles = label_rles(packed)
    out = []
    for label, rle in zip(labels.tolist(), rles):
        # Little-endian: R is the lowest byte, A the highest.
        category, flags, number = (
            label & 255,
            label >> 8 & 255,
            (label >> 16 & 255) << 8 | label >> 24,
        )
        if category:
            out.append(
                BitmaskInstance(
                    rle,
                    category,
                    number,
                    *(bool(flags & bit) for bit in (TRUNCATED, OCCLUDED, CROWD, IGNORED)),
                )
            )
    return sorted(out, key=lambda instance: (instance.number, instance.category, instance.flags))


def shared_numbers(instances: Sequence[BitmaskInstance]) -> list[int]:
    """The numbers that more than one instance of an image bears: signs of a broken file."""
    return [
        number
        for number, times in Counter(instance.number for instance in instances).items()
        if times > 1
    ]


def to_bitmask(
    instances: Sequence[BitmaskInstance],
    height: int,
    width: int,
    scores: Sequence[float | None] | None = None,
) -> np.ndarray:
    """Instances -> H,W,4 uint8.

    Where they overlap, the higher score's pixel stays; without scores the later instance's. Numbers that are 0 are given in the order of
    drawing, as the official tool does, past those taken; an instance wholly covered keeps its number but has no pixel.

    Args:
        instances: N, masks of (height, width).
        height, width: of the image, in pixels.
        scores: N, or None.

    Returns:
        H,W,4 uint8: class, flags, and the number's high and low byte.

    Raises:
        DataError: a class or number that the format cannot hold, two instances of one number.
    """
    order = drawing_order(scores, len(instances))
    numbers = numbers_of(instances, scores)
    for instance, number in zip(instances, numbers):
        if not 1 <= instance.category <= MAX_CATEGORY:
            raise DataError(f"a bitmask holds classes 1 to {MAX_CATEGORY}, not {instance.category}")
        if not 1 <= number <= MAX_NUMBER:
            raise DataError(f"a bitmask holds instance numbers 1 to {MAX_NUMBER}, not {number}")
    # All four bytes of a pixel are painted as one little-endian number: R is the lowest, A the highest.
    packed = [
        i.category | i.flags << 8 | (n >> 8) << 16 | (n & 255) << 24
        for i, n in zip(instances, numbers)
    ]
    painted = paint(
        [instances[i].rle for i in order],
        [packed[i] for i in order],
        height=height,
        width=width,
        dtype="<u4",
    )
    return painted.view(np.uint8).reshape(height, width, 4)


def numbers_of(
    instances: Sequence[BitmaskInstance], scores: Sequence[float | None] | None = None
) -> list[int]:
    """Every instance's number as :func:`to_bitmask` writes it, those that are 0 given. Raises DataError for one that occurs twice."""
    order = drawing_order(scores, len(instances))
    taken = [instance.number for instance in instances if instance.number]
    twice = [number for number, times in Counter(taken).items() if times > 1]
    if twice:
        raise DataError(f"two instances of one image bear the number {twice[0]}")
    numbers = [instance.number for instance in instances]
    used, following = set(taken), 1
    for index in order:
        if not numbers[index]:
            # Given numbers step over those that labels bring along.
            while following in used:
                following += 1
            numbers[index] = following
            following += 1
    return numbers


def write_bitmask(path: str | os.PathLike, values: np.ndarray) -> None:
    """The values of :func:`to_bitmask` (H,W,4 uint8) as a PNG, whole or not at all.

    Args:
        path: of the file.
        values: H,W,4 uint8.
    """
    with atomic_write(path, "wb") as stream:
        Image.fromarray(values, "RGBA").save(stream, "PNG")


def instance_numbers(values: np.ndarray) -> np.ndarray:
    """H,W,4 uint8 -> H,W uint16 instance numbers, ``(B << 8) + A``.

    Args:
        values: H,W,4 uint8.

    Returns:
        H,W uint16.
    """
    return values[..., 2].astype(np.uint16) << 8 | values[..., 3]
