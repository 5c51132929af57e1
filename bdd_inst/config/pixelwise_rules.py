"""Config keys of pixel-wise and panoptic models that only make sense together: encoders, decoders, losses, tiles."""

from __future__ import annotations

from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.backbone_rules import (
    TIMM,
    check_backbone,
    check_group_norm,
    check_in_features,
    feature_names,
)
from bdd_inst.config.detector_rules import check_detector

# Names of MODEL.SEM_SEG_HEAD that stand on MODEL.SEM_SEG_HEAD.ENCODER, and those that do not.
WITH_ENCODER = ("Unet", "DeepLabV3", "DeepLabV3Plus", "FPN", "Segformer", "LightUnet")
WITHOUT_ENCODER = ("SemSegFPNHead", "FastSCNN")


def check_panoptic(cfg: CfgNode) -> None:
    """Refuse keys of a panoptic model that contradict each other. Raises ConfigError."""
    check_detector(cfg)
    head, where = cfg.MODEL.SEM_SEG_HEAD, "with MODEL.META_ARCHITECTURE PanopticFPN"
    if head.NAME != "SemSegFPNHead":
        raise ConfigError(
            f"MODEL.SEM_SEG_HEAD.NAME must be SemSegFPNHead {where}, it is {head.NAME}"
        )
    if head.NUM_CLASSES < 2:
        raise ConfigError(
            f"MODEL.SEM_SEG_HEAD.NUM_CLASSES must be at least 2 {where}, things and one kind of stuff, it is {head.NUM_CLASSES}"
        )
    if not cfg.MODEL.MASK_ON:
        raise ConfigError(f"MODEL.MASK_ON must be True {where}, which makes segments of masks")
    check_sem_seg(cfg)


def check_sem_seg(cfg: CfgNode) -> None:
    """Refuse keys of MODEL.SEM_SEG_HEAD and of tiles that contradict each other. Raises ConfigError."""
    options = cfg.MODEL.SEM_SEG_HEAD
    where = f"with MODEL.SEM_SEG_HEAD.NAME {options.NAME}"
    _check_pixel_losses(options)
    tiles = cfg.TEST.TILES
    if not 0 <= tiles.OVERLAP < tiles.SIZE:
        raise ConfigError(
            f"TEST.TILES: OVERLAP must be from 0 to below SIZE {tiles.SIZE}, it is {tiles.OVERLAP}"
        )
    if options.NAME not in (*WITH_ENCODER, *WITHOUT_ENCODER):
        return
    needs_encoder = options.NAME in WITH_ENCODER
    if needs_encoder != bool(options.ENCODER):
        needed = "must name an encoder, e.g. resnet34," if needs_encoder else "must be ''"
        raise ConfigError(f"MODEL.SEM_SEG_HEAD.ENCODER {needed} {where}, it is {options.ENCODER!r}")
    widths = list(options.DECODER_CHANNELS)
    allowed = (
        (0, options.ENCODER_DEPTH)
        if options.NAME in ("Unet", "LightUnet")
        else (0, 1)
        if needs_encoder
        else (0,)
    )
    if len(widths) not in allowed or not all(isinstance(w, int) and w > 0 for w in widths):
        counts = " or ".join(map(str, allowed))
        raise ConfigError(
            f"MODEL.SEM_SEG_HEAD.DECODER_CHANNELS needs {counts} whole numbers {where}, it is {widths}"
        )
    if options.NAME == "FastSCNN" and cfg.MODEL.BACKBONE.FREEZE_AT:
        raise ConfigError(
            f"MODEL.BACKBONE.FREEZE_AT must be 0 {where}, which is trained from scratch; it is {cfg.MODEL.BACKBONE.FREEZE_AT}"
        )
    if options.NAME == "SemSegFPNHead":
        check_backbone(cfg)
        _check_sem_seg_fpn(cfg, feature_names(cfg))


def _check_pixel_losses(options: CfgNode) -> None:
    if options.NUM_CLASSES == 1 and options.LOSSES.CROSS_ENTROPY:
        raise ConfigError(
            "MODEL.SEM_SEG_HEAD.LOSSES.CROSS_ENTROPY needs at least 2 classes; use BCE with NUM_CLASSES 1"
        )
    labels, weights = max(options.NUM_CLASSES, 2), list(options.CLASS_WEIGHTS)
    if weights and (len(weights) != labels or min(weights) < 0):
        raise ConfigError(
            f"MODEL.SEM_SEG_HEAD.CLASS_WEIGHTS needs {labels} numbers from 0 on, one a label, it is {weights}"
        )


def _check_sem_seg_fpn(cfg: CfgNode, features: tuple[str, ...] | None) -> None:
    if features is None:
        return
    options = cfg.MODEL.SEM_SEG_HEAD
    check_group_norm(cfg, "SEM_SEG_HEAD.NORM", "SEM_SEG_HEAD.CONVS_DIM")
    check_in_features(cfg, "SEM_SEG_HEAD", features)
    if not all(name.startswith("p") for name in features):
        raise ConfigError(
            f"MODEL.SEM_SEG_HEAD.NAME {options.NAME} needs a pyramid, MODEL.BACKBONE.NAME build_resnet_fpn_backbone or {TIMM}"
        )
    # Maps are doubled until they have the common stride, so it must be a power of two and no coarser than any of them.
    finest = min(2 ** int(name[1:]) for name in options.IN_FEATURES)
    if options.COMMON_STRIDE not in [2**n for n in range(int(finest).bit_length())]:
        raise ConfigError(
            f"MODEL.SEM_SEG_HEAD.COMMON_STRIDE {options.COMMON_STRIDE} must be a power of two and at most {finest}, the stride of "
            "the finest map of IN_FEATURES"
        )
