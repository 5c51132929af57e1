"""Config keys that only make sense together: of the model by its architecture, of inputs, data sets, the solver."""

from __future__ import annotations

from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.class_map import check_class_map
from bdd_inst.config.detector_rules import check_detector
from bdd_inst.config.pixelwise_rules import check_panoptic, check_sem_seg

# MODEL.META_ARCHITECTURE -> what must hold with it.
ARCHITECTURES = {
    "GeneralizedRCNN": check_detector,
    "PanopticFPN": check_panoptic,
    "SemanticSegmentor": check_sem_seg,
}


def check_consistency(cfg: CfgNode) -> None:
    """Refuse combinations that would fail deep inside the run, or build another model than the config describes.

    Args:
        cfg: a whole config. Which model its keys describe is left to Detectron2 where MODEL.ENGINE says so.

    Raises:
        ConfigError: one line that names both keys.
    """
    if cfg.MODEL.ENGINE == "builtin":
        # A user's own model, backbone or head knows its keys itself.
        rule = ARCHITECTURES.get(cfg.MODEL.META_ARCHITECTURE)
        if rule is not None:
            rule(cfg)
    _check_input(cfg)
    _check_solver(cfg)
    check_class_map(cfg)


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


def check_batch(cfg: CfgNode, world_size: int, stage: str = "") -> None:
    """The total batch must divide over processes and accumulated parts.

    Args:
        cfg: SOLVER.IMS_PER_BATCH, SOLVER.ACCUMULATE.
        world_size: processes of the run.
        stage: whose batch it is, for the message.

    Raises:
        ConfigError: it does not.
    """
    batch, parts = cfg.SOLVER.IMS_PER_BATCH, cfg.SOLVER.ACCUMULATE
    if parts < 1 or batch < 1 or batch % (world_size * parts):
        where = f"stage {stage}: " if stage else ""
        raise ConfigError(
            f"{where}SOLVER.IMS_PER_BATCH {batch} does not divide into {world_size} processes x SOLVER.ACCUMULATE {parts};"
            f" take a multiple of {world_size * max(parts, 1)}"
        )
