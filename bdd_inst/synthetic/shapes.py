"""A shape: an outline to label and coloured parts to paint, in metres, x to the right, y up from the ground."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, field

import numpy as np

from bdd_inst.synthetic.pen import Contour, ellipse

Colour = tuple[float, float, float]
GLASS: Colour = (52, 62, 70)
TYRE: Colour = (26, 26, 28)
STEEL: Colour = (120, 124, 128)


@dataclass(slots=True)
class Shape:
    """One object seen from one side.

    ``outline`` holds one or more closed paths whose union is the object; ``parts`` are painted over it in order (path, RGB 0-255).
    ``depth`` in metres is how far the body runs away from the viewer (0 for a flat thing); ``lights`` are (x, y, RGB) that shine at night.
    """

    outline: list[Contour]
    colour: Colour
    parts: list[tuple[Contour, Colour]] = field(default_factory=list)
    depth: float = 0.0
    lights: list[tuple[float, float, Colour]] = field(default_factory=list)


def paint_colour(rng: np.random.Generator, vivid: float = 0.4) -> Colour:
    """A car-paint colour: mostly greys, sometimes vivid."""
    if rng.random() > vivid:
        grey = rng.choice([38, 70, 120, 165, 205, 232]) + rng.normal(0, 6)
        return (grey, grey + rng.normal(0, 4), grey + rng.normal(0, 5))
    r, g, b = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.5, 0.95), rng.uniform(0.35, 0.9))
    return (255 * r, 255 * g, 255 * b)


def shade(colour: Colour, factor: float) -> Colour:
    """The colour made darker (< 1) or lighter (> 1)."""
    return (
        min(255, colour[0] * factor),
        min(255, colour[1] * factor),
        min(255, colour[2] * factor),
    )


def wheel(x: float, radius: float) -> list[tuple[Contour, Colour]]:
    """Tyre and hub."""
    return [(ellipse(x, radius, radius), TYRE), (ellipse(x, radius, radius * 0.5), STEEL)]
