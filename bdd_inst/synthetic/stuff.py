"""Which pixels of a rendered street are road, sky, building: the panoptic labels beside those of the things."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bdd_inst.base.vocabulary import BDD100K_PAN
from bdd_inst.formats.bitmask import BitmaskInstance
from bdd_inst.masks import run_lengths
from bdd_inst.masks.label_runs import label_rles
from bdd_inst.synthetic.pen import cover

SMALLEST = 20  # pixels; smaller remains of a class are left unlabeled


class StuffMap:
    """Learns what the painters paint.

    Attribute ``classes``: H,W uint8, numbers of BDD100K's panoptic classes, 0 where nothing has been said.
    """

    def __init__(self, height: int, width: int):
        self.classes = np.zeros((height, width), np.uint8)

    def split(self, horizon: int) -> None:
        """Sky above the row ``horizon``, open ground below."""
        self.classes[:horizon], self.classes[horizon:] = number("sky"), number("ground")

    def fill(self, points: np.ndarray, name: str) -> None:
        """The whole pixels inside a polygon P,2 are of a class."""
        cover(self.classes, points, number(name))

    def mark(self, mask: np.ndarray, name: str | None) -> None:
        """The pixels of ``mask`` (H,W bool) are of a class; None: of a thing."""
        self.classes[mask] = number(name) if name else 0


def number(name: str) -> int:
    """The number from 1 of a panoptic class, in any of its spellings."""
    return BDD100K_PAN.resolve(name)[0] + 1


def panoptic_instances(
    stuff: StuffMap, things: Sequence[tuple[str, np.ndarray, bool, bool]]
) -> list[BitmaskInstance]:
    """The segments of one image as official panoptic bitmasks number them: stuff by its class, things from 31 on.

    Args:
        things: ``(category, visible H,W bool, occluded, truncated)`` of the labeled ones.
    """
    out = [
        BitmaskInstance(rle, int(label), int(label))
        for label, rle in zip(*label_rles(stuff.classes), strict=True)
        if run_lengths.area(rle) >= SMALLEST
    ]
    for place, (category, visible, occluded, truncated) in enumerate(things):
        kind = number(category)
        rle = run_lengths.encode(visible)
        out.append(
            BitmaskInstance(
                rle, category=kind, number=31 + place, truncated=truncated, occluded=occluded
            )
        )
    return out
