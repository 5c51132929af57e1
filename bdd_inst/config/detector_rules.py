"""Config keys of detectors that only make sense together: anchors a level, box and mask heads, cascades."""

from __future__ import annotations

from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.backbone_rules import (
    check_backbone,
    check_group_norm,
    check_in_features,
    feature_names,
)

PYRAMID_HEADS = ("StandardROIHeads", "CascadeROIHeads")


def check_detector(cfg: CfgNode) -> None:
    """Refuse keys of a detector that contradict each other. Raises ConfigError."""
    check_backbone(cfg)
    features = feature_names(cfg)
    for key in ("RPN", "ROI_HEADS"):
        check_in_features(cfg, key, features)
    _check_anchors(cfg.MODEL.ANCHOR_GENERATOR, len(cfg.MODEL.RPN.IN_FEATURES))
    _check_heads(cfg)


def _check_anchors(options: CfgNode, levels: int) -> None:
    counts = {}
    for key in ("SIZES", "ASPECT_RATIOS"):
        rows = options[key]
        if not len(rows) or not all(isinstance(row, (list, tuple)) and len(row) for row in rows):
            raise ConfigError(
                f"MODEL.ANCHOR_GENERATOR.{key} must be a list of lists of numbers, it is {rows}"
            )
        if len(rows) not in (1, levels):
            raise ConfigError(
                f"MODEL.ANCHOR_GENERATOR.{key} has {len(rows)} lists, the RPN {levels} levels: give 1 or {levels}"
            )
        counts[key] = [len(row) for row in (list(rows) * levels if len(rows) == 1 else rows)]
    cells = {a * b for a, b in zip(counts["SIZES"], counts["ASPECT_RATIOS"])}
    if len(cells) > 1:
        raise ConfigError(
            "MODEL.ANCHOR_GENERATOR: every level needs as many anchors a cell, because one RPN head serves all of them"
        )


def _check_heads(cfg: CfgNode) -> None:
    heads, box = cfg.MODEL.ROI_HEADS, cfg.MODEL.ROI_BOX_HEAD
    if heads.NAME in PYRAMID_HEADS and not box.NAME:
        raise ConfigError(
            f"MODEL.ROI_BOX_HEAD.NAME must be FastRCNNConvFCHead with MODEL.ROI_HEADS.NAME {heads.NAME}, it is ''"
        )
    if heads.NAME in PYRAMID_HEADS and not box.NUM_CONV + box.NUM_FC:
        raise ConfigError(
            "MODEL.ROI_BOX_HEAD: NUM_CONV and NUM_FC are both 0; give the head at least one layer"
        )
    if heads.NAME == "Res5ROIHeads" and list(heads.IN_FEATURES) != ["res4"]:
        given = list(heads.IN_FEATURES)
        raise ConfigError(
            f"MODEL.ROI_HEADS.IN_FEATURES must be ['res4'] with MODEL.ROI_HEADS.NAME Res5ROIHeads, it is {given}"
        )
    for key, head in (("ROI_BOX_HEAD", box), ("ROI_MASK_HEAD", cfg.MODEL.ROI_MASK_HEAD)):
        if head.NUM_CONV:
            check_group_norm(cfg, f"{key}.NORM", f"{key}.CONV_DIM")
    if heads.NAME == "CascadeROIHeads":
        _check_cascade(cfg)


def _check_cascade(cfg: CfgNode) -> None:
    heads, box, cascade = (
        cfg.MODEL[key] for key in ("ROI_HEADS", "ROI_BOX_HEAD", "ROI_BOX_CASCADE_HEAD")
    )
    ious, weights = list(cascade.IOUS), list(cascade.BBOX_REG_WEIGHTS)
    for key, values, wanted in (
        ("IOUS", ious, all(isinstance(iou, (int, float)) for iou in ious)),
        ("BBOX_REG_WEIGHTS", weights, all(len(row) == 4 for row in weights)),
    ):
        if not values or not wanted or len(ious) != len(weights):
            raise ConfigError(
                f"MODEL.ROI_BOX_CASCADE_HEAD.{key} {values}: a cascade needs one overlap in IOUS and four numbers in "
                "BBOX_REG_WEIGHTS for each of its stages"
            )
    where = "with MODEL.ROI_HEADS.NAME CascadeROIHeads"
    needed = {
        "ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": (box.CLS_AGNOSTIC_BBOX_REG, True),
        "ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES": (box.TRAIN_ON_PRED_BOXES, False),
        "ROI_HEADS.IOU_THRESHOLDS": (list(heads.IOU_THRESHOLDS), ious[:1]),
        "ROI_HEADS.IOU_LABELS": (list(heads.IOU_LABELS), [0, 1]),
    }
    for key, (given, wanted) in needed.items():
        if given != wanted:
            raise ConfigError(f"MODEL.{key} must be {wanted} {where}, it is {given}")
