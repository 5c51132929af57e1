"""Large images in pieces: overlapping tiles, their logits mixed where they overlap (TEST.TILES).

Logits and weights are float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from fvcore.common.config import CfgNode
from torch import Tensor


@dataclass(frozen=True)
class Tiles:
    """How an image is cut.

    Attributes:
        size: longest side of a tile in pixels.
        overlap: pixels that neighbors share at least.
    """

    size: int
    overlap: int

    @classmethod
    def from_config(cls, cfg: CfgNode) -> Tiles | None:
        """By TEST.TILES; None where it is off."""
        options = cfg.TEST.TILES
        return cls(options.SIZE, options.OVERLAP) if options.ENABLED else None

    def fits(self, image: Tensor) -> bool:
        """Whether C,H,W is no larger than one tile."""
        return max(image.shape[-2:]) <= self.size

    def starts(self, length: int) -> list[int]:
        """Where tiles begin along a side: evenly spread, the first and the last at its ends."""
        if length <= self.size:
            return [0]
        # The fewest tiles whose neighbors share ``overlap`` pixels: each after the first adds ``size - overlap``.
        count = math.ceil((length - self.overlap) / (self.size - self.overlap))
        step = (length - self.size) / (count - 1)
        return [round(i * step) for i in range(count)]

    def infer(self, once: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
        """K,H,W logits of an image C,H,W: each pixel the mean of the tiles that show it, by how far it lies from their edges.

        Args:
            once: from a tile C,h,w to its logits K,h,w.
        """
        height, width = image.shape[-2:]
        total = weights = None
        for y in self.starts(height):
            for x in self.starts(width):
                rows = slice(y, min(y + self.size, height))
                columns = slice(x, min(x + self.size, width))
                logits = once(image[..., rows, columns])
                if total is None:
                    total = logits.new_zeros((len(logits), height, width))
                    weights = logits.new_zeros((height, width))
                share = self.ramp(logits.shape[-2])[:, None] * self.ramp(logits.shape[-1])
                share = share.to(logits)
                total[:, rows, columns] += logits * share
                weights[rows, columns] += share
        return total / weights

    def ramp(self, length: int) -> Tensor:
        """L weights along a tile's side, L being ``length``: rising from its edges over ``overlap`` pixels, never 0."""
        # At a tile's edge a convolution sees padding instead of the image: such pixels count least, but never nothing,
        # for at the image's own edge no other tile shows them.
        place = torch.arange(length) + 0.5
        return (torch.minimum(place, length - place) / max(1, self.overlap)).clamp(max=1)
