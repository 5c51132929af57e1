"""What each class looks like: an outline to label and coloured parts to paint, in metres, x to the right, y up from the ground."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, field

import numpy as np

from bdd_inst.datasets.synthetic.pen import Outline, ellipse, rectangle

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

    outline: list[Outline]
    colour: Colour
    parts: list[tuple[Outline, Colour]] = field(default_factory=list)
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
    return (min(255, colour[0] * factor), min(255, colour[1] * factor), min(255, colour[2] * factor))


def wheel(x: float, radius: float) -> list[tuple[Outline, Colour]]:
    """Tyre and hub."""
    return [(ellipse(x, radius, radius), TYRE), (ellipse(x, radius, radius * 0.5), STEEL)]


def car_end(rng: np.random.Generator, rear: bool) -> Shape:
    """A car from behind or ahead: curved shoulders, window, lamps, plate."""
    w, h = rng.uniform(0.84, 0.95), rng.uniform(1.4, 1.75)
    colour = paint_colour(rng)
    roof = w * rng.uniform(0.58, 0.74)
    body = Outline().line((-w * 0.95, 0), (-w * 0.66, 0), (-w * 0.62, 0.22), (w * 0.62, 0.22), (w * 0.66, 0), (w * 0.95, 0), (w, 0.45), (w, h * 0.55))
    body.curve((w * 0.98, h * 0.66), (w * 0.88, h * 0.64), (roof + 0.06, h * 0.93)).curve((roof, h), (roof * 0.6, h), (0, h))
    body.curve((-roof * 0.6, h), (-roof, h), (-roof - 0.06, h * 0.93)).curve((-w * 0.88, h * 0.64), (-w * 0.98, h * 0.66), (-w, h * 0.55))
    body.line((-w, 0.45))
    lamp: Colour = (190, 24, 20) if rear else (240, 238, 215)
    y = h * (0.5 if rear else 0.42)
    parts = [
        (rectangle(-w * 0.95, 0, -w * 0.66, 0.3), TYRE),
        (rectangle(w * 0.66, 0, w * 0.95, 0.3), TYRE),
        (rectangle(-w * 0.97, 0.22, w * 0.97, 0.42), shade(colour, 0.6)),
        (Outline().line((-w * 0.8, h * 0.6), (w * 0.8, h * 0.6), (roof, h * 0.92), (-roof, h * 0.92)), GLASS),
        (rectangle(-w * 0.97, y - 0.09, -w * 0.66, y + 0.09), lamp),
        (rectangle(w * 0.66, y - 0.09, w * 0.97, y + 0.09), lamp),
        (rectangle(-0.25, h * 0.36, 0.25, h * 0.44), (225, 225, 220) if rear else shade(colour, 0.35)),
    ]
    return Shape([body], colour, parts, rng.uniform(3.6, 4.6), [(-w * 0.8, y, lamp), (w * 0.8, y, lamp)])


def car_side(rng: np.random.Generator) -> Shape:
    """A car from the side: hatchback or saloon, round wheel bottoms."""
    half, h, r = rng.uniform(1.95, 2.3), rng.uniform(1.4, 1.6), 0.33
    back = rng.uniform(0.55, 0.95)
    front, rear = half * 0.62, -half * 0.62
    colour = paint_colour(rng)
    body = Outline().line((-half, 0.3), (rear - r, 0.25)).arc((rear, r), r, r, 2, 2).line((front - r, 0.25)).arc((front, r), r, r, 2, 2)
    body.line((half, 0.32)).curve((half + 0.06, 0.6), (half - 0.02, 0.75), (half - 0.15, 0.8)).curve((half * 0.75, 0.9), (half * 0.6, 0.95), (half * 0.48, 0.97))
    body.curve((half * 0.35, h * 0.85), (half * 0.2, h), (-0.1, h)).curve((-half * 0.4, h), (-half * back * 0.8, h * 0.97), (-half * back, 0.95)).line((-half, 0.88))
    parts = [
        (Outline().line((half * 0.42, 0.95), (half * 0.13, h * 0.92), (0.02, h * 0.93), (0.02, 0.95)), GLASS),
        (Outline().line((-0.06, 0.95), (-0.06, h * 0.93), (-half * back * 0.68, h * 0.88), (-half * back * 0.86, 0.97)), GLASS),
        (rectangle(-half, 0.25, half, 0.36), shade(colour, 0.55)),
        (rectangle(half - 0.28, 0.62, half - 0.03, 0.74), (240, 238, 215)),
        (rectangle(-half, 0.66, -half + 0.16, 0.82), (190, 24, 20)),
        *wheel(front, r),
        *wheel(rear, r),
    ]
    return Shape([body], colour, parts, 0.0, [(half - 0.1, 0.68, (240, 238, 215))])


def truck_end(rng: np.random.Generator, rear: bool) -> Shape:
    """A lorry from behind (doors of the box) or ahead (cab below the box)."""
    w, h = rng.uniform(1.15, 1.25), rng.uniform(3.0, 3.6)
    box, cab = paint_colour(rng, 0.25), paint_colour(rng, 0.8)
    body = Outline().line((-w * 0.9, 0), (-w * 0.5, 0), (-w * 0.5, 0.55), (w * 0.5, 0.55), (w * 0.5, 0), (w * 0.9, 0), (w * 0.9, 0.55), (w, 0.6), (w, h), (-w, h), (-w, 0.6), (-w * 0.9, 0.55))
    parts = [(rectangle(-w * 0.9, 0, -w * 0.5, 0.6), TYRE), (rectangle(w * 0.5, 0, w * 0.9, 0.6), TYRE), (rectangle(-w, 0.5, w, 0.85), (60, 60, 62))]
    if rear:
        parts += [(rectangle(-0.03, 0.9, 0.03, h * 0.97), shade(box, 0.5)), (rectangle(-w * 0.95, 0.6, -w * 0.7, 0.8), (190, 24, 20)), (rectangle(w * 0.7, 0.6, w * 0.95, 0.8), (190, 24, 20))]
        lamps = [(-w * 0.8, 0.7, (190.0, 24.0, 20.0)), (w * 0.8, 0.7, (190.0, 24.0, 20.0))]
    else:
        parts += [(rectangle(-w * 0.98, 0.55, w * 0.98, h * 0.74), cab), (rectangle(-w * 0.88, h * 0.42, w * 0.88, h * 0.68), GLASS), (rectangle(-w * 0.5, 0.8, w * 0.5, h * 0.36), shade(cab, 0.4))]
        parts += [(rectangle(-w * 0.95, 0.65, -w * 0.62, 0.9), (240, 238, 215)), (rectangle(w * 0.62, 0.65, w * 0.95, 0.9), (240, 238, 215))]
        lamps = [(-w * 0.8, 0.78, (240.0, 238.0, 215.0)), (w * 0.8, 0.78, (240.0, 238.0, 215.0))]
    return Shape([body], box, parts, rng.uniform(5, 8), lamps)


def truck_side(rng: np.random.Generator) -> Shape:
    """A lorry from the side: cab, gap, box, three wheels."""
    half, h, r = rng.uniform(3.4, 4.2), rng.uniform(3.0, 3.5), 0.48
    box, cab = paint_colour(rng, 0.25), paint_colour(rng, 0.8)
    wheels = (-half * 0.72, -half * 0.72 + 2.2 * r, half * 0.72)
    body = Outline().line((-half, 0.7), (-half + 0.1, 0.45))
    for x in wheels:
        body.line((x - r, 0.45)).arc((x, r), r, r, 2, 2)
    body.line((half, 0.45), (half, 1.35)).curve((half - 0.02, 1.8), (half - 0.2, 2.3), (half - 0.45, h * 0.8)).line((half - 1.7, h * 0.8), (half - 1.7, h), (-half, h))
    parts = [
        (rectangle(-half, 0.45, half, 0.85), (58, 58, 60)),
        (Outline().line((half - 1.62, 0.5), (half, 0.5), (half, 1.35), (half - 0.45, h * 0.8), (half - 1.62, h * 0.8)), cab),
        (Outline().line((half - 1.1, 1.4), (half - 0.12, 1.4), (half - 0.5, h * 0.74), (half - 1.1, h * 0.74)), GLASS),
        (rectangle(half - 1.72, 0.85, half - 1.6, h * 0.8), (30, 30, 30)),
        (rectangle(-half * 0.8, h * 0.45, half * 0.2, h * 0.7), paint_colour(rng, 0.9)),
    ]
    for x in wheels:
        parts += wheel(x, r)
    return Shape([body], box, parts, 0.0, [(half - 0.05, 0.8, (240, 238, 215))])


def bus_end(rng: np.random.Generator, rear: bool) -> Shape:
    """A bus from ahead or behind: wide window, rounded roof, destination sign."""
    w, h = 1.27, rng.uniform(2.9, 3.2)
    colour = paint_colour(rng, 0.95)
    body = Outline().line((-w * 0.9, 0), (-w * 0.6, 0), (-w * 0.6, 0.3), (w * 0.6, 0.3), (w * 0.6, 0), (w * 0.9, 0), (w * 0.92, 0.3), (w, 0.5), (w, h - 0.3))
    body.curve((w, h), (w * 0.9, h), (w * 0.6, h)).line((-w * 0.6, h)).curve((-w * 0.9, h), (-w, h), (-w, h - 0.3)).line((-w, 0.5), (-w * 0.92, 0.3))
    lamp: Colour = (200, 28, 22) if rear else (240, 238, 215)
    parts = [
        (rectangle(-w * 0.9, 0, -w * 0.6, 0.35), TYRE),
        (rectangle(w * 0.6, 0, w * 0.9, 0.35), TYRE),
        (rectangle(-w * 0.9, h * (0.55 if rear else 0.36), w * 0.9, h * 0.8), GLASS),
        (rectangle(-w * 0.7, h * 0.85, w * 0.7, h * 0.95), (30, 28, 26)),
        (rectangle(-w * 0.45, h * 0.87, w * 0.45, h * 0.93), (245, 175, 40)),
        (rectangle(-w * 0.92, 0.55, -w * 0.68, 0.8), lamp),
        (rectangle(w * 0.68, 0.55, w * 0.92, 0.8), lamp),
    ]
    return Shape([body], colour, parts, rng.uniform(8, 11), [(-w * 0.8, 0.68, lamp), (w * 0.8, 0.68, lamp), (0, h * 0.9, (245, 175, 40))])


def bus_side(rng: np.random.Generator) -> Shape:
    """A bus from the side: a row of windows, doors, two wheels."""
    half, h, r = rng.uniform(4.6, 5.8), rng.uniform(2.9, 3.2), 0.47
    colour = paint_colour(rng, 0.95)
    front, rear = half * 0.6, -half * 0.55
    body = Outline().line((-half, 0.4), (rear - r, 0.32)).arc((rear, r), r, r, 2, 2).line((front - r, 0.32)).arc((front, r), r, r, 2, 2)
    body.line((half, 0.35), (half, h - 0.35)).curve((half, h - 0.1), (half - 0.1, h), (half - 0.35, h)).line((-half + 0.3, h)).curve((-half + 0.1, h), (-half, h - 0.1), (-half, h - 0.3))
    parts = [(rectangle(-half * 0.97, h * 0.45, half * 0.98, h * 0.8), shade(colour, 0.45)), (rectangle(-half, 0.75, half, 1.0), shade(colour, 1.5))]
    count = int(rng.integers(6, 9))
    edges = np.linspace(-half * 0.95, half * 0.96, count + 1)
    parts += [(rectangle(a + 0.1, h * 0.47, b - 0.1, h * 0.78), GLASS) for a, b in zip(edges[:-1], edges[1:])]
    parts += [(rectangle(x, 0.4, x + 1.0, h * 0.78), shade(GLASS, 0.8)) for x in (half * 0.8 - 0.3, -half * 0.05)]
    parts += wheel(front, r) + wheel(rear, r)
    return Shape([body], colour, parts, 0.0, [(half - 0.05, 0.7, (240, 238, 215))])


def train_side(rng: np.random.Generator) -> Shape:
    """A tram or train from the side: long cars with a livery stripe, bogies, a slanted nose."""
    half, h = rng.uniform(9, 12), rng.uniform(3.4, 3.9)
    colour = paint_colour(rng, 0.3) if rng.random() < 0.4 else (205.0, 208.0, 212.0)
    stripe = paint_colour(rng, 1.0)
    body = Outline().line((-half, 0.25), (half - 1.2, 0.25)).curve((half - 0.3, 0.3), (half, 0.8), (half, 1.3)).curve((half - 0.1, h * 0.8), (half - 0.9, h), (half - 2.0, h)).line((-half, h))
    parts = [(rectangle(-half, 0.25, half - 1.0, 0.7), (48, 48, 52)), (rectangle(-half, 0.95, half - 0.1, 1.35), stripe), (rectangle(-half, h * 0.88, half - 1.5, h), shade(colour, 0.6))]
    edges = np.linspace(-half, half - 2.2, 12)
    parts += [(rectangle(a + 0.15, h * 0.48, b - 0.15, h * 0.78), GLASS) for a, b in zip(edges[:-1], edges[1:])]
    parts += [(Outline().line((half - 1.8, h * 0.48), (half - 0.12, h * 0.48), (half - 0.75, h * 0.85), (half - 1.8, h * 0.85)), GLASS)]
    parts += [(rectangle(x, 0.25, x + 0.1, h * 0.9), (40, 40, 44)) for x in (-half * 0.36, half * 0.27)]
    parts += [(ellipse(x, 0.4, 0.32), (30, 30, 32)) for x in np.linspace(-half + 1, half - 2.5, 6)]
    return Shape([body], colour, parts, 0.0, [(half - 0.3, 1.0, (240, 238, 215))])


def train_end(rng: np.random.Generator) -> Shape:
    """A tram from ahead: one tall rounded face, one centre lamp, a pantograph left off (labellers do)."""
    w, h = 1.3, rng.uniform(3.4, 3.8)
    colour, stripe = (205.0, 208.0, 212.0), paint_colour(rng, 1.0)
    body = Outline().line((-w * 0.85, 0.1), (w * 0.85, 0.1), (w, 0.7), (w, h * 0.6)).curve((w, h * 0.95), (w * 0.6, h), (0, h)).curve((-w * 0.6, h), (-w, h * 0.95), (-w, h * 0.6)).line((-w, 0.7))
    parts = [
        (rectangle(-w * 0.85, 0.1, w * 0.85, 0.45), (48, 48, 52)),
        (rectangle(-w, 0.8, w, 1.25), stripe),
        (Outline().line((-w * 0.75, h * 0.42), (w * 0.75, h * 0.42), (w * 0.6, h * 0.82), (-w * 0.6, h * 0.82)), GLASS),
        (ellipse(0, h * 0.9, 0.14), (250, 245, 220)),
        (ellipse(-w * 0.6, 0.62, 0.12), (250, 245, 220)),
        (ellipse(w * 0.6, 0.62, 0.12), (250, 245, 220)),
    ]
    return Shape([body], colour, parts, rng.uniform(14, 20), [(0, h * 0.9, (250, 245, 220)), (-w * 0.6, 0.62, (250, 245, 220)), (w * 0.6, 0.62, (250, 245, 220))])


def person(rng: np.random.Generator, height: float | None = None) -> Shape:
    """A walker: round head, shoulders, arms and two legs in stride."""
    h = rng.uniform(1.5, 1.9) if height is None else height
    s, stride = h / 1.75, rng.uniform(0.04, 0.32)
    skin = tuple(float(v) for v in np.array([224, 178, 150]) * rng.uniform(0.35, 1.0))
    shirt, trousers = paint_colour(rng, 0.75), shade(paint_colour(rng, 0.3), 0.6)
    swing = rng.uniform(0.0, 0.14)
    out = Outline().line((-stride - 0.08, 0), (-stride + 0.12, 0), (0.0, 0.72), (stride - 0.1, 0), (stride + 0.13, 0), (stride + 0.08, 0.1), (0.19, 0.9), (0.2, 1.0))
    out.line((0.24 + swing, 0.85), (0.32 + swing, 0.9)).curve((0.36, 1.2), (0.32, 1.42), (0.18, 1.46)).line((0.07, 1.5))
    out.curve((0.17, 1.6), (0.12, 1.75), (0, 1.75)).curve((-0.12, 1.75), (-0.17, 1.6), (-0.07, 1.5)).line((-0.18, 1.46))
    out.curve((-0.32, 1.42), (-0.36, 1.2), (-0.32 - swing, 0.9)).line((-0.24 - swing, 0.85), (-0.2, 1.0), (-0.19, 0.9), (-stride - 0.05, 0.1))
    parts = [
        (Outline().line((-0.2, 0.95), (-stride - 0.08, 0.06), (-stride + 0.12, 0.06), (0, 0.74), (stride - 0.1, 0.06), (stride + 0.1, 0.06), (0.2, 0.95)), trousers),
        (ellipse(0, 1.62, 0.115, 0.14), skin),
        (Outline().line((-0.11, 1.64)).curve((-0.13, 1.77), (0.13, 1.77), (0.11, 1.64)), tuple(float(v) for v in rng.uniform(15, 90, 3))),
        (ellipse(0.28 + swing, 0.89, 0.05), skin),
        (ellipse(-0.28 - swing, 0.89, 0.05), skin),
    ]
    if rng.random() < 0.3:
        parts.append((rectangle(-0.16, 1.0, 0.16, 1.4), paint_colour(rng, 0.8)))
    return Shape([o.mapped(s, s, 0, 0) for o in [out]], shirt, [(o.mapped(s, s, 0, 0), c) for o, c in parts])


def bicycle_side(rng: np.random.Generator) -> Shape:
    """A bicycle from the side: two large wheels (labelled as discs, as annotators do) and a frame between them."""
    r, d = 0.34, 0.53
    colour = paint_colour(rng, 0.9)
    frame = Outline().line((-d, r - 0.04), (-0.02, r - 0.06), (0.1, r - 0.04), (d - 0.13, 0.78), (d + 0.02, r), (d + 0.06, r + 0.02), (d - 0.08, 0.98), (d + 0.06, 1.06), (d - 0.16, 1.06), (d - 0.15, 0.86), (-0.1, 0.84), (-0.12, 0.94), (0, 0.98), (-0.28, 0.98), (-0.2, 0.9), (-0.2, 0.8), (-d, r + 0.04))
    parts: list[tuple[Outline, Colour]] = []
    for x in (-d, d):
        parts += [(ellipse(x, r, r), TYRE), (ellipse(x, r, r * 0.84), (128, 130, 132)), (ellipse(x, r, 0.05), STEEL)]
    parts += [(frame, colour), (Outline().line((-0.16, 0.74), (-0.02, r), (d - 0.16, 0.76)), (96, 98, 100)), (ellipse(0.0, r - 0.02, 0.1), STEEL)]
    return Shape([ellipse(-d, r, r), ellipse(d, r, r), frame], colour, parts)


def motorcycle_side(rng: np.random.Generator) -> Shape:
    """A motorcycle from the side: fat wheels, engine, tank, seat, exhaust."""
    r, d = 0.31, 0.68
    colour = paint_colour(rng, 0.95)
    body = Outline().line((-d - 0.25, r + 0.28), (-d + 0.1, r - 0.05), (-0.15, 0.16), (0.25, 0.16), (d - 0.28, 0.5), (d - 0.02, r), (d + 0.08, r), (d - 0.15, 0.85), (d - 0.1, 1.08), (d - 0.3, 1.1), (d - 0.32, 0.95))
    body.curve((0.3, 1.0), (0.12, 0.98), (0.0, 0.8)).line((-0.45, 0.78)).curve((-0.65, 0.82), (-0.8, 0.9), (-d - 0.25, r + 0.36))
    parts: list[tuple[Outline, Colour]] = []
    for x in (-d, d):
        parts += [(ellipse(x, r, r), TYRE), (ellipse(x, r, r * 0.55), STEEL), (ellipse(x, r, r * 0.2), (50, 50, 52))]
    parts += [
        (body, shade(colour, 0.8)),
        (rectangle(-0.2, 0.18, 0.26, 0.55), (70, 72, 75)),
        (Outline().line((0.0, 0.62), (0.4, 0.66), (0.36, 0.94)).curve((0.2, 1.0), (0.1, 0.95), (0.0, 0.8)), colour),
        (Outline().line((-0.75, 0.78), (0.0, 0.7), (0.02, 0.8), (-0.7, 0.86)), (28, 28, 30)),
        (rectangle(-d - 0.1, 0.2, -0.1, 0.3), (190, 192, 196)),
        (ellipse(d - 0.1, 0.9, 0.08), (245, 240, 215)),
    ]
    return Shape([ellipse(-d, r, r), ellipse(d, r, r), body], colour, parts, 0.0, [(d - 0.05, 0.9, (245, 240, 215))])


def rider_side(rng: np.random.Generator, motor: bool) -> Shape:
    """A rider from the side, leaning to the bars; sits where the saddle of the two-wheeler is."""
    seat = (-0.22, 0.8) if motor else (-0.14, 0.96)
    hand = (0.36, 1.02) if motor else (0.4, 1.06)
    foot = (0.1, 0.3) if motor else (0.06, rng.uniform(0.16, 0.4))
    sx, sy = seat
    lean = rng.uniform(0.12, 0.3)
    shoulder = (sx + lean, sy + 0.56)
    head = (shoulder[0] + 0.09, shoulder[1] + 0.2)
    out = Outline().line((foot[0] - 0.1, foot[1] - 0.06), (foot[0] + 0.16, foot[1] - 0.06), (foot[0] + 0.16, foot[1] + 0.02), (foot[0] + 0.06, foot[1] + 0.06), (sx + 0.44, sy - 0.22), (sx + 0.42, sy - 0.06), (sx + 0.17, sy + 0.1))
    out.line((shoulder[0] + 0.02, shoulder[1] - 0.24), (hand[0], hand[1] - 0.02), (hand[0] + 0.05, hand[1] + 0.05), (shoulder[0] + 0.12, shoulder[1] - 0.03), (head[0] + 0.02, head[1] - 0.13))
    out.curve((head[0] + 0.2, head[1] - 0.08), (head[0] + 0.16, head[1] + 0.16), (head[0], head[1] + 0.15)).curve((head[0] - 0.18, head[1] + 0.15), (head[0] - 0.17, head[1] - 0.1), (head[0] - 0.09, head[1] - 0.11))
    out.line((shoulder[0] - 0.09, shoulder[1] + 0.03)).curve((sx - 0.08, sy + 0.5), (sx - 0.17, sy + 0.3), (sx - 0.14, sy - 0.04)).line((sx + 0.2, sy - 0.13), (foot[0] - 0.06, foot[1] + 0.05))
    skin = tuple(float(v) for v in np.array([224, 178, 150]) * rng.uniform(0.4, 1.0))
    helmet, trousers = paint_colour(rng, 0.8), shade(paint_colour(rng, 0.3), 0.55)
    parts = [
        (Outline().line((sx - 0.14, sy - 0.06), (sx + 0.2, sy + 0.12), (sx + 0.44, sy - 0.04), (sx + 0.44, sy - 0.22), (foot[0] + 0.16, foot[1] - 0.06), (foot[0] - 0.1, foot[1] - 0.06), (sx + 0.2, sy - 0.13)), trousers),
        (ellipse(head[0], head[1], 0.12, 0.14), skin),
        (Outline().line((head[0] - 0.15, head[1])).curve((head[0] - 0.16, head[1] + 0.2), (head[0] + 0.15, head[1] + 0.2), (head[0] + 0.13, head[1] + 0.02)), helmet),
        (ellipse(hand[0] + 0.01, hand[1] + 0.01, 0.05), skin),
    ]
    if motor:
        parts[2] = (ellipse(head[0], head[1] + 0.01, 0.15, 0.145), helmet)
        parts.insert(3, (rectangle(head[0] + 0.02, head[1] - 0.03, head[0] + 0.15, head[1] + 0.06), GLASS))
    return Shape([out], paint_colour(rng, 0.8), parts)


def two_wheeler_end(rng: np.random.Generator, motor: bool) -> Shape:
    """A bicycle or motorcycle from ahead or behind: one narrow upright wheel, fork, bars."""
    r, w = (0.31, 0.09) if motor else (0.34, 0.045)
    bar, top = (0.36, 1.05) if motor else (0.29, 1.05)
    colour = paint_colour(rng, 0.9)
    out = Outline().line((w, r)).arc((0, r), w, r, 0, -2).line((-w - 0.02, 0.7))
    if motor:
        out.line((-0.2, 0.62), (-0.17, 0.92))
    out.line((-bar, top - 0.06), (-bar, top + 0.02), (-0.05, top), (0.05, top), (bar, top + 0.02), (bar, top - 0.06))
    if motor:
        out.line((0.17, 0.92), (0.2, 0.62))
    out.line((w + 0.02, 0.7))
    parts = [(ellipse(0, r, w, r), TYRE), (rectangle(-w - 0.01, r * 1.6, w + 0.01, 0.7), colour)]
    lamp = (0.0, 0.84, (245.0, 240.0, 215.0) if rng.random() < 0.6 else (200.0, 26.0, 20.0))
    if motor:
        parts += [(Outline().line((-0.19, 0.62), (0.19, 0.62), (0.16, 0.95), (-0.16, 0.95)), colour), (ellipse(0, 0.84, 0.09), lamp[2])]
    return Shape([out], shade(colour, 0.5) if motor else (70, 70, 74), parts, 0.0, [lamp] if motor else [])


def rider_end(rng: np.random.Generator, motor: bool) -> Shape:
    """A rider from ahead or behind: seated, arms to the bars, knees out."""
    seat = 0.78 if motor else 0.92
    s = seat
    out = Outline().line((-0.24, 0.32), (-0.1, 0.3), (-0.1, s - 0.08), (0.1, s - 0.08), (0.1, 0.3), (0.24, 0.32), (0.27, s - 0.12), (0.17, s + 0.04), (0.2, s + 0.22), (0.33, s + 0.2), (0.38, s + 0.27))
    out.curve((0.4, s + 0.5), (0.32, s + 0.6), (0.18, s + 0.62)).line((0.08, s + 0.66)).curve((0.2, s + 0.78), (0.15, s + 0.95), (0, s + 0.95))
    out.curve((-0.15, s + 0.95), (-0.2, s + 0.78), (-0.08, s + 0.66)).line((-0.18, s + 0.62)).curve((-0.32, s + 0.6), (-0.4, s + 0.5), (-0.38, s + 0.27)).line((-0.33, s + 0.2), (-0.2, s + 0.22), (-0.17, s + 0.04), (-0.27, s - 0.12))
    skin = tuple(float(v) for v in np.array([224, 178, 150]) * rng.uniform(0.4, 1.0))
    trousers = shade(paint_colour(rng, 0.3), 0.55)
    parts = [
        (Outline().line((-0.24, 0.32), (-0.1, 0.3), (-0.1, s), (-0.2, s + 0.02), (-0.27, s - 0.12)), trousers),
        (Outline().line((0.24, 0.32), (0.1, 0.3), (0.1, s), (0.2, s + 0.02), (0.27, s - 0.12)), trousers),
        (ellipse(0, s + 0.8, 0.11, 0.13), skin),
        (Outline().line((-0.14, s + 0.82)).curve((-0.15, s + 1.0), (0.15, s + 1.0), (0.14, s + 0.82)), paint_colour(rng, 0.8)),
    ]
    return Shape([out], paint_colour(rng, 0.8), parts)


def distractor(name: str, rng: np.random.Generator) -> Shape:
    """Street furniture that is nobody's label: ``lamp``, ``tree``, ``sign``, ``bin``, ``light`` (traffic light), ``poster``."""
    if name == "tree":
        r = rng.uniform(0.9, 1.8)
        leaf = tuple(float(v) for v in rng.uniform((30, 60, 20), (90, 130, 60)))
        crowns = [ellipse(rng.uniform(-0.6, 0.6), 2.6 + rng.uniform(-0.4, 1.2), r * rng.uniform(0.6, 1.0)) for _ in range(4)]
        return Shape([rectangle(-0.12, 0, 0.12, 2.6), *crowns], leaf, [(rectangle(-0.12, 0, 0.12, 2.0), (74, 58, 44))])
    if name == "bin":
        return Shape([rectangle(-0.3, 0, 0.3, 1.05)], paint_colour(rng), [(rectangle(-0.34, 0.9, 0.34, 1.08), (50, 52, 54))])
    if name == "poster":
        picture = (ellipse(0, 1.9, 0.16), (214, 170, 140)), (rectangle(-0.25, 1.1, 0.25, 1.72), paint_colour(rng, 1.0))
        return Shape([rectangle(-0.6, 0.5, 0.6, 2.3)], (228, 226, 220), list(picture))
    post = rectangle(-0.06, 0, 0.06, 2.6)
    if name == "sign":
        face = ellipse(0, 2.6, 0.36) if rng.random() < 0.5 else rectangle(-0.34, 2.25, 0.34, 2.95)
        inner = ellipse(0, 2.6, 0.27)
        return Shape([post, face], (196, 30, 26), [(post, (110, 112, 114)), (inner, (235, 235, 230))])
    if name == "light":
        head = rectangle(-0.18, 2.4, 0.18, 3.3)
        lamps = [(ellipse(0, y, 0.1), c) for y, c in ((3.12, (230.0, 40.0, 30.0)), (2.85, (60.0, 50.0, 10.0)), (2.58, (12.0, 50.0, 30.0)))]
        return Shape([post, head], (34, 36, 38), lamps, 0.0, [(0, 3.12, (230, 40, 30))])
    arm = Outline().line((-0.07, 0), (0.07, 0), (0.05, 5.6), (1.3, 5.9), (1.3, 6.0), (-0.05, 5.75))
    return Shape([arm], (104, 108, 110), [], 0.0, [(1.15, 5.9, (255, 214, 150))])
