"""A frame and smaller versions of it, each made once: what model, flow, guide and blur look at."""

from __future__ import annotations

import cv2
import numpy as np


class Pyramid:
    """H,W,3 uint8 (or H,W of any kind) and its halves, made when first asked for.

    Halving exactly is ten times faster than any other averaging, and all who want a small image share the halves.

    Attributes:
        image: the frame itself.
    """

    def __init__(self, image: np.ndarray):
        self.image = image
        self._levels = [image]

    @classmethod
    def of(cls, image: np.ndarray | Pyramid) -> Pyramid:
        """``image``, H,W,3 uint8, as a pyramid if it is not one yet."""
        return image if isinstance(image, cls) else cls(image)

    def at(self, size: tuple[int, int]) -> np.ndarray:
        """The image at ``size`` (height, width), without aliasing: bilinear from the nearest larger level."""
        level = self._level(*size)
        height, width = level.shape[:2]
        if (height, width) == tuple(size):
            return level
        # Bilinear steps of more than two leave pixels out.
        far = height > 2 * size[0] or width > 2 * size[1]
        method = cv2.INTER_AREA if far else cv2.INTER_LINEAR
        return cv2.resize(level, (size[1], size[0]), interpolation=method)

    def _level(self, height: int, width: int) -> np.ndarray:
        """The smallest level that has ``height`` and ``width``; the image itself where none has."""
        found, index = self._levels[0], 1
        while True:
            if index == len(self._levels):
                h, w = (max(1, (side + 1) // 2) for side in found.shape[:2])
                if h < height or w < width or (h, w) == found.shape[:2]:
                    return found
                self._levels.append(cv2.resize(found, (w, h), interpolation=cv2.INTER_AREA))
            level = self._levels[index]
            if level.shape[0] < height or level.shape[1] < width:
                return found
            found, index = level, index + 1


def fitting_size(height: int, width: int, long_side: int) -> tuple[int, int]:
    """(height, width) in the same proportions with at most ``long_side``."""
    factor = min(1.0, long_side / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))
