"""A shape: an outline to label and colored parts to paint, in meters, x to the right, y up from the ground."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, field

import numpy as np

from bdd_inst.synthetic.pen import Contour, ellipse

Color = tuple[float, float, float]
GLASS: Color = (52, 62, 70)
TIRE: Color = (26, 26, 28)
STEEL: Color = (120, 124, 128)


@dataclass(slots=True)
class Shape:
    """One object seen from one side.

    ``outline`` holds one or more closed paths whose union is the object; ``parts`` are painted over it in order (path, RGB 0-255).
    ``depth`` in meters is how far the body runs away from the viewer (0 for a flat thing); ``lights`` are (x, y, RGB) that shine at night.
    """

    outline: list[Contour]
    color: Color
    parts: list[tuple[Contour, Color]] = field(default_factory=list)
    depth: float = 0.0
    lights: list[tuple[float, float, Color]] = field(default_factory=list)


def paint_color(rng: np.random.Generator, vivid: float = 0.4) -> Color:
    """A car-paint color: mostly grays, sometimes vivid."""
    if rng.random() > vivid:
        gray = rng.choice([38, 70, 120, 165, 205, 232]) + rng.normal(0, 6)
        return (gray, gray + rng.normal(0, 4), gray + rng.normal(0, 5))
    r, g, b = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.5, 0.95), rng.uniform(0.35, 0.9))
    return (255 * r, 255 * g, 255 * b)


def shade(color: Color, factor: float) -> Color:
    """The color made darker (< 1) or lighter (> 1)."""
    return (
        min(255, color[0] * factor),
        min(255, color[1] * factor),
        min(255, color[2] * factor),
    )


def wheel(x: float, radius: float) -> list[tuple[Contour, Color]]:
    """Tire and hub."""
    return [(ellipse(x, radius, radius), TIRE), (ellipse(x, radius, radius * 0.5), STEEL)]
