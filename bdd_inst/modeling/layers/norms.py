"""Normalization layers by their config name, and which of them are a fixed scale and shift at the moment.

Maps are of the precision of the input.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bdd_inst.config.rules import GROUP_NORM_GROUPS


class FrozenBatchNorm2d(nn.Module):
    """Batch norm whose statistics and affine terms never change: y = (x - mean) / sqrt(var + eps) * weight + bias.

    All four are buffers of C entries, so they are saved and never trained. Caffe2 checkpoints hold weight and bias only;
    mean and variance then stay at the identity.
    """

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        self.num_features, self.eps = channels, eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        # So that var + eps is 1 and a fresh layer changes nothing, as in Detectron2.
        self.register_buffer("running_var", torch.ones(channels) - eps)

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W to the same shape, in the precision of ``x``."""
        scale, shift = scale_and_shift(self)
        return x * scale.to(x.dtype)[:, None, None] + shift.to(x.dtype)[:, None, None]

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}"


class _Freezable:
    """Mixin for batch norms: with ``frozen`` set, training uses the running statistics and leaves them alone."""

    frozen = False

    def forward(self, x: Tensor) -> Tensor:
        if self.frozen:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(x)


class BatchNorm2d(_Freezable, nn.BatchNorm2d):
    """torch's, freezable."""


class SyncBatchNorm(_Freezable, nn.SyncBatchNorm):
    """torch's, freezable; in a single process it is a plain batch norm, so CPU runs work."""

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W to the same shape; a process alone norms by its own batch."""
        alone = not (torch.distributed.is_available() and torch.distributed.is_initialized())
        if not self.frozen and self.training and alone:
            # As torch's own does: the count is in the state dict, and checkpoints of one and many processes agree.
            self.num_batches_tracked.add_(1)
            return F.batch_norm(
                x,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                True,
                self.momentum,
                self.eps,
            )
        return super().forward(x)


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of N,C,H,W, each pixel by itself."""

    def __init__(self, channels: int, eps: float = 1e-6):
        super().__init__(channels, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W to the same shape, each cell normed over its C values."""
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        return F.layer_norm(
            x.permute(0, 2, 3, 1), self.normalized_shape, weight, bias, self.eps
        ).permute(0, 3, 1, 2)


NORMS = {
    "BN": BatchNorm2d,
    "SyncBN": SyncBatchNorm,
    "nnSyncBN": SyncBatchNorm,
    "FrozenBN": FrozenBatchNorm2d,
    "GN": lambda channels: nn.GroupNorm(GROUP_NORM_GROUPS, channels),
}


def get_norm(name: str, channels: int) -> nn.Module | None:
    """The layer named as in MODEL.*.NORM; None for the empty name.

    What these keys may say, and widths that group norm can divide, are rules of :mod:`bdd_inst.config`.
    """
    return NORMS[name](channels) if name else None


def is_affine(norm: nn.Module) -> bool:
    """Whether the layer is, as it stands, the same fixed scale and shift for every input.

    Args:
        norm: a norm layer.

    Returns:
        True for frozen ones, and for batch norms in evaluation that do not learn.
    """
    if isinstance(norm, FrozenBatchNorm2d):
        return True
    if not isinstance(norm, nn.modules.batchnorm._BatchNorm) or (
        norm.training and not getattr(norm, "frozen", False)
    ):
        return False
    # In place and folded norms give no gradient to their own scale: one that learns goes the long way.
    return not (torch.is_grad_enabled() and norm.weight.requires_grad)


def scale_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """C, C: the scale and shift that an affine norm amounts to.

    Args:
        norm: affine, with running statistics.

    Returns:
        scale C and shift C: y = x * scale + shift.
    """
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale


def apply_affine_(norm: nn.Module, x: Tensor) -> Tensor:
    """An affine norm on N,C,H,W in place.

    Rounds exactly as ``F.batch_norm`` does where ``x`` carries no gradient (one fused multiply-add, the shift as well), and
    as Detectron2's FrozenBatchNorm2d where it does: deep networks amplify a last-digit difference a thousandfold.
    """
    if x.requires_grad or x.dtype != torch.float32:
        scale, shift = scale_and_shift(norm)
        return x.mul_(scale.to(x.dtype)[:, None, None]).add_(shift.to(x.dtype)[:, None, None])
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    shift = (norm.bias.double() - norm.running_mean.double() * scale.double()).float()
    return torch.addcmul(shift[:, None, None], x, scale[:, None, None], out=x)
