"""Test-time augmentation of pixel-wise models: the mean probability over sizes and mirror images of a picture (TEST.AUG)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bdd_inst.data.augment import shortest_edge
from bdd_inst.modeling.meta.base import output_size


@dataclass(frozen=True)
class SemSegTTA:
    """How a picture is seen several times.

    Attributes:
        min_sizes: shorter sides in pixels; empty for the size that the picture comes in.
        max_size: that the longer side does not exceed.
        flip: whether each is also seen mirrored.
    """

    min_sizes: tuple[int, ...]
    max_size: int
    flip: bool

    @classmethod
    def from_cfg(cls, cfg) -> SemSegTTA | None:
        """By TEST.AUG; None where it is off."""
        options = cfg.TEST.AUG
        if not options.ENABLED:
            return None
        return cls(tuple(options.MIN_SIZES), options.MAX_SIZE, options.FLIP)

    def infer(
        self, once: Callable[[Sequence[dict]], list[dict]], batch: Sequence[dict]
    ) -> list[dict]:
        """``sem_seg`` K,height,width: the logarithms of the mean probabilities (their log-odds with one plane), which are logits again.

        Args:
            once: from ``list[dict]`` to ``[{"sem_seg": K,height,width logits}]``, one view of each picture.
        """
        totals: list[Tensor] = []
        views = [
            (edge, mirrored) for edge in self.min_sizes or (None,) for mirrored in (False, True)
        ]
        views = [view for view in views if self.flip or not view[1]]
        for edge, mirrored in views:
            outputs = once([self.see(entry, edge, mirrored) for entry in batch])
            for index, output in enumerate(outputs):
                logits = output["sem_seg"].flip(-1) if mirrored else output["sem_seg"]
                shares = logits.sigmoid() if len(logits) == 1 else logits.softmax(dim=0)
                if index == len(totals):
                    totals.append(shares)
                else:
                    totals[index] += shares
        return [{"sem_seg": _logits(total / len(views))} for total in totals]

    def see(self, entry: dict, edge: int | None, mirrored: bool) -> dict:
        """A picture's dict with its ``image`` resized and mirrored, its outputs wanted on the same size as before."""
        image = entry["image"]
        own = tuple(image.shape[-2:])
        height, width = output_size(entry, own)
        if edge is not None:
            size = shortest_edge(own, edge, self.max_size)
            image = F.interpolate(
                image[None].float(), size, mode="bilinear", align_corners=False, antialias=True
            )[0]
        return {
            **entry,
            "image": image.flip(-1) if mirrored else image,
            "height": height,
            "width": width,
        }


def _logits(probability: Tensor) -> Tensor:
    tiny = torch.finfo(probability.dtype).eps
    if len(probability) == 1:
        return probability.clamp(tiny, 1 - tiny).logit()
    return probability.clamp_min(tiny).log()
