"""Backbones: from images to feature maps. The table of them, by name."""

from collections.abc import Callable, Sequence

from fvcore.common.config import CfgNode
from torch import nn

from bdd_inst.base.errors import ConfigError
from bdd_inst.base.registry import Registry
from bdd_inst.modeling.backbones.fpn import (
    build_resnet_backbone,
    build_resnet_fpn_backbone,
    build_timm_fpn_backbone,
)

# From a cfg to a module with random weights that takes N,3,H,W and gives its maps N,C,H/stride,W/stride by name, and has ``channels`` and
# ``strides`` by those names and ``size_divisibility``, which the sides of a batch must be multiples of (0: any).
BACKBONES: Registry[Callable[[CfgNode], nn.Module]] = Registry(
    "MODEL.BACKBONE.NAME",
    {
        "build_resnet_backbone": build_resnet_backbone,
        "build_resnet_fpn_backbone": build_resnet_fpn_backbone,
        "build_timm_fpn_backbone": build_timm_fpn_backbone,
    },
)


def build_backbone(cfg: CfgNode) -> nn.Module:
    """The backbone of MODEL.BACKBONE.NAME with random weights.

    Raises:
        ConfigError: no such name, or its keys do not go together.
    """
    return BACKBONES.pick(cfg.MODEL.BACKBONE.NAME)(cfg)


def require_features(backbone: nn.Module, key: str, names: Sequence[str]) -> None:
    """Raise ConfigError where a head would read a map that the backbone does not give.

    Args:
        key: the config key that holds ``names``.
    """
    missing = [name for name in names if name not in backbone.strides]
    if missing or not len(names):
        there = ", ".join(backbone.strides)
        what = missing[0] if missing else "nothing"
        raise ConfigError(
            f"{key} {list(names)}: {what} is not among the backbone's features ({there})"
        )
