"""Meta-architectures: whole models behind the one contract of list[dict] in, losses or outputs out."""

from bdd_inst.modeling.meta.mask_rcnn import build_mask_rcnn
from bdd_inst.modeling.meta.panoptic_fpn import build_panoptic_fpn
from bdd_inst.modeling.meta.semantic_segmentor import build_semantic_segmentor

# MODEL.META_ARCHITECTURE -> from a cfg to the model with random weights, frozen as MODEL.BACKBONE.FREEZE_AT says.
META_ARCHITECTURES = {
    "GeneralizedRCNN": build_mask_rcnn,
    "PanopticFPN": build_panoptic_fpn,
    "SemanticSegmentor": build_semantic_segmentor,
}
