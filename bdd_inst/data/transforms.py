"""Geometric transforms: what happens to the image, and the same to boxes, polygons and masks.

Each is fixed (no randomness here), knows the size (height, width) it takes and gives, and agrees with Detectron2's transform of
that name to the pixel. Masks move by index tables: what lies along an axis moves as whole rows and columns.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image

OUTSIDE = -1  # in an index table: a row or column that comes from beyond the source


@dataclass(slots=True)
class Resize:
    """To ``out`` by PIL: bilinear with antialiasing for images, nearest for masks."""

    size: tuple[int, int]
    out: tuple[int, int]

    def image(self, image: Image.Image) -> Image.Image:
        return image.resize(self.out[::-1], Image.Resampling.BILINEAR)

    def coords(self, points: np.ndarray) -> np.ndarray:
        """Points N,2 float64 (x, y, continuous) of the source, where they lie in the result."""
        # Detectron2's order of operations, so that coordinates agree to the last bit.
        return points * (self.out[1] * 1.0 / self.size[1], self.out[0] * 1.0 / self.size[0])

    def rows(self) -> np.ndarray:
        """H int64: which row of the source each of the result's H rows is."""
        return nearest(self.size[0], self.out[0])

    def columns(self) -> np.ndarray:
        """W int64: which column of the source each of the result's W columns is."""
        return nearest(self.size[1], self.out[1])


@functools.lru_cache(maxsize=256)
def nearest(length: int, out: int) -> np.ndarray:
    """N int64, N being ``out``: which of ``length`` pixels PIL's nearest resize puts at each of them: read off a resized ramp, PIL's own rounding included."""
    # The cached table belongs to all callers: none may write into it.
    ramp = Image.fromarray(np.arange(length, dtype=np.int32)[None])
    return np.asarray(ramp.resize((out, 1), Image.Resampling.NEAREST))[0].astype(np.intp)


@dataclass(slots=True)
class Flip:
    """Left to right, or top to bottom where ``vertical``."""

    size: tuple[int, int]
    vertical: bool = False

    @property
    def out(self) -> tuple[int, int]:
        return self.size

    def image(self, image: Image.Image) -> Image.Image:
        return image.transpose(
            Image.Transpose.FLIP_TOP_BOTTOM if self.vertical else Image.Transpose.FLIP_LEFT_RIGHT
        )

    def coords(self, points: np.ndarray) -> np.ndarray:
        """Points N,2 float64 (x, y, continuous) of the source, where they lie in the result."""
        points = points.copy()
        axis = int(self.vertical)
        points[:, axis] = self.size[1 - axis] - points[:, axis]
        return points

    def rows(self) -> np.ndarray:
        """H int64: which row of the source each of the result's H rows is."""
        rows = np.arange(self.size[0])
        return rows[::-1] if self.vertical else rows

    def columns(self) -> np.ndarray:
        """W int64: which column of the source each of the result's W columns is."""
        columns = np.arange(self.size[1])
        return columns if self.vertical else columns[::-1]


@dataclass(slots=True)
class Crop:
    """The window of ``out`` whose first pixel is ``x, y``; where it leaves the image it is padded with ``fill``."""

    size: tuple[int, int]
    x: int
    y: int
    out: tuple[int, int]
    fill: int = 0

    def image(self, image: Image.Image) -> Image.Image:
        (h, w), (height, width) = self.out, self.size
        # A crop beyond the image would be filled with black, whatever ``fill`` is.
        if self.x >= 0 and self.y >= 0 and self.x + w <= width and self.y + h <= height:
            return image.crop((self.x, self.y, self.x + w, self.y + h))
        canvas = Image.new("RGB", (w, h), (self.fill,) * 3)
        canvas.paste(image, (-self.x, -self.y))
        return canvas

    def coords(self, points: np.ndarray) -> np.ndarray:
        """Points N,2 float64 (x, y, continuous) of the source, where they lie in the result."""
        return points - (self.x, self.y)

    def rows(self) -> np.ndarray:
        """H int64: which row of the source each of the result's H rows is."""
        return window(self.y, self.out[0], self.size[0])

    def columns(self) -> np.ndarray:
        """W int64: which column of the source each of the result's W columns is."""
        return window(self.x, self.out[1], self.size[1])


def window(start: int, count: int, length: int) -> np.ndarray:
    """N int64, N being ``count``: the indices from ``start`` on, OUTSIDE where there is no such pixel."""
    index = np.arange(start, start + count)
    return np.where((index >= 0) & (index < length), index, OUTSIDE)


@dataclass(slots=True)
class Rotate:
    """``angle`` degrees counter-clockwise about the middle, the canvas grown to hold all of it; black outside."""

    size: tuple[int, int]
    angle: float
    out: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        h, w = self.size
        cos, sin = abs(np.cos(np.deg2rad(self.angle))), abs(np.sin(np.deg2rad(self.angle)))
        self.out = (int(np.rint(h * cos + w * sin)), int(np.rint(h * sin + w * cos)))

    def matrix(self, shift: float) -> np.ndarray:
        """2,3 float64 affine matrix: with ``shift`` -0.5 between pixel centers (for OpenCV's warp), with 0 between continuous
        coordinates."""
        (h, w), (oh, ow) = self.size, self.out
        # Two matrices, as Detectron2's RotationTransform has: pixel 0 lies at 0 for OpenCV, and covers 0 to 1 here.
        matrix = cv2.getRotationMatrix2D((w / 2 + shift, h / 2 + shift), self.angle, 1)
        middle = matrix[:, :2] @ (w / 2 + shift, h / 2 + shift) + matrix[:, 2]
        matrix[:, 2] += (ow / 2 + shift, oh / 2 + shift) - middle
        return matrix

    def image(self, image: Image.Image) -> Image.Image:
        turned = cv2.warpAffine(
            np.asarray(image), self.matrix(-0.5), self.out[::-1], flags=cv2.INTER_LINEAR
        )
        return Image.fromarray(turned)

    def coords(self, points: np.ndarray) -> np.ndarray:
        """Points N,2 float64 (x, y, continuous) of the source, where they lie in the result."""
        return cv2.transform(points[:, None], self.matrix(0.0))[:, 0] if len(points) else points

    def labels(self, values: np.ndarray, fill: int) -> np.ndarray:
        """A map H,W of numbers (uint8 or uint16), turned: the nearest pixel's number, ``fill`` outside."""
        return cv2.warpAffine(
            values,
            self.matrix(-0.5),
            self.out[::-1],
            flags=cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=fill,
        )


Transform = Resize | Flip | Crop | Rotate


class Chain:
    """Transforms one after the other; ``out`` is the size in the end."""

    def __init__(self, size: tuple[int, int], steps: Sequence[Transform] = ()):
        self.size, self.steps = tuple(size), list(steps)

    @property
    def out(self) -> tuple[int, int]:
        return self.steps[-1].out if self.steps else self.size

    def image(self, image: Image.Image) -> Image.Image:
        """The image (RGB) after every step."""
        for step in self.steps:
            image = step.image(image)
        return image

    def coords(self, points: np.ndarray) -> np.ndarray:
        """N,2 float64 points x, y (continuous: pixel 0 covers 0 to 1)."""
        points = np.asarray(points, np.float64).reshape(-1, 2)
        for step in self.steps:
            points = step.coords(points)
        return points

    def boxes(self, boxes: np.ndarray) -> np.ndarray:
        """N,4 float64 boxes x1, y1, x2, y2: the box around the four moved corners, clipped to the image."""
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        for step in self.steps:
            # All four corners: after a turn, the box is that of the turned box, wider than the object.
            corners = step.coords(boxes[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 2)).reshape(
                -1, 4, 2
            )
            boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        height, width = self.out
        return np.minimum(boxes.clip(min=0), (width, height, width, height))

    def polygons(self, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Flat polygons ``[x0, y0, x1, ...]`` of one object, float64, moved; a crop cuts them at its edge, which may split or drop some."""
        points = [np.asarray(part, np.float64).reshape(-1, 2) for part in parts]
        for step in self.steps:
            if isinstance(step, Crop):
                from bdd_inst.masks.clip import clip_polygons

                points = clip_polygons(points, step.x, step.y, step.out)
            else:
                points = [step.coords(p) for p in points]
        return [p.reshape(-1) for p in points]

    def tables(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Index tables (rows, columns), H and W int64: pixel r,c of the result is pixel ``rows[r], columns[c]`` of the source. None if anything
        rotates."""
        rows, columns = np.arange(self.size[0]), np.arange(self.size[1])
        for step in self.steps:
            if isinstance(step, Rotate):
                return None
            rows, columns = chained(rows, step.rows()), chained(columns, step.columns())
        return rows, columns

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """A whole mask H,W bool, moved (nearest pixel), step by step."""
        return self.labels(mask.astype(np.uint8), 0).astype(bool)

    def labels(self, values: np.ndarray, fill: int) -> np.ndarray:
        """A label map H,W (uint8 or uint16), moved: the nearest pixel's number, never a mixture; ``fill`` where no pixel comes from.

        Equal for every number to :meth:`mask` of that number's pixels.
        """
        for step in self.steps:
            if isinstance(step, Rotate):
                values = step.labels(values, fill)
                continue
            rows, columns = step.rows(), step.columns()
            values = values[rows][:, columns]
            # Until here rows and columns from OUTSIDE hold the last pixel's number: -1 counts from the end.
            values[rows == OUTSIDE] = fill
            values[:, columns == OUTSIDE] = fill
        return values


def chained(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two index tables (N int64, M int64 into the first) as one, M int64; what is OUTSIDE stays so."""
    return np.where(second == OUTSIDE, OUTSIDE, first[second])
