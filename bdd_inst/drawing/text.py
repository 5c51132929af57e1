"""Text as pixels: antialiased tags (a word on a colored ground) that are pasted into images, cached by content."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from bdd_inst.drawing.colors import INK, PAPER, Color, bgr, contrast
from bdd_inst.drawing.fonts import FONT_FILE, drawable, face_of, font

LONGEST = 48


def clean(text: str) -> str:
    """One printable line of at most ``LONGEST`` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


@functools.lru_cache(8192)
def glyphs(text: str, size: int) -> np.ndarray:
    """H,W uint8 coverage of ``text``; H depends on ``size`` alone, so that lines of text share a base line.

    A letter that no font has is a question mark.
    """
    ascent, descent = font(FONT_FILE, size).getmetrics()
    shown = drawable(text) or "".join(drawable(letter) or "?" for letter in text)
    face = face_of(shown) or face_of("?")
    coverage = np.zeros((ascent + descent, max(1, face.length(shown, size))), np.uint8)
    face.draw(coverage, shown, size, ascent)
    return coverage


@functools.lru_cache(8192)
def tag(text: str, size: int, color: Color) -> np.ndarray:
    """H,W,3 uint8 BGR: ``text`` on a ground of ``color`` (RGB), in ink or paper by contrast. Do not write into it.

    Args:
        text: one line.
        size: of the letters, in pixels.
        color: R, G, B of the ground.

    Returns:
        H,W,3 uint8 BGR, shared by all who ask for the same.
    """
    pad = max(2, size // 4)
    face = glyphs(text, size)
    trim = max(
        0, (face.shape[0] - size) // 2 - 1
    )  # the line gap of the font is more than a tag needs
    face = face[trim : face.shape[0] - trim]
    coverage = np.zeros((face.shape[0] + 2, face.shape[1] + 2 * pad), np.uint8)
    coverage[1:-1, pad:-pad] = face
    return mix(
        np.broadcast_to(np.uint8(bgr(color)), (*coverage.shape, 3)), coverage, contrast(color)
    )


def mix(ground: np.ndarray, coverage: np.ndarray, color: Color) -> np.ndarray:
    """``color`` (RGB) laid over ``ground`` H,W,3 uint8 BGR where ``coverage`` H,W (0..255) says."""
    share = coverage[..., None].astype(np.uint16)
    return ((ground * (255 - share) + np.uint16(bgr(color)) * share + 127) // 255).astype(np.uint8)


def paste(canvas: np.ndarray, tile: np.ndarray, x: int, y: int, opacity: float = 1.0) -> None:
    """Lay ``tile`` h,w,3 on ``canvas`` with its corner at x, y; what falls outside is cut.

    Args:
        canvas: H,W,3 uint8, changed in place.
        tile: h,w,3 uint8.
        x, y: the canvas's pixel for the tile's upper left one; may lie outside.
        opacity: 0 to 1.
    """
    height, width = canvas.shape[:2]
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(width, x + tile.shape[1]), min(height, y + tile.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    part = tile[y0 - y : y1 - y, x0 - x : x1 - x]
    if opacity < 1.0:
        share = round(256 * opacity)
        part = (
            part.astype(np.uint16) * share + canvas[y0:y1, x0:x1].astype(np.uint16) * (256 - share)
        ) >> 8
    canvas[y0:y1, x0:x1] = part


def strip(width: int, left: str, items: Sequence[tuple[str, Color]], size: int) -> np.ndarray:
    """H,width,3 uint8 BGR: a dark caption line with a title and a key of colored squares; wraps where it is too long."""
    pad = max(4, size // 2)
    words = [(glyphs(clean(left), size), None)] if left else []
    words += [(glyphs(clean(text), size), color) for text, color in items]
    height = glyphs("x", size).shape[0] + pad
    places, x, row = [], pad, 0
    for face, color in words:
        length = face.shape[1] + (0 if color is None else size)
        if x > pad and x + length > width - pad:
            x, row = pad, row + 1
        places.append((x, row))
        x += length + 2 * pad
    out = np.empty(((row + 1) * height + pad // 2, width, 3), np.uint8)
    out[:] = bgr(INK)
    for (face, color), (x, row) in zip(words, places, strict=True):
        y = row * height + pad // 2
        if color is not None:
            side = round(0.7 * size)
            top = y + (face.shape[0] - side) // 2
            out[top : top + side, x : x + side] = bgr(color)
            x += size
        part = face[:, : max(0, width - x)]
        area = out[y : y + face.shape[0], x : x + part.shape[1]]
        area[:] = mix(area, part[: area.shape[0]], PAPER)
    return out
