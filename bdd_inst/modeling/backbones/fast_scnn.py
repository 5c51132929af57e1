"""The shared beginning of Fast-SCNN (Poudel, Liwicki, Cipolla, BMVC 2019): detail at stride 8, context at stride 32.

Maps are of the precision of the input.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bdd_inst.modeling.backbones.resnet import norm_conv

POOLED = (1, 2, 3, 6)  # sides of the grids of the pyramid pooling


def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A depthwise 3x3 convolution and a pointwise one, each with batch norm and ReLU."""
    return nn.Sequential(
        norm_conv("BN", inputs, inputs, 3, stride=stride, groups=inputs),
        norm_conv("BN", inputs, outputs, 1),
    )


class InvertedResidual(nn.Module):
    """Widened six times, a depthwise 3x3 convolution, narrowed without ReLU (MobileNetV2's bottleneck)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        wide = 6 * inputs
        self.shortcut = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            norm_conv("BN", inputs, wide, 1),
            norm_conv("BN", wide, wide, 3, stride=stride, groups=wide),
            # Few channels behind a ReLU lose what they carry (MobileNetV2, section 3.2): the narrow end stays linear.
            norm_conv("BN", wide, outputs, 1, relu=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W to N,C',H/stride,W/stride."""
        return x + self.layers(x) if self.shortcut else self.layers(x)


def grid_means(x: Tensor, side: int) -> Tensor:
    """N,C,H,W to N,C,side,side: means over a grid of equal cells, which overlap by a row where they do not divide the map.

    Exporters know no adaptive pooling of sizes that do not divide; to them it is two products with fixed matrices.
    """
    if not torch.jit.is_tracing():
        return F.adaptive_avg_pool2d(x, side)
    rows, columns = (_cell_weights(int(length), side).to(x) for length in x.shape[-2:])
    return rows @ x @ columns.T


def _cell_weights(length: int, side: int) -> Tensor:
    """side,length: each row averages one cell, bounded as adaptive pooling bounds it."""
    out = torch.zeros(side, length)
    for cell in range(side):
        # Rounded down and up, as PyTorch's adaptive pooling bounds its cells.
        begin, end = cell * length // side, -(-(cell + 1) * length // side)
        out[cell, begin:end] = 1 / (end - begin)
    return out


class PyramidPooling(nn.Module):
    """Means over grids of four sizes, each to a quarter of the channels, beside the map itself (Zhao et al. 2017)."""

    def __init__(self, channels: int):
        super().__init__()
        self.branches = nn.ModuleList(norm_conv("BN", channels, channels // 4, 1) for _ in POOLED)
        self.fuse = norm_conv("BN", 2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W to N,C',H,W: what lies around each cell, at several reaches."""
        size = x.shape[-2:]
        parts = [
            F.interpolate(branch(grid_means(x, side)), size, mode="bilinear", align_corners=False)
            for side, branch in zip(POOLED, self.branches, strict=True)
        ]
        return self.fuse(torch.cat([x, *parts], dim=1))


class FastSCNNBackbone(nn.Module):
    """``learning_to_downsample`` to 64 channels at stride 8, ``global_feature_extractor`` from there to 128 at stride 32."""

    size_divisibility = 32
    freeze_parts = None  # it is trained from scratch as a whole

    def __init__(self):
        super().__init__()
        self.channels, self.strides = {"detail": 64, "context": 128}, {"detail": 8, "context": 32}
        self.learning_to_downsample = nn.Sequential(
            norm_conv("BN", 3, 32, 3, stride=2), separable(32, 48, 2), separable(48, 64, 2)
        )
        blocks, inputs = [], 64
        for outputs, stride in ((64, 2), (96, 2), (128, 1)):
            for index in range(3):
                blocks.append(InvertedResidual(inputs, outputs, stride if index == 0 else 1))
                inputs = outputs
        self.global_feature_extractor = nn.Sequential(*blocks, PyramidPooling(inputs))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """N,3,H,W to ``detail`` N,64,H/8,W/8 and ``context`` N,128,H/32,W/32."""
        detail = self.learning_to_downsample(x)
        return {"detail": detail, "context": self.global_feature_extractor(detail)}
