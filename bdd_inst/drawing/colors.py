"""The colors that classes, instances and verdicts are drawn in, and the text color that reads on them (RGB, 0..255)."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

from bdd_inst.base.vocabulary import BDD100K_DET, bdd_word

Color = tuple[int, int, int]

# Bright enough for night scenes, apart enough for eight classes in one image; in BDD100K's class order.
PALETTE: tuple[Color, ...] = (
    (255, 82, 96),  # pedestrian: coral
    (255, 150, 40),  # rider: orange
    (48, 160, 255),  # car: blue
    (0, 200, 170),  # truck: teal
    (178, 132, 255),  # bus: violet
    (140, 205, 70),  # train: leaf
    (255, 105, 205),  # motorcycle: pink
    (255, 220, 60),  # bicycle: yellow
    (90, 235, 235),  # traffic light: cyan
    (214, 170, 120),  # traffic sign: sand
)
IGNORED: Color = (170, 170, 170)
INK: Color = (24, 26, 30)
PAPER: Color = (250, 250, 250)

# Apart for every common color blindness (after Okabe and Ito); "missed" and "false" are dashed besides.
VERDICTS: dict[str, Color] = {
    "matched": (0, 196, 140),
    "confused": (255, 214, 40),
    "missed": (255, 138, 0),
    "false": (232, 70, 170),
    "ignored": IGNORED,
}


def class_color(index: int) -> Color:
    """The color of a class by its 0-based index; beyond the palette, hues in golden-ratio steps.

    Args:
        index: of the class, from 0.

    Returns:
        R, G, B from 0 to 255.
    """
    if 0 <= index < len(PALETTE):
        return PALETTE[index]
    hue = (0.13 + 0.618033988749895 * index) % 1.0
    lightness = (0.58, 0.68, 0.5)[index % 3]
    return _rgb(colorsys.hls_to_rgb(hue, lightness, 0.85))


def class_colors(names: Sequence[str], given: Sequence[Sequence[int]] | None = None) -> list[Color]:
    """One color a class, by name where the names are BDD100K's (a car is blue in COCO too), else by index.

    ``given`` (a catalog's ``thing_colors``, RGB) wins where it has one.

    Args:
        names: of the classes, in order.
        given: R, G, B by class, or None.

    Returns:
        R, G, B from 0 to 255, one a class.
    """
    fixed = [street_color(name) for name in names]
    usual = [class_color(i + len(PALETTE) if any(fixed) else i) for i in range(len(names))]
    chosen = [tuple(int(v) for v in color) for color in given or ()]
    return [chosen[i] if i < len(chosen) else fixed[i] or usual[i] for i in range(len(names))]


def street_color(name: str) -> Color | None:
    """The color of a BDD100K class under any of its spellings, None for other words.

    Args:
        name: a class in any spelling.

    Returns:
        R, G, B from 0 to 255, or None.
    """
    found = bdd_word(name)
    return PALETTE[BDD100K_DET.index(found[0])] if found is not None and not found[1] else None


def instance_color(index: int) -> Color:
    """The color of the ``index``-th instance of an image: neighbors in the list differ strongly."""
    hue = (0.58 + 0.618033988749895 * index) % 1.0
    lightness = (0.6, 0.72, 0.5, 0.66)[index % 4]
    return _rgb(colorsys.hls_to_rgb(hue, lightness, 0.9))


def contrast(color: Color) -> Color:
    """Ink or paper, whichever reads better on ``color`` (relative luminance, WCAG 2)."""
    red, green, blue = (_linear(v / 255) for v in color)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return INK if (luminance + 0.05) ** 2 > 0.05 * 1.05 else PAPER


def bgr(color: Color) -> Color:
    """The channel order of OpenCV's images.

    Args:
        color: R, G, B.

    Returns:
        B, G, R.
    """
    return color[2], color[1], color[0]


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _rgb(values: tuple[float, float, float]) -> Color:
    red, green, blue = (round(255 * v) for v in values)
    return red, green, blue
