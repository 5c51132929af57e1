"""Config keys that only make sense together: feature names, anchors a level, widths of small ResNets, copy-paste and masks."""

from __future__ import annotations

from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError

STAGES = ("res2", "res3", "res4", "res5")
TIMM = "build_timm_fpn_backbone"
# Names of MODEL.SEM_SEG_HEAD that stand on MODEL.SEM_SEG_HEAD.ENCODER, and those that do not.
WITH_ENCODER = ("Unet", "DeepLabV3", "DeepLabV3Plus", "FPN", "Segformer", "LightUnet")
WITHOUT_ENCODER = ("SemSegFPNHead", "FastSCNN")
PYRAMID_HEADS = ("StandardROIHeads", "CascadeROIHeads")


def check_consistency(cfg: CfgNode) -> None:
    """Refuse combinations that would fail deep inside the run, or build another model than the config describes.

    Args:
        cfg: a whole config. Which model its keys describe is left to Detectron2 where MODEL.ENGINE says so.

    Raises:
        ConfigError: one line that names both keys.
    """
    if cfg.MODEL.ENGINE == "builtin":
        # A user's own model, backbone or head knows its keys itself.
        ARCHITECTURES.get(cfg.MODEL.META_ARCHITECTURE, _nothing)(cfg)
    _check_input(cfg)
    _check_solver(cfg)


def _check_input(cfg: CfgNode) -> None:
    options = cfg.INPUT
    sizes, sampling = options.MIN_SIZE_TRAIN, options.MIN_SIZE_TRAIN_SAMPLING
    sizes = [sizes] if isinstance(sizes, int) else list(sizes)
    if not sizes or (sampling == "range" and len(sizes) != 2):
        raise ConfigError(
            f"INPUT.MIN_SIZE_TRAIN {sizes} and MIN_SIZE_TRAIN_SAMPLING {sampling!r}: choice takes a list, range two sizes"
        )
    if options.COPY_PASTE.ENABLED:
        _check_copy_paste(cfg)


def _check_copy_paste(cfg: CfgNode) -> None:
    architecture = cfg.MODEL.META_ARCHITECTURE
    if architecture == "PanopticFPN":
        raise ConfigError(
            "INPUT.COPY_PASTE is not built for MODEL.META_ARCHITECTURE PanopticFPN; set INPUT.COPY_PASTE.ENABLED False"
        )
    bitmasks = cfg.MODEL.MASK_ON and cfg.INPUT.MASK_FORMAT == "bitmask"
    if architecture != "SemanticSegmentor" and not bitmasks:
        raise ConfigError(
            "INPUT.COPY_PASTE cuts masks where objects are pasted over them: it needs MODEL.MASK_ON and INPUT.MASK_FORMAT bitmask"
        )


def _check_solver(cfg: CfgNode) -> None:
    solver, loader = cfg.SOLVER, cfg.DATALOADER
    if (
        solver.LR_SCHEDULER_NAME == "WarmupCosineLR"
        and not 0 <= solver.BASE_LR_END <= solver.BASE_LR
    ):
        raise ConfigError(
            f"SOLVER.BASE_LR_END {solver.BASE_LR_END} must lie between 0 and SOLVER.BASE_LR {solver.BASE_LR}"
        )
    if loader.SAMPLER_TRAIN == "RepeatFactorTrainingSampler" and loader.REPEAT_THRESHOLD <= 0:
        raise ConfigError(
            "DATALOADER.SAMPLER_TRAIN RepeatFactorTrainingSampler needs DATALOADER.REPEAT_THRESHOLD > 0, the share of images below "
            "which a class is rare"
        )


def _nothing(cfg: CfgNode) -> None:
    """No rule."""


def _check_detector(cfg: CfgNode) -> None:
    _check_backbone(cfg)
    features = _feature_names(cfg)
    for key in ("RPN", "ROI_HEADS"):
        _check_in_features(cfg, key, features)
    _check_anchors(cfg.MODEL.ANCHOR_GENERATOR, len(cfg.MODEL.RPN.IN_FEATURES))
    _check_heads(cfg)


def _check_panoptic(cfg: CfgNode) -> None:
    _check_detector(cfg)
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
    _check_sem_seg(cfg)


def _check_backbone(cfg: CfgNode) -> None:
    BACKBONE_RULES.get(cfg.MODEL.BACKBONE.NAME, _nothing)(cfg)


def _check_timm(cfg: CfgNode) -> None:
    if not cfg.MODEL.BACKBONE.TIMM_NAME:
        raise ConfigError(
            f"MODEL.BACKBONE.TIMM_NAME must name a model with MODEL.BACKBONE.NAME {TIMM}, e.g. convnext_tiny"
        )
    if any(cfg.MODEL.RESNETS.DEFORM_ON_PER_STAGE):
        raise ConfigError(
            f"MODEL.RESNETS.DEFORM_ON_PER_STAGE must be all false with MODEL.BACKBONE.NAME {TIMM}"
        )
    if cfg.MODEL.RESNETS.NORM == "GN":
        raise ConfigError(
            f"MODEL.RESNETS.NORM must be FrozenBN, BN or SyncBN with MODEL.BACKBONE.NAME {TIMM}, it is GN"
        )


def _check_resnet(cfg: CfgNode) -> None:
    options = cfg.MODEL.RESNETS
    if cfg.MODEL.BACKBONE.TIMM_NAME:
        raise ConfigError(
            f"MODEL.BACKBONE.TIMM_NAME {cfg.MODEL.BACKBONE.TIMM_NAME} needs MODEL.BACKBONE.NAME {TIMM}"
        )
    _check_subset("MODEL.RESNETS.OUT_FEATURES", options.OUT_FEATURES, "the stages", STAGES)
    _check_deformable(cfg, options)
    if options.DEPTH in (18, 34):
        # Basic blocks: no 1x1 convolutions, so no groups, no dilation and no expansion by four.
        for key, needed in (("NUM_GROUPS", 1), ("RES5_DILATION", 1)):
            if options[key] != needed:
                raise ConfigError(
                    f"MODEL.RESNETS.{key} must be {needed} with MODEL.RESNETS.DEPTH {options.DEPTH}, it is {options[key]}"
                )
        if options.RES2_OUT_CHANNELS == 256:
            raise ConfigError(
                f"MODEL.RESNETS.RES2_OUT_CHANNELS must be 64 with MODEL.RESNETS.DEPTH {options.DEPTH}, it is 256"
            )


def _check_deformable(cfg: CfgNode, options: CfgNode) -> None:
    stages, groups = list(options.DEFORM_ON_PER_STAGE), options.DEFORM_NUM_GROUPS
    where = f"MODEL.RESNETS.DEFORM_ON_PER_STAGE {stages}"
    if len(stages) != 4 or not all(isinstance(on, bool) for on in stages):
        raise ConfigError(f"{where} needs four of true and false, for res2 to res5")
    if not any(stages):
        return
    if options.DEPTH in (18, 34):
        raise ConfigError(
            f"{where} needs a MODEL.RESNETS.DEPTH of 50 or more, it is {options.DEPTH}"
        )
    if stages[3] and cfg.MODEL.ROI_HEADS.NAME == "Res5ROIHeads":
        raise ConfigError(
            f"{where}: res5 cannot be deformable with MODEL.ROI_HEADS.NAME Res5ROIHeads"
        )
    width = options.NUM_GROUPS * options.WIDTH_PER_GROUP * 2 ** stages.index(True)
    if groups < 1 or width % groups:
        raise ConfigError(
            f"MODEL.RESNETS.DEFORM_NUM_GROUPS {groups} does not divide the {width} channels of the first deformable stage"
        )


def _feature_names(cfg: CfgNode) -> tuple[str, ...] | None:
    """What the backbone gives: res names, or p2 ... p6 with an FPN; None for a user's own, which is asked when it is built."""
    if cfg.MODEL.BACKBONE.NAME not in BACKBONE_RULES:
        return None
    if cfg.MODEL.BACKBONE.NAME == "build_resnet_backbone":
        return tuple(cfg.MODEL.RESNETS.OUT_FEATURES)
    chosen = cfg.MODEL.FPN.IN_FEATURES
    if cfg.MODEL.BACKBONE.NAME == TIMM:
        _check_subset("MODEL.FPN.IN_FEATURES", chosen, "the stages", STAGES)
    else:
        _check_subset(
            "MODEL.FPN.IN_FEATURES",
            chosen,
            "MODEL.RESNETS.OUT_FEATURES",
            tuple(cfg.MODEL.RESNETS.OUT_FEATURES),
        )
    levels = [int(name[3:]) for name in chosen]
    if levels != list(range(levels[0], levels[-1] + 1)):
        raise ConfigError(f"MODEL.FPN.IN_FEATURES {list(chosen)} must be neighbours, finest first")
    return tuple(f"p{level}" for level in [*levels, levels[-1] + 1])


def _check_in_features(cfg: CfgNode, key: str, features: tuple[str, ...] | None) -> None:
    if features is not None:
        chosen = cfg.MODEL[key].IN_FEATURES
        _check_subset(f"MODEL.{key}.IN_FEATURES", chosen, "the backbone's features", features)


def _check_sem_seg(cfg: CfgNode) -> None:
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
        _check_backbone(cfg)
        _check_sem_seg_fpn(cfg, _feature_names(cfg))


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
    _check_in_features(cfg, "SEM_SEG_HEAD", features)
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


def _check_subset(key: str, chosen, whose: str, known: tuple[str, ...]) -> None:
    wrong = [name for name in chosen if name not in known]
    if wrong or not len(chosen):
        raise ConfigError(
            f"{key} {list(chosen)}: {wrong[0] if wrong else 'nothing'} is not among {whose} ({', '.join(known)})"
        )


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


# MODEL.META_ARCHITECTURE and MODEL.BACKBONE.NAME -> what must hold with them.
ARCHITECTURES = {
    "GeneralizedRCNN": _check_detector,
    "PanopticFPN": _check_panoptic,
    "SemanticSegmentor": _check_sem_seg,
}
BACKBONE_RULES = {
    "build_resnet_backbone": _check_resnet,
    "build_resnet_fpn_backbone": _check_resnet,
    TIMM: _check_timm,
}
