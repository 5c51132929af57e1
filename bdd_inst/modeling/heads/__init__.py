"""Heads: what a backbone's features are turned into. The tables of second stages and of pixel-wise heads, by name."""

from collections.abc import Callable

from fvcore.common.config import CfgNode
from torch import nn

from bdd_inst.base.registry import Registry
from bdd_inst.modeling.heads.cascade import CascadeROIHeads
from bdd_inst.modeling.heads.res5_heads import Res5ROIHeads
from bdd_inst.modeling.heads.roi_heads import StandardROIHeads
from bdd_inst.modeling.heads.sem_seg import (
    build_fast_scnn,
    build_light_unet,
    build_sem_seg_fpn,
    build_smp,
)

# From cfg, channels and strides by feature name to the second stage.
ROI_HEADS: Registry[Callable[[CfgNode, dict[str, int], dict[str, int]], nn.Module]] = Registry(
    "MODEL.ROI_HEADS.NAME",
    {
        "StandardROIHeads": StandardROIHeads.from_config,
        "CascadeROIHeads": CascadeROIHeads.from_config,
        "Res5ROIHeads": Res5ROIHeads.from_config,
    },
)

# From a cfg to backbone and head: some heads come with a backbone of their own.
SEM_SEG_HEADS: Registry[Callable[[CfgNode], tuple[nn.Module, nn.Module]]] = Registry(
    "MODEL.SEM_SEG_HEAD.NAME",
    {
        "SemSegFPNHead": build_sem_seg_fpn,
        "Unet": build_smp,
        "DeepLabV3": build_smp,
        "DeepLabV3Plus": build_smp,
        "FPN": build_smp,
        "Segformer": build_smp,
        "LightUnet": build_light_unet,
        "FastSCNN": build_fast_scnn,
    },
)
