"""Segments drawn on an image: every labeled pixel in the color of its class, each segment outlined and named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bdd_inst.drawing.draw import draw_instances
from bdd_inst.drawing.paint import Style
from bdd_inst.masks.label_runs import label_rles

STYLE = Style(show_boxes=False, show_scores=False, opacity=0.55)


def draw_segments(
    image: np.ndarray,
    ids: np.ndarray,
    numbers: Mapping[int, int],
    names: Sequence[str],
    colors: Sequence[Sequence[int]] | None = None,
    style: Style = STYLE,
) -> np.ndarray:
    """A copy of the image with its segments.

    Args:
        image: H,W,3 uint8 BGR.
        ids: H,W segment ids, 0 where there is none.
        numbers: id to class number; segments that it lacks are not drawn.
        names: by class number.
        colors: R, G, B by class number; None for this project's own.
        style: how they are drawn.

    Returns:
        H,W,3 uint8 BGR.
    """
    found = zip(*label_rles(np.ascontiguousarray(ids, np.uint32)), strict=True)
    shown = [(numbers[int(number)], rle) for number, rle in found if int(number) in numbers]
    if not shown:
        return image.copy()
    return draw_instances(
        image,
        masks=[rle for _, rle in shown],
        classes=[label for label, _ in shown],
        names=names,
        colors=colors,
        style=style,
    )
