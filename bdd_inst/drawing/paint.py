"""How objects become pixels: translucent fills, antialiased outlines, boxes, and labels that do not cover each other."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import cv2
import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.drawing import text
from bdd_inst.drawing.colors import Color, bgr
from bdd_inst.drawing.objects import DrawnObjects
from bdd_inst.drawing.placement import place_labels
from bdd_inst.drawing.regions import SHIFT, Region, fixed

SMALL = (
    32 * 32
)  # COCO's small objects: drawn with thin lines and faint fill, so that they stay visible


@dataclass(frozen=True)
class Style:
    """How objects are drawn. ``color_by``: ``class``, ``instance`` or ``verdict``; sizes of 0 follow the image's size."""

    color_by: str = "class"
    opacity: float = 0.42
    show_boxes: bool = True
    show_masks: bool = True
    show_labels: bool = True
    show_scores: bool = True
    line: int = 0
    font: int = 0

    def fitted(self, height: int, width: int, number: int) -> Style:
        """With line and font sizes for an image of this size that shows ``number`` objects."""
        side = (height * width) ** 0.5
        crowding = 1.0 if number <= 25 else 0.88 if number <= 60 else 0.78
        return replace(
            self,
            line=self.line or max(1, round(side / 450)),
            font=self.font or int(np.clip(round(side / 62 * crowding), 9, 48)),
        )


def paint(image: np.ndarray, objects: DrawnObjects, style: Style) -> np.ndarray:
    """Objects on a copy of ``image`` (H,W,3 uint8 BGR): fills from large to small, then outlines and boxes, then labels on top."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise DataError(
            f"an image to draw on is H,W,3 uint8, not {'x'.join(map(str, image.shape))} {image.dtype}"
        )
    canvas = np.ascontiguousarray(image).copy()
    shown = [i for i in range(len(objects)) if np.isfinite(objects.boxes[i]).all()]
    if not shown:
        return canvas
    style = style.fitted(*canvas.shape[:2], len(shown))
    areas = {
        i: float(np.prod(np.maximum(objects.boxes[i, 2:] - objects.boxes[i, :2], 0))) for i in shown
    }
    # Small ones last, on top: a large object's fill would hide them.
    shown.sort(key=lambda i: -areas[i])
    if style.show_masks:
        for i in shown:
            if objects.regions[i] is not None:
                share = areas[i] / (canvas.shape[0] * canvas.shape[1])
                # Fainter where the fill would hide what it is laid on: tiny objects, and those that fill the image.
                opacity = style.opacity * (0.7 if areas[i] < SMALL or share > 0.1 else 1.0)
                fill(canvas, objects.regions[i], objects.color(i, style.color_by), opacity)
    for i in shown:
        draw_box(canvas, objects, i, style, small=areas[i] < SMALL)
        draw_contours(canvas, objects, i, style, small=areas[i] < SMALL)
    if style.show_labels:
        write_labels(canvas, objects, shown, style)
    return canvas


def fill(canvas: np.ndarray, region: Region, color: Color, opacity: float) -> None:
    """Mix a color into the mask's pixels of ``canvas`` (H,W,3 uint8 BGR)."""
    height, width = region.mask.shape
    area = canvas[region.y : region.y + height, region.x : region.x + width]
    ramp = (
        np.arange(256, dtype=np.float32)[:, None] * (1 - opacity) + np.float32(bgr(color)) * opacity
    )
    # A table of 256 values a channel: mixing a pixel is a look-up.
    mixed = cv2.LUT(area, ramp.round().astype(np.uint8).reshape(1, 256, 3))
    cv2.copyTo(mixed, region.mask, area)


def draw_contours(
    canvas: np.ndarray, objects: DrawnObjects, i: int, style: Style, small: bool
) -> None:
    """The mask's outline on ``canvas`` (H,W,3 uint8 BGR); thin where the object is small."""
    region = objects.regions[i] if style.show_masks else None
    if region is not None:
        line = max(1, style.line - 1) if small else style.line
        color = bgr(objects.color(i, style.color_by))
        cv2.polylines(
            canvas, [fixed(c) for c in region.contours], True, color, line, cv2.LINE_AA, SHIFT
        )


def draw_box(canvas: np.ndarray, objects: DrawnObjects, i: int, style: Style, small: bool) -> None:
    """The box on ``canvas`` (H,W,3 uint8 BGR): thin where there is a mask too; beside a small object, not over it; in dashes where the verdict is bad."""
    masked = style.show_masks and objects.regions[i] is not None
    verdict = objects.verdicts[i] if objects.verdicts else ""
    if not style.show_boxes and masked and not verdict:
        return
    color = bgr(objects.color(i, style.color_by))
    # OpenCV's coordinates are 32 bits, 4 of them for the fraction.
    box = np.clip(objects.boxes[i], -1e4, 1e5) + (
        np.array([-1.0, -1.0, 1.0, 1.0]) if small else 0.0
    )
    if verdict in ("missed", "false"):
        dashed_box(canvas, box, color, style.line)
        return
    line = 1 if masked else max(1, style.line - 1) if small else style.line
    first, last = np.round(box[:2]).astype(int), np.round(box[2:]).astype(int) - 1
    # On whole pixels: upright lines stay crisp.
    cv2.rectangle(canvas, first.tolist(), np.maximum(first, last).tolist(), color, line)


def dashed_box(canvas: np.ndarray, box: np.ndarray, color: Color, line: int) -> None:
    """A box (x1, y1, x2, y2 float64) in dashes on ``canvas`` H,W,3 uint8: told apart without its color."""
    dash = 4 * max(2, line)
    x1, y1, x2, y2 = box
    corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]])
    for a, b in itertools.pairwise(corners):
        length = float(np.abs(b - a).sum())
        steps = np.arange(0.0, min(length, 1e5), 2 * dash)[:, None]
        way = (b - a) / max(length, 1e-6)
        segments = np.stack([a + steps * way, a + np.minimum(steps + dash, length) * way], 1)
        cv2.polylines(
            canvas,
            list(fixed(segments.reshape(-1, 2)).reshape(-1, 2, 2)),
            False,
            color,
            line,
            cv2.LINE_AA,
            SHIFT,
        )


def write_labels(canvas: np.ndarray, objects: DrawnObjects, shown: list[int], style: Style) -> None:
    """Names and scores on ``canvas`` (H,W,3 uint8 BGR) beside their objects; one that had to move away is tied to its object by a line."""
    height, width = canvas.shape[:2]
    tiles = [
        text.tag(objects.label(i, style.show_scores), style.font, objects.color(i, style.color_by))
        for i in shown
    ]
    boxes = np.clip(objects.boxes[shown], 0, [width, height, width, height])
    corners = place_labels(boxes, np.array([t.shape[1::-1] for t in tiles]), width, height)
    for i, tile, box, (x, y) in zip(shown, tiles, boxes, corners.tolist(), strict=True):
        near = np.clip([x + tile.shape[1] / 2, y + tile.shape[0] / 2], box[:2], box[2:])
        start = np.clip(near, [x, y], [x + tile.shape[1], y + tile.shape[0]])
        if np.abs(near - start).max() > 3:
            ends = fixed(np.stack([start, near])).reshape(1, 2, 2)
            cv2.polylines(
                canvas,
                list(ends),
                False,
                bgr(objects.color(i, style.color_by)),
                1,
                cv2.LINE_AA,
                SHIFT,
            )
    # Words after all lines, so that none is crossed out.
    for tile, (x, y) in zip(tiles, corners.tolist(), strict=True):
        text.paste(canvas, tile, x=x, y=y, opacity=0.88)
