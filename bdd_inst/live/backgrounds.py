"""What stands behind the person: the blurred room, an image, a video, a color, or nothing (alpha)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.images import video
from bdd_inst.images.read import read_bgr
from bdd_inst.live.pyramid import Pyramid, fitting_size

COLOR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
STRENGTH = 0.5
WIDEST = 0.05  # sigma of the strongest blur, as a share of the image's long side
# Long sides at which the blur may work: the smallest on which its sigma is at least SMOOTHEST pixels, so that nothing
# of the grid is seen in the enlarged image.
SIDES = 160, 320, 640
SMOOTHEST = 3.0

# ``background(frame, alpha H,W float32 0..1) -> H,W,3 uint8``, called once a frame in order.
Background = Callable[[Pyramid, np.ndarray], np.ndarray]


class Blur:
    """The room out of focus. The person's colors do not smear into it: they are left out of the average."""

    def __init__(self, strength: float = STRENGTH):
        """``strength`` in 0..1; 0 leaves the image sharp."""
        self.strength = strength

    def __call__(self, frame: np.ndarray | Pyramid, alpha: np.ndarray) -> np.ndarray:
        frame = Pyramid.of(frame)
        if self.strength <= 0:
            return frame.image
        height, width = alpha.shape
        wide = self.strength * WIDEST
        side = next((side for side in SIDES if wide * side >= SMOOTHEST), SIDES[-1])
        small = fitting_size(height, width, side)
        sigma = wide * max(small)
        room = frame.at(small).astype(np.float32)
        weight = 1 - Pyramid(alpha).at(small)
        room *= weight[..., None]
        side = (2 * max(1, round(sigma)) + 1,) * 2
        for _ in range(3):  # three box filters are a Gaussian to within a few per cent
            room, weight = (
                cv2.blur(v, side, borderType=cv2.BORDER_REFLECT) for v in (room, weight)
            )
        # Far inside the person nothing is left to average; what stands there is hidden.
        room /= np.maximum(weight, np.float32(1e-3)).reshape(*weight.shape, 1)
        room = np.clip(room, 0, 255).astype(np.uint8)
        return cv2.resize(room, (width, height), interpolation=cv2.INTER_LINEAR)


class Still:
    """An image, or a color: fitted once to each size of frame."""

    def __init__(self, image: np.ndarray):
        """``image``: H,W,3 uint8 BGR; covers the frame, what stands over is cut off evenly."""
        self.image = image
        self._fitted: np.ndarray | None = None

    def __call__(self, frame: np.ndarray | Pyramid, alpha: np.ndarray) -> np.ndarray:
        size = Pyramid.of(frame).image.shape[:2]
        if self._fitted is None or self._fitted.shape[:2] != size:
            self._fitted = cover(self.image, size)
        return self._fitted


class Moving:
    """A video, frame for frame, from the start again at its end."""

    def __init__(self, path: str | os.PathLike):
        """Raises DataError where the file cannot be decoded."""
        self.path = path
        self._frames = iter(video.VideoReader(path))
        self._first = next(self._frames, None)
        if self._first is None:
            raise DataError(f"{path}: no frame of this background video can be decoded")

    def __call__(self, frame: np.ndarray | Pyramid, alpha: np.ndarray) -> np.ndarray:
        image, self._first = self._first, None
        if image is None:
            image = next(self._frames, None)
        if image is None:
            self._frames = iter(video.VideoReader(self.path))
            image = next(self._frames, None)
        if image is None:
            raise DataError(f"{self.path}: this background video can no longer be decoded")
        return cover(image, Pyramid.of(frame).image.shape[:2])


def cover(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image scaled to fill a frame in its own proportions, the middle of it.

    Args:
        image: h,w,3 uint8.
        size: (height, width) of the frame.

    Returns:
        height,width,3 uint8.
    """
    height, width = size
    factor = max(height / image.shape[0], width / image.shape[1])
    inner = max(1, round(height / factor)), max(1, round(width / factor))
    top, left = (image.shape[0] - inner[0]) // 2, (image.shape[1] - inner[1]) // 2
    part = image[max(0, top) :, max(0, left) :][: inner[0], : inner[1]]
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(part, (width, height), interpolation=method).reshape(height, width, 3)


def color(text: str) -> np.ndarray:
    """``#rrggbb`` or ``#rgb`` as an image of one pixel, 1,1,3 uint8 BGR."""
    digits = text[1:] if len(text) == 7 else "".join(2 * c for c in text[1:])
    return np.frombuffer(bytes.fromhex(digits), np.uint8)[::-1].reshape(1, 1, 3).copy()


def open_background(text: str, strength: float = STRENGTH) -> Background | None:
    """What ``--background`` names.

    Args:
        text: ``blur``, ``none``, ``#rrggbb``, or the path of an image or of a video.
        strength: of the blur, in 0..1.

    Returns:
        The background; None where the person alone is wanted, with alpha.

    Raises:
        DataError: not a color, no such file, or a file that cannot be decoded.
    """
    if text == "blur":
        return Blur(strength)
    if text == "none":
        return None
    if text.startswith("#") and not Path(text).exists():
        if not COLOR.fullmatch(text):
            raise DataError(f"background {text}: not a color; write it like #00b140")
        return Still(color(text))
    if not Path(text).is_file():
        raise DataError(
            f"background {text}: no such file; name an image, a video, blur, none or a color like #00b140"
        )
    if Path(text).suffix.lower() in video.SUFFIXES:
        return Moving(text)
    return Still(read_bgr(text))
