"""Config keys of backbones that only make sense together, and the names of the maps that heads may read."""

from __future__ import annotations

from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.loading import get_key
from bdd_inst.config.rules import GROUP_NORM_GROUPS

STAGES = ("res2", "res3", "res4", "res5")
TIMM = "build_timm_fpn_backbone"


def check_backbone(cfg: CfgNode) -> None:
    """Refuse keys of MODEL.BACKBONE.NAME and its parts that contradict each other. Raises ConfigError."""
    rule = BACKBONE_RULES.get(cfg.MODEL.BACKBONE.NAME)
    if rule is not None:
        rule(cfg)


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
    check_group_norm(cfg, "RESNETS.NORM", "RESNETS.STEM_OUT_CHANNELS", "RESNETS.RES2_OUT_CHANNELS")
    width = options.NUM_GROUPS * options.WIDTH_PER_GROUP
    if options.NORM == "GN" and options.DEPTH >= 50 and width % GROUP_NORM_GROUPS:
        raise ConfigError(
            f"MODEL.RESNETS.NUM_GROUPS x WIDTH_PER_GROUP {width} must be a multiple of {GROUP_NORM_GROUPS} with MODEL.RESNETS.NORM GN"
        )
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


def check_group_norm(cfg: CfgNode, norm: str, *widths: str) -> None:
    """Refuse widths that group norm cannot divide.

    Args:
        cfg: a whole config.
        norm: the key below MODEL that names the norm.
        widths: keys below MODEL of the numbers of channels that it norms.

    Raises:
        ConfigError: the norm is GN, and a width is no multiple of its groups.
    """
    for key in widths if get_key(cfg.MODEL, norm) == "GN" else ():
        width = get_key(cfg.MODEL, key)
        if width % GROUP_NORM_GROUPS:
            raise ConfigError(
                f"MODEL.{key} {width} must be a multiple of {GROUP_NORM_GROUPS} with MODEL.{norm} GN"
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


def feature_names(cfg: CfgNode) -> tuple[str, ...] | None:
    """What the backbone gives: res names, or p2 ... p6 with an FPN; None for a user's own, which is asked when it is built."""
    if cfg.MODEL.BACKBONE.NAME not in BACKBONE_RULES:
        return None
    if cfg.MODEL.BACKBONE.NAME == "build_resnet_backbone":
        return tuple(cfg.MODEL.RESNETS.OUT_FEATURES)
    check_group_norm(cfg, "FPN.NORM", "FPN.OUT_CHANNELS")
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
        raise ConfigError(f"MODEL.FPN.IN_FEATURES {list(chosen)} must be neighbors, finest first")
    return tuple(f"p{level}" for level in [*levels, levels[-1] + 1])


def check_in_features(cfg: CfgNode, key: str, features: tuple[str, ...] | None) -> None:
    """Refuse IN_FEATURES of a head that the backbone does not give (None: not known before it is built). Raises ConfigError."""
    if features is not None:
        chosen = cfg.MODEL[key].IN_FEATURES
        _check_subset(f"MODEL.{key}.IN_FEATURES", chosen, "the backbone's features", features)


def _check_subset(key: str, chosen, whose: str, known: tuple[str, ...]) -> None:
    wrong = [name for name in chosen if name not in known]
    if wrong or not len(chosen):
        raise ConfigError(
            f"{key} {list(chosen)}: {wrong[0] if wrong else 'nothing'} is not among {whose} ({', '.join(known)})"
        )


# MODEL.BACKBONE.NAME -> what must hold with it. A user's own backbone knows its keys itself.
BACKBONE_RULES = {
    "build_resnet_backbone": _check_resnet,
    "build_resnet_fpn_backbone": _check_resnet,
    TIMM: _check_timm,
}
