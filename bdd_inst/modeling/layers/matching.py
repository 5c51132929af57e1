"""Which box belongs to which object, and which boxes a loss looks at."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Matcher:
    """Labels boxes by their best overlap with any object.

    Args:
        thresholds: rising IoU limits.
        labels: one more than the limits: the label below the first, between them, from the last on
            (1 foreground, 0 background, -1 ignored).
        keep_best: the boxes that overlap an object most (ties included) become foreground whatever the overlap
            (Faster R-CNN, section 3.1.2, case i).
    """

    def __init__(self, thresholds: Sequence[float], labels: Sequence[int], keep_best: bool):
        self.bounds = [*thresholds]
        self.labels, self.keep_best = list(labels), keep_best

    def __call__(self, iou: Tensor) -> tuple[Tensor, Tensor]:
        """M,N overlaps of M objects and N boxes to N int64 object indices (0 where there is no object) and N int8 labels."""
        if not iou.numel():
            return iou.new_zeros(iou.shape[1], dtype=torch.int64), iou.new_full(
                (iou.shape[1],), self.labels[0], dtype=torch.int8
            )
        # The best object of each box, whether or not the overlap will count.
        best, match = iou.max(dim=0)
        label = torch.full_like(match, self.labels[0], dtype=torch.int8)
        for bound, value in zip(self.bounds, self.labels[1:], strict=True):
            label.masked_fill_(best >= bound, value)
        # Without it a small or odd object that no anchor covers well would never be learned. Ties count, as anchors often overlap it equally.
        if self.keep_best:
            # As in Detectron2, an object that meets no box at all ties at 0 with every box that misses it.
            label.masked_fill_((iou == iou.amax(dim=1, keepdim=True)).any(dim=0), 1)
        return match, label


def sample(
    positive: Tensor,
    negative: Tensor,
    total: int,
    fraction: float,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Sample at most ``total`` boxes, at most ``fraction`` of them positive, the rest negative.

    Args:
        positive, negative: N bool.
        generator: a CPU generator; None draws from torch's global one.

    Returns:
        indices of the positives and of the negatives sampled.
    """
    positives, negatives = positive.nonzero().flatten(), negative.nonzero().flatten()
    # Too few positives are made up for by negatives, never the other way: nearly every box is background.
    wanted = min(len(positives), int(total * fraction))
    positives = positives[_permutation(positives, generator)[:wanted]]
    return positives, negatives[_permutation(negatives, generator)[: max(total - wanted, 0)]]


def _permutation(indices: Tensor, generator: torch.Generator | None) -> Tensor:
    """A random order; by a given generator it is the same on every device."""
    if generator is None:
        return torch.randperm(len(indices), device=indices.device)
    return torch.randperm(len(indices), generator=generator).to(indices.device)


def image_generators(seeds: Sequence[int | None]) -> list[torch.Generator | None]:
    """One generator an image, seeded by its ``sample_seed``; None where it has none.

    Args:
        seeds: one an image.

    Returns:
        CPU generators in the same order.
    """
    return [None if seed is None else torch.Generator().manual_seed(int(seed)) for seed in seeds]
