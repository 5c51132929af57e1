"""Cars, trucks and buses, from the side and from their ends."""

from __future__ import annotations

import itertools

import numpy as np

from bdd_inst.synthetic.pen import Contour, rectangle
from bdd_inst.synthetic.shapes import (
    GLASS,
    TIRE,
    Color,
    Shape,
    paint_color,
    shade,
    wheel,
)


def car_end(rng: np.random.Generator, rear: bool) -> Shape:
    """A car from behind or ahead: curved shoulders, window, lamps, plate."""
    w, h = rng.uniform(0.84, 0.95), rng.uniform(1.4, 1.75)
    color = paint_color(rng)
    roof = w * rng.uniform(0.58, 0.74)
    body = Contour().line(
        (-w * 0.95, 0),
        (-w * 0.66, 0),
        (-w * 0.62, 0.22),
        (w * 0.62, 0.22),
        (w * 0.66, 0),
        (w * 0.95, 0),
        (w, 0.45),
        (w, h * 0.55),
    )
    body.curve((w * 0.98, h * 0.66), (w * 0.88, h * 0.64), (roof + 0.06, h * 0.93)).curve(
        (roof, h), (roof * 0.6, h), (0, h)
    )
    body.curve((-roof * 0.6, h), (-roof, h), (-roof - 0.06, h * 0.93)).curve(
        (-w * 0.88, h * 0.64), (-w * 0.98, h * 0.66), (-w, h * 0.55)
    )
    body.line((-w, 0.45))
    lamp: Color = (190, 24, 20) if rear else (240, 238, 215)
    y = h * (0.5 if rear else 0.42)
    parts = [
        (rectangle(-w * 0.95, 0, -w * 0.66, 0.3), TIRE),
        (rectangle(w * 0.66, 0, w * 0.95, 0.3), TIRE),
        (rectangle(-w * 0.97, 0.22, w * 0.97, 0.42), shade(color, 0.6)),
        (
            Contour().line(
                (-w * 0.8, h * 0.6), (w * 0.8, h * 0.6), (roof, h * 0.92), (-roof, h * 0.92)
            ),
            GLASS,
        ),
        (rectangle(-w * 0.97, y - 0.09, -w * 0.66, y + 0.09), lamp),
        (rectangle(w * 0.66, y - 0.09, w * 0.97, y + 0.09), lamp),
        (
            rectangle(-0.25, h * 0.36, 0.25, h * 0.44),
            (225, 225, 220) if rear else shade(color, 0.35),
        ),
    ]
    return Shape(
        [body],
        color=color,
        parts=parts,
        depth=rng.uniform(3.6, 4.6),
        lights=[(-w * 0.8, y, lamp), (w * 0.8, y, lamp)],
    )


def car_side(rng: np.random.Generator) -> Shape:
    """A car from the side: hatchback or saloon, round wheel bottoms."""
    half, h, r = rng.uniform(1.95, 2.3), rng.uniform(1.4, 1.6), 0.33
    back = rng.uniform(0.55, 0.95)
    front, rear = half * 0.62, -half * 0.62
    color = paint_color(rng)
    body = (
        Contour()
        .line((-half, 0.3), (rear - r, 0.25))
        .arc((rear, r), r, ry=r, start=2, quarters=2)
        .line((front - r, 0.25))
        .arc((front, r), r, ry=r, start=2, quarters=2)
    )
    body.line((half, 0.32)).curve(
        (half + 0.06, 0.6), (half - 0.02, 0.75), (half - 0.15, 0.8)
    ).curve((half * 0.75, 0.9), (half * 0.6, 0.95), (half * 0.48, 0.97))
    body.curve((half * 0.35, h * 0.85), (half * 0.2, h), (-0.1, h)).curve(
        (-half * 0.4, h), (-half * back * 0.8, h * 0.97), (-half * back, 0.95)
    ).line((-half, 0.88))
    parts = [
        (
            Contour().line(
                (half * 0.42, 0.95), (half * 0.13, h * 0.92), (0.02, h * 0.93), (0.02, 0.95)
            ),
            GLASS,
        ),
        (
            Contour().line(
                (-0.06, 0.95),
                (-0.06, h * 0.93),
                (-half * back * 0.68, h * 0.88),
                (-half * back * 0.86, 0.97),
            ),
            GLASS,
        ),
        (rectangle(-half, 0.25, half, 0.36), shade(color, 0.55)),
        (rectangle(half - 0.28, 0.62, half - 0.03, 0.74), (240, 238, 215)),
        (rectangle(-half, 0.66, -half + 0.16, 0.82), (190, 24, 20)),
        *wheel(front, r),
        *wheel(rear, r),
    ]
    return Shape(
        [body], color=color, parts=parts, depth=0.0, lights=[(half - 0.1, 0.68, (240, 238, 215))]
    )


def truck_end(rng: np.random.Generator, rear: bool) -> Shape:
    """A lorry from behind (doors of the box) or ahead (cab below the box)."""
    w, h = rng.uniform(1.15, 1.25), rng.uniform(3.0, 3.6)
    box, cab = paint_color(rng, 0.25), paint_color(rng, 0.8)
    body = Contour().line(
        (-w * 0.9, 0),
        (-w * 0.5, 0),
        (-w * 0.5, 0.55),
        (w * 0.5, 0.55),
        (w * 0.5, 0),
        (w * 0.9, 0),
        (w * 0.9, 0.55),
        (w, 0.6),
        (w, h),
        (-w, h),
        (-w, 0.6),
        (-w * 0.9, 0.55),
    )
    parts = [
        (rectangle(-w * 0.9, 0, -w * 0.5, 0.6), TIRE),
        (rectangle(w * 0.5, 0, w * 0.9, 0.6), TIRE),
        (rectangle(-w, 0.5, w, 0.85), (60, 60, 62)),
    ]
    if rear:
        parts += [
            (rectangle(-0.03, 0.9, 0.03, h * 0.97), shade(box, 0.5)),
            (rectangle(-w * 0.95, 0.6, -w * 0.7, 0.8), (190, 24, 20)),
            (rectangle(w * 0.7, 0.6, w * 0.95, 0.8), (190, 24, 20)),
        ]
        lamps = [(-w * 0.8, 0.7, (190.0, 24.0, 20.0)), (w * 0.8, 0.7, (190.0, 24.0, 20.0))]
    else:
        parts += [
            (rectangle(-w * 0.98, 0.55, w * 0.98, h * 0.74), cab),
            (rectangle(-w * 0.88, h * 0.42, w * 0.88, h * 0.68), GLASS),
            (rectangle(-w * 0.5, 0.8, w * 0.5, h * 0.36), shade(cab, 0.4)),
        ]
        parts += [
            (rectangle(-w * 0.95, 0.65, -w * 0.62, 0.9), (240, 238, 215)),
            (rectangle(w * 0.62, 0.65, w * 0.95, 0.9), (240, 238, 215)),
        ]
        lamps = [(-w * 0.8, 0.78, (240.0, 238.0, 215.0)), (w * 0.8, 0.78, (240.0, 238.0, 215.0))]
    return Shape([body], color=box, parts=parts, depth=rng.uniform(5, 8), lights=lamps)


def truck_side(rng: np.random.Generator) -> Shape:
    """A lorry from the side: cab, gap, box, three wheels."""
    half, h, r = rng.uniform(3.4, 4.2), rng.uniform(3.0, 3.5), 0.48
    box, cab = paint_color(rng, 0.25), paint_color(rng, 0.8)
    wheels = (-half * 0.72, -half * 0.72 + 2.2 * r, half * 0.72)
    body = Contour().line((-half, 0.7), (-half + 0.1, 0.45))
    for x in wheels:
        body.line((x - r, 0.45)).arc((x, r), r, ry=r, start=2, quarters=2)
    body.line((half, 0.45), (half, 1.35)).curve(
        (half - 0.02, 1.8), (half - 0.2, 2.3), (half - 0.45, h * 0.8)
    ).line((half - 1.7, h * 0.8), (half - 1.7, h), (-half, h))
    parts = [
        (rectangle(-half, 0.45, half, 0.85), (58, 58, 60)),
        (
            Contour().line(
                (half - 1.62, 0.5),
                (half, 0.5),
                (half, 1.35),
                (half - 0.45, h * 0.8),
                (half - 1.62, h * 0.8),
            ),
            cab,
        ),
        (
            Contour().line(
                (half - 1.1, 1.4),
                (half - 0.12, 1.4),
                (half - 0.5, h * 0.74),
                (half - 1.1, h * 0.74),
            ),
            GLASS,
        ),
        (rectangle(half - 1.72, 0.85, half - 1.6, h * 0.8), (30, 30, 30)),
        (rectangle(-half * 0.8, h * 0.45, half * 0.2, h * 0.7), paint_color(rng, 0.9)),
    ]
    for x in wheels:
        parts += wheel(x, r)
    return Shape(
        [body], color=box, parts=parts, depth=0.0, lights=[(half - 0.05, 0.8, (240, 238, 215))]
    )


def bus_end(rng: np.random.Generator, rear: bool) -> Shape:
    """A bus from ahead or behind: wide window, rounded roof, destination sign."""
    w, h = 1.27, rng.uniform(2.9, 3.2)
    color = paint_color(rng, 0.95)
    body = Contour().line(
        (-w * 0.9, 0),
        (-w * 0.6, 0),
        (-w * 0.6, 0.3),
        (w * 0.6, 0.3),
        (w * 0.6, 0),
        (w * 0.9, 0),
        (w * 0.92, 0.3),
        (w, 0.5),
        (w, h - 0.3),
    )
    body.curve((w, h), (w * 0.9, h), (w * 0.6, h)).line((-w * 0.6, h)).curve(
        (-w * 0.9, h), (-w, h), (-w, h - 0.3)
    ).line((-w, 0.5), (-w * 0.92, 0.3))
    lamp: Color = (200, 28, 22) if rear else (240, 238, 215)
    parts = [
        (rectangle(-w * 0.9, 0, -w * 0.6, 0.35), TIRE),
        (rectangle(w * 0.6, 0, w * 0.9, 0.35), TIRE),
        (rectangle(-w * 0.9, h * (0.55 if rear else 0.36), w * 0.9, h * 0.8), GLASS),
        (rectangle(-w * 0.7, h * 0.85, w * 0.7, h * 0.95), (30, 28, 26)),
        (rectangle(-w * 0.45, h * 0.87, w * 0.45, h * 0.93), (245, 175, 40)),
        (rectangle(-w * 0.92, 0.55, -w * 0.68, 0.8), lamp),
        (rectangle(w * 0.68, 0.55, w * 0.92, 0.8), lamp),
    ]
    return Shape(
        [body],
        color=color,
        parts=parts,
        depth=rng.uniform(8, 11),
        lights=[(-w * 0.8, 0.68, lamp), (w * 0.8, 0.68, lamp), (0, h * 0.9, (245, 175, 40))],
    )


def bus_side(rng: np.random.Generator) -> Shape:
    """A bus from the side: a row of windows, doors, two wheels."""
    half, h, r = rng.uniform(4.6, 5.8), rng.uniform(2.9, 3.2), 0.47
    color = paint_color(rng, 0.95)
    front, rear = half * 0.6, -half * 0.55
    body = (
        Contour()
        .line((-half, 0.4), (rear - r, 0.32))
        .arc((rear, r), r, ry=r, start=2, quarters=2)
        .line((front - r, 0.32))
        .arc((front, r), r, ry=r, start=2, quarters=2)
    )
    body.line((half, 0.35), (half, h - 0.35)).curve(
        (half, h - 0.1), (half - 0.1, h), (half - 0.35, h)
    ).line((-half + 0.3, h)).curve((-half + 0.1, h), (-half, h - 0.1), (-half, h - 0.3))
    parts = [
        (rectangle(-half * 0.97, h * 0.45, half * 0.98, h * 0.8), shade(color, 0.45)),
        (rectangle(-half, 0.75, half, 1.0), shade(color, 1.5)),
    ]
    count = int(rng.integers(6, 9))
    edges = np.linspace(-half * 0.95, half * 0.96, count + 1)
    parts += [
        (rectangle(a + 0.1, h * 0.47, b - 0.1, h * 0.78), GLASS)
        for a, b in itertools.pairwise(edges)
    ]
    parts += [
        (rectangle(x, 0.4, x + 1.0, h * 0.78), shade(GLASS, 0.8))
        for x in (half * 0.8 - 0.3, -half * 0.05)
    ]
    parts += wheel(front, r) + wheel(rear, r)
    return Shape(
        [body], color=color, parts=parts, depth=0.0, lights=[(half - 0.05, 0.7, (240, 238, 215))]
    )
