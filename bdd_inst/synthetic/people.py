"""Walkers, bicycles, motorcycles and the riders on them."""

from __future__ import annotations

import numpy as np

from bdd_inst.synthetic.pen import Contour, ellipse, rectangle
from bdd_inst.synthetic.shapes import (
    GLASS,
    STEEL,
    TIRE,
    Color,
    Shape,
    paint_color,
    shade,
)

Place = tuple[float, float]


def person(rng: np.random.Generator, height: float | None = None) -> Shape:
    """A walker: round head, shoulders, arms and two legs in stride."""
    h = rng.uniform(1.5, 1.9) if height is None else height
    s, stride = h / 1.75, rng.uniform(0.04, 0.32)
    skin = tuple(float(v) for v in np.array([224, 178, 150]) * rng.uniform(0.35, 1.0))
    shirt, trousers = paint_color(rng, 0.75), shade(paint_color(rng, 0.3), 0.6)
    swing = rng.uniform(0.0, 0.14)
    out = Contour().line(
        (-stride - 0.08, 0),
        (-stride + 0.12, 0),
        (0.0, 0.72),
        (stride - 0.1, 0),
        (stride + 0.13, 0),
        (stride + 0.08, 0.1),
        (0.19, 0.9),
        (0.2, 1.0),
    )
    out.line((0.24 + swing, 0.85), (0.32 + swing, 0.9)).curve(
        (0.36, 1.2), (0.32, 1.42), (0.18, 1.46)
    ).line((0.07, 1.5))
    out.curve((0.17, 1.6), (0.12, 1.75), (0, 1.75)).curve(
        (-0.12, 1.75), (-0.17, 1.6), (-0.07, 1.5)
    ).line((-0.18, 1.46))
    out.curve((-0.32, 1.42), (-0.36, 1.2), (-0.32 - swing, 0.9)).line(
        (-0.24 - swing, 0.85), (-0.2, 1.0), (-0.19, 0.9), (-stride - 0.05, 0.1)
    )
    parts = [
        (
            Contour().line(
                (-0.2, 0.95),
                (-stride - 0.08, 0.06),
                (-stride + 0.12, 0.06),
                (0, 0.74),
                (stride - 0.1, 0.06),
                (stride + 0.1, 0.06),
                (0.2, 0.95),
            ),
            trousers,
        ),
        (ellipse(0, 1.62, 0.115, 0.14), skin),
        (
            Contour().line((-0.11, 1.64)).curve((-0.13, 1.77), (0.13, 1.77), (0.11, 1.64)),
            tuple(float(v) for v in rng.uniform(15, 90, 3)),
        ),
        (ellipse(0.28 + swing, 0.89, 0.05), skin),
        (ellipse(-0.28 - swing, 0.89, 0.05), skin),
    ]
    if rng.random() < 0.3:
        parts.append((rectangle(-0.16, 1.0, 0.16, 1.4), paint_color(rng, 0.8)))
    return Shape(
        [o.mapped(s, s, 0, 0) for o in [out]], shirt, [(o.mapped(s, s, 0, 0), c) for o, c in parts]
    )


def bicycle_side(rng: np.random.Generator) -> Shape:
    """A bicycle from the side: two large wheels (labeled as discs, as annotators do) and a frame between them."""
    r, d = 0.34, 0.53
    color = paint_color(rng, 0.9)
    frame = Contour().line(
        (-d, r - 0.04),
        (-0.02, r - 0.06),
        (0.1, r - 0.04),
        (d - 0.13, 0.78),
        (d + 0.02, r),
        (d + 0.06, r + 0.02),
        (d - 0.08, 0.98),
        (d + 0.06, 1.06),
        (d - 0.16, 1.06),
        (d - 0.15, 0.86),
        (-0.1, 0.84),
        (-0.12, 0.94),
        (0, 0.98),
        (-0.28, 0.98),
        (-0.2, 0.9),
        (-0.2, 0.8),
        (-d, r + 0.04),
    )
    parts: list[tuple[Contour, Color]] = []
    for x in (-d, d):
        parts += [
            (ellipse(x, r, r), TIRE),
            (ellipse(x, r, r * 0.84), (128, 130, 132)),
            (ellipse(x, r, 0.05), STEEL),
        ]
    parts += [
        (frame, color),
        (Contour().line((-0.16, 0.74), (-0.02, r), (d - 0.16, 0.76)), (96, 98, 100)),
        (ellipse(0.0, r - 0.02, 0.1), STEEL),
    ]
    return Shape([ellipse(-d, r, r), ellipse(d, r, r), frame], color, parts)


def motorcycle_side(rng: np.random.Generator) -> Shape:
    """A motorcycle from the side: fat wheels, engine, tank, seat, exhaust."""
    r, d = 0.31, 0.68
    color = paint_color(rng, 0.95)
    body = Contour().line(
        (-d - 0.25, r + 0.28),
        (-d + 0.1, r - 0.05),
        (-0.15, 0.16),
        (0.25, 0.16),
        (d - 0.28, 0.5),
        (d - 0.02, r),
        (d + 0.08, r),
        (d - 0.15, 0.85),
        (d - 0.1, 1.08),
        (d - 0.3, 1.1),
        (d - 0.32, 0.95),
    )
    body.curve((0.3, 1.0), (0.12, 0.98), (0.0, 0.8)).line((-0.45, 0.78)).curve(
        (-0.65, 0.82), (-0.8, 0.9), (-d - 0.25, r + 0.36)
    )
    parts: list[tuple[Contour, Color]] = []
    for x in (-d, d):
        parts += [
            (ellipse(x, r, r), TIRE),
            (ellipse(x, r, r * 0.55), STEEL),
            (ellipse(x, r, r * 0.2), (50, 50, 52)),
        ]
    parts += [
        (body, shade(color, 0.8)),
        (rectangle(-0.2, 0.18, 0.26, 0.55), (70, 72, 75)),
        (
            Contour()
            .line((0.0, 0.62), (0.4, 0.66), (0.36, 0.94))
            .curve((0.2, 1.0), (0.1, 0.95), (0.0, 0.8)),
            color,
        ),
        (Contour().line((-0.75, 0.78), (0.0, 0.7), (0.02, 0.8), (-0.7, 0.86)), (28, 28, 30)),
        (rectangle(-d - 0.1, 0.2, -0.1, 0.3), (190, 192, 196)),
        (ellipse(d - 0.1, 0.9, 0.08), (245, 240, 215)),
    ]
    return Shape(
        [ellipse(-d, r, r), ellipse(d, r, r), body],
        color=color,
        parts=parts,
        depth=0.0,
        lights=[(d - 0.05, 0.9, (245, 240, 215))],
    )


def rider_outline(seat: Place, hand: Place, foot: Place, shoulder: Place, head: Place) -> Contour:
    """The silhouette of a rider whose joints are at these x, y (meters, y up)."""
    sx, sy = seat
    out = Contour().line(
        (foot[0] - 0.1, foot[1] - 0.06),
        (foot[0] + 0.16, foot[1] - 0.06),
        (foot[0] + 0.16, foot[1] + 0.02),
        (foot[0] + 0.06, foot[1] + 0.06),
        (sx + 0.44, sy - 0.22),
        (sx + 0.42, sy - 0.06),
        (sx + 0.17, sy + 0.1),
    )
    out.line(
        (shoulder[0] + 0.02, shoulder[1] - 0.24),
        (hand[0], hand[1] - 0.02),
        (hand[0] + 0.05, hand[1] + 0.05),
        (shoulder[0] + 0.12, shoulder[1] - 0.03),
        (head[0] + 0.02, head[1] - 0.13),
    )
    out.curve(
        (head[0] + 0.2, head[1] - 0.08), (head[0] + 0.16, head[1] + 0.16), (head[0], head[1] + 0.15)
    ).curve(
        (head[0] - 0.18, head[1] + 0.15),
        (head[0] - 0.17, head[1] - 0.1),
        (head[0] - 0.09, head[1] - 0.11),
    )
    out.line((shoulder[0] - 0.09, shoulder[1] + 0.03)).curve(
        (sx - 0.08, sy + 0.5), (sx - 0.17, sy + 0.3), (sx - 0.14, sy - 0.04)
    ).line((sx + 0.2, sy - 0.13), (foot[0] - 0.06, foot[1] + 0.05))
    return out


def rider_side(rng: np.random.Generator, motor: bool) -> Shape:
    """A rider from the side, leaning to the bars; sits where the saddle of the two-wheeler is."""
    seat = (-0.22, 0.8) if motor else (-0.14, 0.96)
    hand = (0.36, 1.02) if motor else (0.4, 1.06)
    foot = (0.1, 0.3) if motor else (0.06, rng.uniform(0.16, 0.4))
    sx, sy = seat
    lean = rng.uniform(0.12, 0.3)
    shoulder = (sx + lean, sy + 0.56)
    head = (shoulder[0] + 0.09, shoulder[1] + 0.2)
    out = rider_outline(seat, hand, foot=foot, shoulder=shoulder, head=head)
    skin = tuple(float(v) for v in np.array([224, 178, 150]) * rng.uniform(0.4, 1.0))
    helmet, trousers = paint_color(rng, 0.8), shade(paint_color(rng, 0.3), 0.55)
    parts = [
        (
            Contour().line(
                (sx - 0.14, sy - 0.06),
                (sx + 0.2, sy + 0.12),
                (sx + 0.44, sy - 0.04),
                (sx + 0.44, sy - 0.22),
                (foot[0] + 0.16, foot[1] - 0.06),
                (foot[0] - 0.1, foot[1] - 0.06),
                (sx + 0.2, sy - 0.13),
            ),
            trousers,
        ),
        (ellipse(head[0], head[1], 0.12, 0.14), skin),
        (
            Contour()
            .line((head[0] - 0.15, head[1]))
            .curve(
                (head[0] - 0.16, head[1] + 0.2),
                (head[0] + 0.15, head[1] + 0.2),
                (head[0] + 0.13, head[1] + 0.02),
            ),
            helmet,
        ),
        (ellipse(hand[0] + 0.01, hand[1] + 0.01, 0.05), skin),
    ]
    if motor:
        parts[2] = (ellipse(head[0], head[1] + 0.01, 0.15, 0.145), helmet)
        parts.insert(
            3, (rectangle(head[0] + 0.02, head[1] - 0.03, head[0] + 0.15, head[1] + 0.06), GLASS)
        )
    return Shape([out], paint_color(rng, 0.8), parts)


def two_wheeler_end(rng: np.random.Generator, motor: bool) -> Shape:
    """A bicycle or motorcycle from ahead or behind: one narrow upright wheel, fork, bars."""
    r, w = (0.31, 0.09) if motor else (0.34, 0.045)
    bar, top = (0.36, 1.05) if motor else (0.29, 1.05)
    color = paint_color(rng, 0.9)
    out = Contour().line((w, r)).arc((0, r), w, ry=r, start=0, quarters=-2).line((-w - 0.02, 0.7))
    if motor:
        out.line((-0.2, 0.62), (-0.17, 0.92))
    out.line(
        (-bar, top - 0.06),
        (-bar, top + 0.02),
        (-0.05, top),
        (0.05, top),
        (bar, top + 0.02),
        (bar, top - 0.06),
    )
    if motor:
        out.line((0.17, 0.92), (0.2, 0.62))
    out.line((w + 0.02, 0.7))
    parts = [(ellipse(0, r, w, r), TIRE), (rectangle(-w - 0.01, r * 1.6, w + 0.01, 0.7), color)]
    lamp = (0.0, 0.84, (245.0, 240.0, 215.0) if rng.random() < 0.6 else (200.0, 26.0, 20.0))
    if motor:
        parts += [
            (Contour().line((-0.19, 0.62), (0.19, 0.62), (0.16, 0.95), (-0.16, 0.95)), color),
            (ellipse(0, 0.84, 0.09), lamp[2]),
        ]
    return Shape(
        [out],
        color=shade(color, 0.5) if motor else (70, 70, 74),
        parts=parts,
        depth=0.0,
        lights=[lamp] if motor else [],
    )


def rider_end(rng: np.random.Generator, motor: bool) -> Shape:
    """A rider from ahead or behind: seated, arms to the bars, knees out."""
    seat = 0.78 if motor else 0.92
    s = seat
    out = Contour().line(
        (-0.24, 0.32),
        (-0.1, 0.3),
        (-0.1, s - 0.08),
        (0.1, s - 0.08),
        (0.1, 0.3),
        (0.24, 0.32),
        (0.27, s - 0.12),
        (0.17, s + 0.04),
        (0.2, s + 0.22),
        (0.33, s + 0.2),
        (0.38, s + 0.27),
    )
    out.curve((0.4, s + 0.5), (0.32, s + 0.6), (0.18, s + 0.62)).line((0.08, s + 0.66)).curve(
        (0.2, s + 0.78), (0.15, s + 0.95), (0, s + 0.95)
    )
    out.curve((-0.15, s + 0.95), (-0.2, s + 0.78), (-0.08, s + 0.66)).line((-0.18, s + 0.62)).curve(
        (-0.32, s + 0.6), (-0.4, s + 0.5), (-0.38, s + 0.27)
    ).line((-0.33, s + 0.2), (-0.2, s + 0.22), (-0.17, s + 0.04), (-0.27, s - 0.12))
    skin = tuple(float(v) for v in np.array([224, 178, 150]) * rng.uniform(0.4, 1.0))
    trousers = shade(paint_color(rng, 0.3), 0.55)
    parts = [
        (
            Contour().line(
                (-0.24, 0.32), (-0.1, 0.3), (-0.1, s), (-0.2, s + 0.02), (-0.27, s - 0.12)
            ),
            trousers,
        ),
        (
            Contour().line((0.24, 0.32), (0.1, 0.3), (0.1, s), (0.2, s + 0.02), (0.27, s - 0.12)),
            trousers,
        ),
        (ellipse(0, s + 0.8, 0.11, 0.13), skin),
        (
            Contour()
            .line((-0.14, s + 0.82))
            .curve((-0.15, s + 1.0), (0.15, s + 1.0), (0.14, s + 0.82)),
            paint_color(rng, 0.8),
        ),
    ]
    return Shape([out], paint_color(rng, 0.8), parts)
