"""Feature Pyramid Network (Lin et al. 2017): maps of equal width at strides 4, 8, 16, 32 and, by pooling, 64.

Maps are of the precision of the input.
"""

from __future__ import annotations

import math

from fvcore.common.config import CfgNode
from fvcore.nn.weight_init import c2_xavier_fill
from torch import Tensor, nn
from torch.nn import functional as F

from bdd_inst.modeling.backbones.resnet import ResNet, resnet_from_config
from bdd_inst.modeling.backbones.timm_backbone import TimmBackbone, timm_from_config
from bdd_inst.modeling.layers.convolution import Conv2d
from bdd_inst.modeling.layers.norms import LayerNorm2d, get_norm


class FPN(nn.Module):
    """Lateral 1x1 and output 3x3 convolutions, named ``fpn_lateral<log2 stride>`` and ``fpn_output<log2 stride>``.

    A backbone that asks for it (``norm_features``) has each of its features normed first: ``fpn_norm<log2 stride>``.

    Attributes: ``channels`` and ``strides`` by map name (``p2`` ... ``p6``); ``size_divisibility``, the stride of the
    coarsest map made by convolution, which must divide the sides of the input.
    """

    def __init__(
        self,
        bottom_up: ResNet | TimmBackbone,
        in_features: tuple[str, ...],
        width: int,
        norm: str,
        fuse_type: str,
    ):
        super().__init__()
        self.bottom_up, self.in_features, self.fuse_type = bottom_up, in_features, fuse_type
        # Layers are named after them, as in Detectron2: its weights find their places.
        self.levels = [int(math.log2(bottom_up.strides[name])) for name in in_features]
        for name, level in zip(in_features, self.levels, strict=True):
            lateral = Conv2d(
                bottom_up.channels[name], width, 1, bias=not norm, norm=get_norm(norm, width)
            )
            output = Conv2d(width, width, 3, padding=1, bias=not norm, norm=get_norm(norm, width))
            # Neither convolution has a ReLU behind it, which He's rule reckons with: Detectron2 fills both by Xavier's.
            c2_xavier_fill(lateral)
            c2_xavier_fill(output)
            self.add_module(f"fpn_lateral{level}", lateral)
            self.add_module(f"fpn_output{level}", output)
            if getattr(bottom_up, "norm_features", False):
                self.add_module(f"fpn_norm{level}", LayerNorm2d(bottom_up.channels[name]))
        made = [*self.levels, self.levels[-1] + 1]
        self.strides = {f"p{level}": 2**level for level in made}
        self.channels = {f"p{level}": width for level in made}
        self.size_divisibility = 2 ** self.levels[-1]

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """N,3,H,W to N,C,H/stride,W/stride by name, finest first."""
        features = self.bottom_up(x)
        maps, above = {}, None
        for name, level in zip(reversed(self.in_features), reversed(self.levels), strict=True):
            lateral, output = (
                getattr(self, f"fpn_lateral{level}"),
                getattr(self, f"fpn_output{level}"),
            )
            norm = getattr(self, f"fpn_norm{level}", None)
            feature = features[name] if norm is None else norm(features[name])
            if above is None:
                above = lateral(feature)
            else:
                above = add_doubled(lateral(feature), above)
                # The average of the two maps instead of their sum.
                above = above / 2 if self.fuse_type == "avg" else above
            maps[f"p{level}"] = output(above)
        coarsest = self.levels[-1]
        # Finest first again, as heads read them: the loop went from the top down.
        maps = {f"p{level}": maps[f"p{level}"] for level in self.levels}
        # p6 exists for large anchors only; picking every second pixel of p5 is max pooling with a 1x1 window.
        maps[f"p{coarsest + 1}"] = F.max_pool2d(maps[f"p{coarsest}"], kernel_size=1, stride=2)
        return maps


def add_doubled(fine: Tensor, coarse: Tensor) -> Tensor:
    """``fine`` N,C,2H,2W plus ``coarse`` N,C,H,W with every pixel repeated twice each way."""
    if fine.requires_grad or coarse.requires_grad:
        return fine + F.interpolate(coarse, scale_factor=2.0, mode="nearest")
    h, w = coarse.shape[-2:]
    # In place and without making the doubled map, which would be the largest tensor of the pyramid.
    fine.permute(0, 2, 3, 1).unflatten(2, (w, 2)).unflatten(1, (h, 2)).add_(
        coarse.permute(0, 2, 3, 1)[:, :, None, :, None]
    )
    return fine


def build_resnet_backbone(cfg: CfgNode) -> nn.Module:
    """The bare ResNet of the C4 and DC5 variants."""
    bottom_up = resnet_from_config(cfg)
    bottom_up.size_divisibility = 0
    return bottom_up


def build_resnet_fpn_backbone(cfg: CfgNode) -> FPN:
    """The FPN on a ResNet."""
    return _pyramid(cfg, resnet_from_config(cfg))


def build_timm_fpn_backbone(cfg: CfgNode) -> FPN:
    """The FPN on a model of timm."""
    return _pyramid(cfg, timm_from_config(cfg))


def _pyramid(cfg: CfgNode, bottom_up: ResNet | TimmBackbone) -> FPN:
    options = cfg.MODEL.FPN
    return FPN(
        bottom_up,
        in_features=tuple(options.IN_FEATURES),
        width=options.OUT_CHANNELS,
        norm=options.NORM,
        fuse_type=options.FUSE_TYPE,
    )
