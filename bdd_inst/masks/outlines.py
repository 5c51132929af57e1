"""One outline of an object: straight or with Bezier curves, closed or open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bdd_inst.base.errors import DataError

# No image is larger than this; what lies farther out is a broken file, and integer arithmetic stays exact below it.
MAX_COORDINATE = 1e7


@dataclass(slots=True, eq=False)
class Outline:
    """One outline, as BDD100K's ``poly2d`` has it.

    ``vertices``: V,2 float64, each row x,y in pixels, continuous (pixel 0 covers 0 to 1).
    ``types``: one letter a vertex, ``L`` corner or ``C`` Bezier; empty where all are corners. A ``C`` and the vertex after it are the
    control points of a cubic curve; the vertex after these, whatever its letter, is its end (``LCCL`` and ``LCCC`` draw the same).
    ``closed``: a filled area; otherwise a thin line.

    The constructor trusts its arguments, for readers make many; :meth:`checked` does not.
    """

    vertices: np.ndarray
    types: str = ""
    closed: bool = True

    def __len__(self) -> int:
        return len(self.vertices)

    def __eq__(self, other: object) -> bool:
        # A dataclass would compare the arrays by ``==``, which gives one answer for each number.
        if not isinstance(other, Outline):
            return NotImplemented
        return (
            self.types == other.types
            and self.closed == other.closed
            and np.array_equal(self.vertices, other.vertices)
        )

    @classmethod
    def checked(cls, vertices: Sequence, types: str = "", closed: bool = True) -> Outline:
        """The same from untrusted values. Raises DataError for anything but finite pairs of numbers with one letter L or C each."""
        try:
            array = np.asarray(vertices, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError("a path's vertices must be pairs of numbers") from error
        # An empty list becomes an array of one dimension.
        if array.size == 0:
            array = np.empty((0, 2))
        if array.ndim != 2 or array.shape[1] != 2:
            raise DataError(
                f"a path's vertices must be pairs of numbers, not an array of shape {array.shape}"
            )
        if types and len(types) != len(array):
            raise DataError(f"a path has {len(array)} vertices but {len(types)} types")
        if types.strip("LC"):
            raise DataError(f"a path's types must be L or C, not {types.strip('LC')[:20]!r}")
        check_vertices(array)
        return cls(array, types, bool(closed))

    @property
    def curved(self) -> bool:
        """Whether any segment is a Bezier curve (the letter of the first vertex says nothing)."""
        return "C" in self.types[1:]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2 around all vertices, control points included; (0, 0, 0, 0) for an empty path."""
        if not len(self.vertices):
            return 0.0, 0.0, 0.0, 0.0
        low, high = self.vertices.min(axis=0), self.vertices.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @classmethod
    def from_v1(cls, points: Iterable[Sequence], closed: bool = True) -> Outline:
        """From the 2018 spelling ``[[x, y, "L"], [x, y, "C"], ...]``; a missing letter is a corner."""
        vertices, types = [], []
        try:
            for point in points:
                vertices.append((float(point[0]), float(point[1])))
                types.append(str(point[2]) if len(point) > 2 else "L")
        except (TypeError, ValueError, IndexError, KeyError) as error:
            raise DataError('a path must be a list of [x, y, "L" or "C"]') from error
        return cls.checked(vertices, "".join(types), closed)

    @classmethod
    def from_coco(cls, polygon: Sequence[float]) -> Outline:
        """From COCO's flat ``[x1, y1, x2, y2, ...]``. Raises DataError unless it is a flat list of an even number of finite numbers."""
        try:
            flat = np.asarray(polygon, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError("a COCO polygon must be a flat list of numbers") from error
        if flat.ndim != 1 or flat.size % 2:
            raise DataError("a COCO polygon must be a flat list with an even number of coordinates")
        check_vertices(flat)
        return cls(flat.reshape(-1, 2))


def ellipse(
    center: Sequence[float], radii: Sequence[float], angle: float = 0.0, corners: int = 64
) -> np.ndarray:
    """An ellipse as a polygon.

    Args:
        center: x, y in pixels.
        radii: along x and y, in pixels.
        angle: by which it is turned, radians, from x towards y.
        corners: how many.

    Returns:
        V,2 float64 x,y in pixels.
    """
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    points = np.stack([radii[0] * np.cos(turn), radii[1] * np.sin(turn)], axis=1)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return points @ rotation + np.asarray(center, np.float64)


def turned_rectangle(box: Sequence[float], degrees: float, pivot: Sequence[float]) -> np.ndarray:
    """A rectangle turned clockwise as it is shown, as a polygon.

    Args:
        box: x1, y1, x2, y2 in pixels, before it is turned.
        degrees: by which it is turned, from x towards y.
        pivot: x, y of the point about which it is turned, in pixels.

    Returns:
        4,2 float64 x,y in pixels.
    """
    x1, y1, x2, y2 = box
    corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64) - pivot
    turn = np.radians(degrees)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return corners @ rotation + np.asarray(pivot, np.float64)


def check_vertices(vertices: np.ndarray) -> None:
    """Raise DataError unless all of ``vertices`` (float64 of any shape) are finite and within MAX_COORDINATE."""
    # A NaN fails the comparison as well, so one pass finds all three.
    if vertices.size and not (np.abs(vertices) <= MAX_COORDINATE).all():
        bad = vertices[~(np.abs(vertices) <= MAX_COORDINATE)].ravel()[0]
        raise DataError(f"a polygon has the coordinate {bad}, which is in no image")


def as_outline(part: Outline | np.ndarray | Sequence) -> Outline:
    """An Outline from an Outline, an array V,2 of x, y (float64, or what becomes it), or COCO's flat list of coordinates."""
    if isinstance(part, Outline):
        return part
    array = np.asarray(part, dtype=np.float64)
    return Outline.from_coco(array) if array.ndim == 1 else Outline(array)
