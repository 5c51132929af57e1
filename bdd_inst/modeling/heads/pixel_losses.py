"""What pixel-wise models learn from; pixels whose label is unknown never count."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class PixelLoss(nn.Module):
    """Mean cross entropy over the known pixels (binary where there is one class), times ``weight``."""

    def __init__(self, num_classes: int, ignore_value: int, weight: float = 1.0):
        super().__init__()
        self.num_classes, self.ignore_value, self.weight = num_classes, ignore_value, weight

    @classmethod
    def from_cfg(cls, cfg) -> PixelLoss:
        """By MODEL.SEM_SEG_HEAD."""
        options = cfg.MODEL.SEM_SEG_HEAD
        return cls(options.NUM_CLASSES, options.IGNORE_VALUE, options.LOSS_WEIGHT)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """N,K,H,W logits and N,H,W int64 labels to a scalar; 0 (with a gradient of 0) where no pixel is known."""
        known = targets != self.ignore_value
        if not known.any():
            return logits.sum() * 0.0
        if self.num_classes == 1:
            loss = F.binary_cross_entropy_with_logits(
                logits[:, 0][known], targets[known].to(logits.dtype)
            )
        else:
            loss = F.cross_entropy(logits, targets, ignore_index=self.ignore_value)
        return loss * self.weight
