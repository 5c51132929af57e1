"""A pen that draws outlines of straight and cubic Bezier pieces in meters and places them in the image."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

# Control points of a quarter circle lie this share of the radius along the tangent (the usual cubic approximation).
QUARTER = 0.5523


@dataclass(slots=True)
class Contour:
    """One closed path. ``vertices`` V,2 float; ``types`` one letter a vertex, ``L`` corner or ``C`` (three a curve: two controls, end)."""

    vertices: list[tuple[float, float]] = field(default_factory=list)
    types: str = ""

    def line(self, *points: tuple[float, float]) -> Contour:
        """Straight pieces to each point in turn (the first point of a path is where it starts)."""
        self.vertices += points
        self.types += "L" * len(points)
        return self

    def curve(
        self, control1: tuple[float, float], control2: tuple[float, float], end: tuple[float, float]
    ) -> Contour:
        """One cubic Bezier piece from the last point to ``end``."""
        self.vertices += [control1, control2, end]
        self.types += "CCC"
        return self

    def arc(
        self, center: tuple[float, float], rx: float, ry: float, start: int, quarters: int
    ) -> Contour:
        """Quarter ellipses, counter-clockwise in y-up meters (clockwise when ``quarters`` < 0), from ``start`` x 90 degrees."""
        step = 1 if quarters > 0 else -1
        for i in range(abs(quarters)):
            a, b = start + i * step, start + (i + 1) * step
            (ca, sa), (cb, sb) = unit(a), unit(b)
            # Control points lie on the tangents at both ends, so quarters join without a corner.
            tangent = QUARTER * step
            self.curve(
                (center[0] + rx * (ca - tangent * sa), center[1] + ry * (sa + tangent * ca)),
                (center[0] + rx * (cb + tangent * sb), center[1] + ry * (sb - tangent * cb)),
                (center[0] + rx * cb, center[1] + ry * sb),
            )
        return self

    def mapped(self, scale_x: float, scale_y: float, x: float, y: float) -> Contour:
        """The outline with every point at ``(x + scale_x * px, y + scale_y * py)``."""
        return Contour(
            [(x + scale_x * px, y + scale_y * py) for px, py in self.vertices], self.types
        )

    def flat(self, steps: int = 10) -> np.ndarray:
        """The outline as a polygon, P,2 float, each curve in ``steps`` chords. For painting; labels keep the curves."""
        points: list[np.ndarray] = []
        i = 0
        t = np.linspace(0, 1, steps + 1)[1:, None]
        while i < len(self.vertices):
            if self.types[i] == "L":
                points.append(np.array([self.vertices[i]], float))
                i += 1
                continue
            p0 = points[-1][-1]
            p1, p2, p3 = (np.asarray(self.vertices[i + k], float) for k in range(3))
            points.append(
                (1 - t) ** 3 * p0 + 3 * (1 - t) ** 2 * t * p1 + 3 * (1 - t) * t**2 * p2 + t**3 * p3
            )
            i += 3
        return np.concatenate(points)


def unit(quarter: int) -> tuple[int, int]:
    """Cosine and sine of ``quarter`` x 90 degrees."""
    return ((1, 0), (0, 1), (-1, 0), (0, -1))[quarter % 4]


def ellipse(x: float, y: float, rx: float, ry: float | None = None) -> Contour:
    """A whole ellipse of four Bezier quarters."""
    ry = rx if ry is None else ry
    return Contour().line((x + rx, y)).arc((x, y), rx, ry=ry, start=0, quarters=4)


def rectangle(x1: float, y1: float, x2: float, y2: float) -> Contour:
    """An axis-parallel rectangle."""
    return Contour().line((x1, y1), (x2, y1), (x2, y2), (x1, y2))


def cover(mask: np.ndarray, points: np.ndarray, value: int = 1) -> None:
    """Set the pixels of ``mask`` (H,W uint8) inside a polygon of float points, whole pixels only."""
    cv2.fillPoly(
        mask,
        [np.round((np.clip(points, -4000, 4000) - 0.5) * 16).astype(np.int32)],
        value,
        cv2.LINE_8,
        4,
    )
