"""A narrow U-Net decoder for encoders that are cheap themselves: one 3x3 convolution a level, the last at stride 2.

Maps are of the precision of the input.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from bdd_inst.modeling.backbones.resnet import norm_conv

WIDTHS = (128, 96, 64, 48, 24)  # of strides 32, 16, 8, 4 and 2


class LightDecoder(nn.Module):
    """The encoder's maps, each squeezed to its level's width, added up from the coarsest to stride 2.

    A U-Net's decoder spends most of its time on concatenated maps at full size. Here what comes from below is squeezed before it is
    enlarged, and added to the squeezed map of the encoder; logits at stride 2 are enlarged bilinearly by the caller.

    Args:
        channels: of the encoder's maps from stride 2 on, finest first.
        widths: of the levels, coarsest first, one for each map.
    """

    def __init__(self, channels: Sequence[int], widths: Sequence[int]):
        super().__init__()
        coarsest_first = list(channels)[::-1]
        self.out_channels = widths[-1]
        self.lateral = nn.ModuleList(
            norm_conv("BN", given, width, 1, relu=False)
            for given, width in zip(coarsest_first, widths, strict=True)
        )
        self.scene = nn.Conv2d(widths[0], widths[0], 1)
        self.smooth = nn.ModuleList(norm_conv("BN", width, width, 3) for width in widths)
        self.squeeze = nn.ModuleList(
            norm_conv("BN", below, width, 1, relu=False)
            for below, width in itertools.pairwise(widths)
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Maps N,C,H/2,W/2 to N,C,H/2^n,W/2^n into one N,``out_channels``,H/2,W/2."""
        coarsest, *finer = reversed(features)
        x = self.lateral[0](coarsest)
        # What the whole image shows; without a norm, so that a batch of one can train it.
        x = self.smooth[0](F.relu(x + self.scene(x.mean((2, 3), keepdim=True))))
        levels = zip(self.squeeze, self.lateral[1:], self.smooth[1:], finer, strict=True)
        for squeeze, lateral, smooth, feature in levels:
            below = F.interpolate(
                squeeze(x), feature.shape[-2:], mode="bilinear", align_corners=False
            )
            x = smooth(F.relu(below + lateral(feature)))
        return x
