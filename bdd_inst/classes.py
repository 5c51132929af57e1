"""Class names in contract order, their other spellings, and the colours they are drawn in.

Source of the BDD100K order and mappings: the official toolkit's ``ins_seg.toml`` and ``det.toml``.
"""

from __future__ import annotations

BDD100K_INS_SEG = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
BDD100K_DET = (*BDD100K_INS_SEG, "traffic light", "traffic sign")
FASHION_PERSON = ("person",)
FASHION_CLOTHES = ("skin", "hair", "t-shirt", "shoes", "pants", "dress")
COCO_PERSON = ("person",)

# Spellings met in real label files -> the contract name.
BDD100K_ALIASES = {
    "person": "pedestrian",
    "bike": "bicycle",
    "motor": "motorcycle",
    "motorbike": "motorcycle",
    "van": "car",
    "caravan": "car",
}

# Categories that the official evaluation ignores -> the class whose predictions they excuse.
BDD100K_IGNORED = {"other person": "pedestrian", "other vehicle": "car", "trailer": "truck"}
