"""A small Mask R-CNN and batches for it, shared by the tests of this folder."""

from __future__ import annotations

import numpy as np
import torch

from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.structures import Boxes, Instances, PolygonMasks

SMALL = {
    "MODEL.DEVICE": "cpu",
    "MODEL.RESNETS.STEM_OUT_CHANNELS": 8,
    "MODEL.RESNETS.RES2_OUT_CHANNELS": 16,
    "MODEL.RESNETS.WIDTH_PER_GROUP": 4,
    "MODEL.FPN.OUT_CHANNELS": 16,
    "MODEL.ROI_BOX_HEAD.FC_DIM": 32,
    "MODEL.ROI_MASK_HEAD.CONV_DIM": 16,
    "MODEL.ROI_HEADS.NUM_CLASSES": 3,
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": 100,
    "MODEL.RPN.POST_NMS_TOPK_TEST": 100,
}
C4 = {
    "MODEL.BACKBONE.NAME": "build_resnet_backbone",
    "MODEL.RESNETS.OUT_FEATURES": ["res4"],
    "MODEL.RPN.IN_FEATURES": ["res4"],
    "MODEL.ANCHOR_GENERATOR.SIZES": [[32, 64, 128]],
    "MODEL.ROI_HEADS.NAME": "Res5ROIHeads",
    "MODEL.ROI_HEADS.IN_FEATURES": ["res4"],
    "MODEL.ROI_BOX_HEAD.NAME": "",
    "MODEL.ROI_BOX_HEAD.NUM_FC": 0,
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": 14,
    "MODEL.ROI_MASK_HEAD.NUM_CONV": 0,
}
DC5 = {
    "MODEL.BACKBONE.NAME": "build_resnet_backbone",
    "MODEL.RESNETS.OUT_FEATURES": ["res5"],
    "MODEL.RESNETS.RES5_DILATION": 2,
    "MODEL.RPN.IN_FEATURES": ["res5"],
    "MODEL.ANCHOR_GENERATOR.SIZES": [[32, 64, 128]],
    "MODEL.ROI_HEADS.IN_FEATURES": ["res5"],
}


def config(**changes):
    """The base config made small; keys are written with ``__`` for the dots, or given as ``keys={...}``."""
    cfg = load_cfg("Base-MaskRCNN-FPN.yaml")
    keys = SMALL | changes.pop("keys", {}) | {k.replace("__", "."): v for k, v in changes.items()}
    cfg.merge_from_list([item for pair in keys.items() for item in pair])
    return cfg


def model(seed: int = 0, **changes) -> torch.nn.Module:
    torch.manual_seed(seed)
    built = build_model(config(**changes))
    with torch.no_grad():  # every score alike would leave nothing to detect
        for name, parameter in built.named_parameters():
            if name.endswith(("cls_score.weight", "objectness_logits.weight", "predictor.weight")):
                parameter.mul_(30)
    return built


def batch(images: int = 2, objects: int = 4, seed: int = 0) -> list[dict]:
    """Images of two sizes with circles on noise."""
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    out = []
    for index in range(images):
        height, width = [(96, 128), (120, 100)][index % 2]
        image = torch.from_numpy(rng.integers(0, 255, (3, height, width), dtype=np.uint8))
        polygons, boxes = [], []
        for _ in range(objects):
            center, radius = rng.uniform(30, 70, 2), rng.uniform(8, 25)
            polygons.append(
                [(center + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)).reshape(-1)]
            )
            boxes.append([*(center - radius), *(center + radius)])
        instances = Instances((height, width))
        instances.gt_boxes = Boxes(np.array(boxes, dtype=np.float32).reshape(-1, 4))
        instances.gt_classes = torch.from_numpy(rng.integers(0, 3, objects))
        instances.gt_masks = PolygonMasks(polygons)
        out.append(
            {
                "image": image,
                "height": height * 2,
                "width": width * 2,
                "instances": instances,
                "sample_seed": 10 + index,
            }
        )
    return out
