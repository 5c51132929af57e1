"""Boxes as deltas to other boxes (R-CNN, Girshick et al. 2014), and the losses on them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from fvcore.nn import giou_loss, smooth_l1_loss
from torch import Tensor
from torchvision.ops import complete_box_iou_loss, distance_box_iou_loss

# Limits exp(dw): a 16 px anchor may grow to 1000 px, no further.
SCALE_CLAMP = math.log(1000.0 / 16)
IOU_LOSSES = {"giou": giou_loss, "diou": distance_box_iou_loss, "ciou": complete_box_iou_loss}


class BoxTransform:
    """Deltas dx, dy (in widths and heights), dw, dh (logarithms), each multiplied by its weight."""

    def __init__(self, weights: Sequence[float]):
        # They bring the four numbers to a like spread, so that one loss suits all (Fast R-CNN normalizes its targets).
        self.weights = tuple(float(w) for w in weights)

    def encode(self, source: Tensor, target: Tensor) -> Tensor:
        """N,4 float32 deltas that lead from ``source`` boxes to ``target`` boxes (both N,4, x1 y1 x2 y2)."""
        # Sources must have an extent: an anchor always has, and proposals without one are dropped before.
        size, target_size = source[:, 2:] - source[:, :2], target[:, 2:] - target[:, :2]
        center, target_center = source[:, :2] + 0.5 * size, target[:, :2] + 0.5 * target_size
        weights = source.new_tensor(self.weights)
        return torch.cat(
            (
                weights[:2] * (target_center - center) / size,
                weights[2:] * torch.log(target_size / size),
            ),
            dim=1,
        )

    def decode(self, deltas: Tensor, source: Tensor) -> Tensor:
        """N,4K deltas (K predictions a box) on N,4 boxes to N,4K boxes, float32 whatever the precision of the deltas."""
        size = (source[:, 2:] - source[:, :2])[:, None]
        center = source[:, None, :2] + 0.5 * size
        # At x = 1000 float16 goes in steps of half a pixel, bfloat16 of four: boxes are float32.
        deltas = deltas.float().view(len(deltas), deltas.shape[1] // 4, 4) / source.new_tensor(
            self.weights
        )
        middle = deltas[..., :2] * size + center
        half = 0.5 * (torch.exp(deltas[..., 2:].clamp(max=SCALE_CLAMP)) * size)
        return torch.cat((middle - half, middle + half), dim=2).flatten(1)


def box_regression_loss(
    transform: BoxTransform, source: Tensor, deltas: Tensor, target: Tensor, kind: str, beta: float
) -> Tensor:
    """The loss of predicted deltas, summed over boxes.

    Args:
        source, deltas, target: N,4 float32; only foreground rows.
        kind: ``smooth_l1`` on deltas (L1 where ``beta`` is 0), or ``giou``, ``diou``, ``ciou`` on decoded boxes.
    """
    # Smooth L1 compares deltas, so that a small box's error weighs as a large one's; the IoU losses need the boxes themselves.
    if kind == "smooth_l1":
        return smooth_l1_loss(
            deltas.float(), transform.encode(source, target), beta=beta, reduction="sum"
        )
    return IOU_LOSSES[kind](transform.decode(deltas, source), target, reduction="sum")
