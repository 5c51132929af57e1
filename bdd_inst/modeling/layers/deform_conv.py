"""Deformable convolution (Dai et al. 2017, Zhu et al. 2018): every tap of the kernel reads where an offset says."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from bdd_inst.modeling.layers.convolution import Conv2d, apply_norm
from bdd_inst.modeling.layers.norms import apply_affine_, is_affine


class DeformConv2d(nn.Module):
    """A 3x3 convolution without bias at offsets, then its norm and ReLU; the parameters are ``weight`` and ``norm.*``.

    It computes in float32 at least and gives back the precision of its input: positions need more digits than bf16 has.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        stride: int,
        dilation: int,
        groups: int,
        norm: nn.Module | None,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, 3, 3))
        self.register_parameter("bias", None)
        self.stride, self.dilation, self.norm = stride, dilation, norm

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        """N,C,H,W to N,C',H',W'.

        Args:
            offset: N,18G,H',W', for each of G groups of channels and each tap how far down and how far right it reads.
            mask: N,9G,H',W', what each tap counts (DCN v2).
        """
        precision = torch.promote_types(x.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            out = deform_conv2d(
                x.to(precision),
                offset.to(precision),
                self.weight.to(precision),
                None,
                self.stride,
                self.dilation,
                self.dilation,
                None if mask is None else mask.to(precision),
            ).to(x.dtype)
        if self.norm is not None:
            out = (
                apply_affine_(self.norm, out)
                if is_affine(self.norm)
                else apply_norm(self.norm, out)
            )
        return torch.relu_(out)


class Offsets(Conv2d):
    """The convolution that says where the taps read; it begins at their usual places, which is a plain convolution.

    Args:
        width: channels of the features.
        groups: of channels with offsets of their own.
        modulated: whether every tap also gets a weight from 0 to 1.
    """

    def __init__(self, width: int, *, stride: int, dilation: int, groups: int, modulated: bool):
        super().__init__(
            width,
            (27 if modulated else 18) * groups,
            3,
            stride=stride,
            padding=dilation,
            dilation=dilation,
        )
        self.modulated = modulated
        # Offsets of 0, and weights of sigmoid(0) = 1/2, as both papers begin.
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """From x N,C,H,W the offsets N,18G,H',W' and, where modulated, the weights N,9G,H',W' in 0..1, in the precision of x, as :class:`DeformConv2d` takes them."""
        out = super().forward(x)
        if not self.modulated:
            return out, None
        # Two numbers a tap for the offsets, one for the weight: Detectron2's order of the channels.
        cut = out.shape[1] // 3 * 2
        return out[:, :cut], out[:, cut:].sigmoid()
