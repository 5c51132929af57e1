"""Trains from the side and from the front."""

from __future__ import annotations

import itertools

import numpy as np

from bdd_inst.synthetic.pen import Contour, ellipse, rectangle
from bdd_inst.synthetic.shapes import (
    GLASS,
    Shape,
    paint_color,
    shade,
)


def train_side(rng: np.random.Generator) -> Shape:
    """A tram or train from the side: long cars with a livery stripe, bogies, a slanted nose."""
    half, h = rng.uniform(9, 12), rng.uniform(3.4, 3.9)
    color = paint_color(rng, 0.3) if rng.random() < 0.4 else (205.0, 208.0, 212.0)
    stripe = paint_color(rng, 1.0)
    body = (
        Contour()
        .line((-half, 0.25), (half - 1.2, 0.25))
        .curve((half - 0.3, 0.3), (half, 0.8), (half, 1.3))
        .curve((half - 0.1, h * 0.8), (half - 0.9, h), (half - 2.0, h))
        .line((-half, h))
    )
    parts = [
        (rectangle(-half, 0.25, half - 1.0, 0.7), (48, 48, 52)),
        (rectangle(-half, 0.95, half - 0.1, 1.35), stripe),
        (rectangle(-half, h * 0.88, half - 1.5, h), shade(color, 0.6)),
    ]
    edges = np.linspace(-half, half - 2.2, 12)
    parts += [
        (rectangle(a + 0.15, h * 0.48, b - 0.15, h * 0.78), GLASS)
        for a, b in itertools.pairwise(edges)
    ]
    parts += [
        (
            Contour().line(
                (half - 1.8, h * 0.48),
                (half - 0.12, h * 0.48),
                (half - 0.75, h * 0.85),
                (half - 1.8, h * 0.85),
            ),
            GLASS,
        )
    ]
    parts += [
        (rectangle(x, 0.25, x + 0.1, h * 0.9), (40, 40, 44)) for x in (-half * 0.36, half * 0.27)
    ]
    parts += [(ellipse(x, 0.4, 0.32), (30, 30, 32)) for x in np.linspace(-half + 1, half - 2.5, 6)]
    return Shape(
        [body], color=color, parts=parts, depth=0.0, lights=[(half - 0.3, 1.0, (240, 238, 215))]
    )


def train_end(rng: np.random.Generator) -> Shape:
    """A tram from ahead: one tall rounded face, one center lamp, a pantograph left off (labellers do)."""
    w, h = 1.3, rng.uniform(3.4, 3.8)
    color, stripe = (205.0, 208.0, 212.0), paint_color(rng, 1.0)
    body = (
        Contour()
        .line((-w * 0.85, 0.1), (w * 0.85, 0.1), (w, 0.7), (w, h * 0.6))
        .curve((w, h * 0.95), (w * 0.6, h), (0, h))
        .curve((-w * 0.6, h), (-w, h * 0.95), (-w, h * 0.6))
        .line((-w, 0.7))
    )
    parts = [
        (rectangle(-w * 0.85, 0.1, w * 0.85, 0.45), (48, 48, 52)),
        (rectangle(-w, 0.8, w, 1.25), stripe),
        (
            Contour().line(
                (-w * 0.75, h * 0.42),
                (w * 0.75, h * 0.42),
                (w * 0.6, h * 0.82),
                (-w * 0.6, h * 0.82),
            ),
            GLASS,
        ),
        (ellipse(0, h * 0.9, 0.14), (250, 245, 220)),
        (ellipse(-w * 0.6, 0.62, 0.12), (250, 245, 220)),
        (ellipse(w * 0.6, 0.62, 0.12), (250, 245, 220)),
    ]
    return Shape(
        [body],
        color=color,
        parts=parts,
        depth=rng.uniform(14, 20),
        lights=[
            (0, h * 0.9, (250, 245, 220)),
            (-w * 0.6, 0.62, (250, 245, 220)),
            (w * 0.6, 0.62, (250, 245, 220)),
        ],
    )
