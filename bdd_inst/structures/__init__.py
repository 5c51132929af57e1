"""The types that carry boxes, masks and instances between rooms, under Detectron2's names."""

from bdd_inst.structures.bit_masks import BitMasks
from bdd_inst.structures.boxes import (
    Boxes,
    BoxMode,
    matched_boxlist_iou,
    pairwise_intersection,
    pairwise_ioa,
    pairwise_iou,
)
from bdd_inst.structures.cropped_masks import CroppedMasks
from bdd_inst.structures.image_list import ImageList
from bdd_inst.structures.instances import Instances
from bdd_inst.structures.polygon_masks import PolygonMasks
from bdd_inst.structures.rle_masks import RLEMasks

__all__ = [
    "BitMasks",
    "BoxMode",
    "Boxes",
    "CroppedMasks",
    "ImageList",
    "Instances",
    "PolygonMasks",
    "RLEMasks",
    "matched_boxlist_iou",
    "pairwise_intersection",
    "pairwise_ioa",
    "pairwise_iou",
]
