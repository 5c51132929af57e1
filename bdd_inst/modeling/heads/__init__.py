"""Heads: what stands on a backbone's features. The table of second stages, by name."""

from bdd_inst.modeling.heads.cascade import CascadeROIHeads
from bdd_inst.modeling.heads.roi_heads import Res5ROIHeads, StandardROIHeads

# MODEL.ROI_HEADS.NAME -> from cfg, channels and strides by feature name to the second stage.
ROI_HEADS = {
    "StandardROIHeads": StandardROIHeads,
    "CascadeROIHeads": CascadeROIHeads,
    "Res5ROIHeads": Res5ROIHeads,
}
