"""Meta-architectures: whole models behind the one contract of list[dict] in, losses or outputs out."""

from collections.abc import Callable

from fvcore.common.config import CfgNode
from torch import nn

from bdd_inst.base.registry import Registry
from bdd_inst.modeling.meta.mask_rcnn import build_mask_rcnn
from bdd_inst.modeling.meta.panoptic_fpn import build_panoptic_fpn
from bdd_inst.modeling.meta.semantic_segmentor import build_semantic_segmentor

# From a cfg to the model with random weights, frozen as MODEL.BACKBONE.FREEZE_AT says.
META_ARCHITECTURES: Registry[Callable[[CfgNode], nn.Module]] = Registry(
    "MODEL.META_ARCHITECTURE",
    {
        "GeneralizedRCNN": build_mask_rcnn,
        "PanopticFPN": build_panoptic_fpn,
        "SemanticSegmentor": build_semantic_segmentor,
    },
)
