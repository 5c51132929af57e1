"""Test-time augmentation (TEST.AUG): an image seen in several sizes, upright and mirrored, and where its objects lie in each.

Boxes, logits and probabilities are float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from fvcore.common.config import CfgNode
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from bdd_inst.data.augment import shortest_edge
from bdd_inst.modeling.meta.base import output_size

Size = tuple[int, int]


@dataclass(frozen=True)
class View:
    """One way of seeing an image.

    Attributes:
        original: (height, width) that outputs are wanted on; given: of the image that the model was handed; size: of this view.
        mirrored: whether left and right change places.
    """

    original: Size
    given: Size
    size: Size
    mirrored: bool

    def image(self, image: Tensor) -> Tensor:
        """The image as given, C,H,W, seen so: uint8 resized by PIL, as in evaluation; floats bilinearly."""
        if self.size != self.given:
            image = resize(image, self.size)
        return image.flip(-1) if self.mirrored else image

    def boxes_here(self, boxes: Tensor) -> Tensor:
        """N,4 float32 boxes of the original image in this view."""
        # By two factors, as the image itself went: a single one would round otherwise than Detectron2.
        boxes = scaled(scaled(boxes, self.original, self.given), self.given, self.size)
        return self._mirrored(boxes)

    def boxes_back(self, boxes: Tensor) -> Tensor:
        """N,4 float32 boxes of this view in the original image."""
        boxes = self._mirrored(boxes)
        return scaled(scaled(boxes, self.size, self.given), self.given, self.original)

    def _mirrored(self, boxes: Tensor) -> Tensor:
        if not self.mirrored:
            return boxes
        x1, y1, x2, y2 = boxes.unbind(1)
        return torch.stack((self.size[1] - x2, y1, self.size[1] - x1, y2), dim=1)


@dataclass(frozen=True)
class Views:
    """How images are seen several times.

    Attributes:
        min_sizes: shorter sides in pixels, 0 for the size that the image comes in.
        max_size: that the longer side does not exceed.
        flip: whether each is also seen mirrored.
    """

    min_sizes: tuple[int, ...]
    max_size: int
    flip: bool

    @classmethod
    def from_config(cls, cfg: CfgNode) -> Views | None:
        """By TEST.AUG; None where it is off. Without sizes there is the one of evaluation."""
        options = cfg.TEST.AUG
        if not options.ENABLED:
            return None
        if not len(options.MIN_SIZES):
            return cls((cfg.INPUT.MIN_SIZE_TEST,), cfg.INPUT.MAX_SIZE_TEST, options.FLIP)
        return cls(tuple(options.MIN_SIZES), options.MAX_SIZE, options.FLIP)

    def of(self, entry: dict) -> list[View]:
        """The views of a model input, size by size, each upright before mirrored."""
        given = tuple(entry["image"].shape[-2:])
        original = output_size(entry, given)
        out = []
        for edge in self.min_sizes:
            size = shortest_edge(given, edge, self.max_size) if edge else given
            out += [
                View(original, given, size, m) for m in ((False, True) if self.flip else (False,))
            ]
        return out


class MeanProbability:
    """The mean of class probabilities over views: ``add`` logits of each, then ask for ``logits``."""

    def __init__(self) -> None:
        self.total: Tensor | None = None
        self.views = 0

    def add(self, logits: Tensor, mirrored: bool) -> None:
        """Logits K,H,W on the original image, or on its mirror image."""
        logits = logits.flip(-1) if mirrored else logits
        shares = logits.sigmoid() if len(logits) == 1 else logits.softmax(dim=0)
        self.total = shares if self.total is None else self.total.add_(shares)
        self.views += 1

    def logits(self) -> Tensor:
        """K,H,W: logarithms of the mean (log-odds with one plane), which are logits again."""
        probability = self.total / self.views
        # A probability of 0 or 1 would become an infinite logit, which no later mean survives.
        tiny = torch.finfo(probability.dtype).eps
        if len(probability) == 1:
            return probability.clamp(tiny, 1 - tiny).logit()
        return probability.clamp_min(tiny).log()


def resize(image: Tensor, size: Sequence[int]) -> Tensor:
    """C,H,W to C,height,width."""
    if image.dtype != torch.uint8:
        return F.interpolate(image[None], tuple(size), mode="bilinear", align_corners=False)[0]
    # By PIL with antialiasing, as in evaluation: torch's plain bilinear would show the model other pixels.
    pixels = Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()))
    pixels = pixels.resize(tuple(size)[::-1], Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).to(image.device)


def scaled(boxes: Tensor, size: Size, out: Size) -> Tensor:
    """N,4 boxes of an image of ``size`` on one of ``out``, both (height, width)."""
    y, x = (after * 1.0 / before for before, after in zip(size, out, strict=True))
    return torch.stack([side * f for side, f in zip(boxes.unbind(1), (x, y, x, y))], dim=1)
