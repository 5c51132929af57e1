"""What pixel-wise models learn from, and sums of it by weight; pixels whose label is unknown never count."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from fvcore.common.config import CfgNode
from torch import Tensor, nn
from torch.nn import functional as F


class PixelLoss(nn.Module):
    """A weighted sum of losses on N,K,H,W logits and N,H,W int64 labels.

    With one class its single plane stands for label 1 (sigmoid); with more they exclude each other (softmax).

    Args:
        num_classes: K.
        ignore_value: the label of pixels that do not count in any of them.
        terms: name in ``LOSSES`` -> weight; empty for cross entropy, binary where there is one class.
        class_weights: one a label (two with one class: background, then the class), for the cross entropies; empty for equal ones.
        label_smoothing: share of the label's weight that goes to all labels alike, for the cross entropies.
        weight: of the whole sum.
    """

    def __init__(
        self,
        num_classes: int,
        ignore_value: int,
        terms: dict[str, float] | None = None,
        *,
        class_weights: Sequence[float] = (),
        label_smoothing: float = 0.0,
        weight: float = 1.0,
    ):
        super().__init__()
        self.num_classes, self.ignore_value, self.weight = num_classes, ignore_value, weight
        self.label_smoothing = label_smoothing
        # A buffer, to move with the model; not saved, for it is a choice of the config and no result of training.
        weights = torch.tensor(list(class_weights), dtype=torch.float32)
        self.register_buffer(
            "class_weights", weights if len(class_weights) else None, persistent=False
        )
        chosen = terms or {"BCE" if num_classes == 1 else "CROSS_ENTROPY": 1.0}
        self.terms = [(LOSSES[name](self), factor) for name, factor in chosen.items()]

    @classmethod
    def from_config(cls, cfg: CfgNode) -> PixelLoss:
        """By MODEL.SEM_SEG_HEAD."""
        options = cfg.MODEL.SEM_SEG_HEAD
        return cls(
            options.NUM_CLASSES,
            options.IGNORE_VALUE,
            {name: factor for name, factor in options.LOSSES.items() if factor},
            class_weights=options.CLASS_WEIGHTS,
            label_smoothing=options.LABEL_SMOOTHING,
            weight=options.LOSS_WEIGHT,
        )

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """A scalar; 0 (with a gradient of 0) where no pixel is known."""
        if not (targets != self.ignore_value).any():
            # No known pixel is 0/0 to a mean; and a gradient of 0 lets every process take part in the exchange.
            return logits.sum() * 0.0
        total = sum(factor * term(logits, targets) for term, factor in self.terms)
        return total * self.weight

    def cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean over the known pixels of logits N,K,H,W on targets N,H,W, by class weight where there are some, as torch has it."""
        return F.cross_entropy(
            logits,
            targets,
            weight=self._weights_like(logits),
            ignore_index=self.ignore_value,
            label_smoothing=self.label_smoothing,
        )

    def binary_cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Each plane of logits N,K,H,W against the others, on targets N,H,W: mean over the known pixels and, with several classes, over the planes."""
        known = targets != self.ignore_value
        rows, labels = logits.movedim(1, -1)[known], targets[known]
        wanted = labels[:, None] if self.num_classes == 1 else F.one_hot(labels, self.num_classes)
        # Two answers share what is smoothed away: 1 becomes 1 - s/2, 0 becomes s/2.
        wanted = wanted.to(rows.dtype) * (1 - self.label_smoothing) + self.label_smoothing / 2
        losses = F.binary_cross_entropy_with_logits(rows, wanted, reduction="none").mean(1)
        weights = self._weights_like(logits)
        if weights is None:
            return losses.mean()
        # By the sum of the weights, as torch's cross entropy has it: scaling all of them changes nothing.
        return (losses * weights[labels]).sum() / weights[labels].sum()

    def _weights_like(self, logits: Tensor) -> Tensor | None:
        return None if self.class_weights is None else self.class_weights.to(logits.dtype)


def _of_smp(name: str) -> Callable[[PixelLoss], Callable[[Tensor, Tensor], Tensor]]:
    """A loss of segmentation-models-pytorch by its class name, fitted to the number of classes."""

    def build(owner: PixelLoss) -> Callable[[Tensor, Tensor], Tensor]:
        from bdd_inst.modeling.backbones.smp_encoder import import_smp

        mode = "binary" if owner.num_classes == 1 else "multiclass"
        loss = getattr(import_smp().losses, name)(mode, ignore_index=owner.ignore_value)
        # In float32: the Lovasz loss mixes its own with the input's precision.
        if mode == "multiclass":
            return lambda logits, targets: loss(logits.float(), targets)
        return lambda logits, targets: loss(logits[:, 0].float(), targets)

    return build


# MODEL.SEM_SEG_HEAD.LOSSES: key -> from the PixelLoss that it is a part of to a function of logits and labels.
LOSSES = {
    "CROSS_ENTROPY": lambda owner: owner.cross_entropy,
    "BCE": lambda owner: owner.binary_cross_entropy,
    "DICE": _of_smp("DiceLoss"),  # Milletari et al. 2016, over the batch, classes that occur
    "FOCAL": _of_smp("FocalLoss"),  # Lin et al. 2017, gamma 2
    "LOVASZ": _of_smp("LovaszLoss"),  # Berman et al. 2018: hinge with one class, softmax with more
}
