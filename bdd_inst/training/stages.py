"""The stages of a run: what trains in each, for how long, by which solver keys."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.checking import check_config
from bdd_inst.config.consistency import check_batch
from bdd_inst.config.loading import set_key
from bdd_inst.config.stage_keys import stage_items
from bdd_inst.modeling import freeze  # noqa: F401 (its presets are what STAGES.TRAIN may name)

log = logging.getLogger(__name__)

# Batches this far from one another see unrelated streams of random numbers.
SEED_STRIDE = 1_000_003
AUTO_BATCH = -1  # SOLVER.IMS_PER_BATCH auto: found by trial before the stage starts


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: as the log and the checkpoints call it.
        train: a preset (``heads``, ``fpn+heads``, ``all``) or a tuple of module name patterns.
        freeze_at: number of bottom-up parts of the backbone that stay frozen (Detectron2's ``MODEL.BACKBONE.FREEZE_AT``).
        epochs: length in passes over the data; ``None`` where ``cfg.SOLVER.MAX_ITER`` says the length.
        cfg: the whole config with this stage's own keys set.
    """

    name: str
    train: str | tuple[str, ...]
    freeze_at: int
    epochs: float | None
    cfg: CfgNode

    @property
    def max_iter(self) -> int:
        """Optimizer steps in this stage."""
        return self.cfg.SOLVER.MAX_ITER


def parse_stages(cfg: CfgNode) -> list[Stage]:
    """The stages that ``cfg.STAGES`` lists; without any, one stage of everything by the SOLVER keys.

    Args:
        cfg: a whole config.

    Returns:
        The stages in order, each with its whole config, held against the rules.

    Raises:
        ConfigError: what :mod:`bdd_inst.config.stage_keys` or :mod:`bdd_inst.config.checking` refuses.
    """
    stages = []
    for index, (own, keys) in enumerate(stage_items(cfg)):
        stage_cfg = cfg.clone()
        stage_cfg.defrost()
        if cfg.SEED >= 0:
            # Each stage begins its stream anew: with one seed all stages would see the same images in the same order.
            stage_cfg.SEED = cfg.SEED + index * SEED_STRIDE
        for key, value in keys:
            set_key(stage_cfg, key, value, f"STAGES.{index}")
        check_config(stage_cfg, f"stage {own['NAME']}")
        stages.append(
            Stage(
                name=own["NAME"],
                train=own["TRAIN"],
                freeze_at=own["FREEZE_AT"],
                epochs=own["EPOCHS"],
                cfg=stage_cfg,
            )
        )
    return stages


def fit_stage(stage: Stage, images: int, world_size: int) -> Stage:
    """The stage with every length in iterations, for data of ``images`` images on ``world_size`` processes.

    EPOCHS become ``MAX_ITER``; the linear rule is applied where ``REFERENCE_WORLD_SIZE`` asks for it; STEPS below 1 are shares
    of the length; warm-up never outlasts the stage.
    """
    cfg = stage.cfg.clone()
    scale = scale_of(cfg, stage.name, world_size)
    if stage.epochs is not None:
        batch = round(cfg.SOLVER.IMS_PER_BATCH * scale)
        # Times ``scale``, for the linear rule below divides every length by it; this one knows its batch already.
        cfg.SOLVER.MAX_ITER = max(1, math.ceil(stage.epochs * images / batch * scale))
    cfg.SOLVER.STEPS = [
        round(s * cfg.SOLVER.MAX_ITER) if 0 < s < 1 else s for s in cfg.SOLVER.STEPS
    ]
    scale_linearly(cfg, stage.name, scale, world_size)
    check_batch(cfg, world_size, stage.name)
    return replace(stage, cfg=cfg)


def scale_of(cfg: CfgNode, name: str, world_size: int) -> float:
    """Processes that run for one of those that the config was written for; 1 where it does not ask."""
    reference = cfg.SOLVER.REFERENCE_WORLD_SIZE
    if reference in (0, world_size):
        return 1.0
    if cfg.SOLVER.IMS_PER_BATCH % reference:
        raise ConfigError(
            f"stage {name}: SOLVER.IMS_PER_BATCH {cfg.SOLVER.IMS_PER_BATCH} is not a multiple of SOLVER.REFERENCE_WORLD_SIZE {reference}"
        )
    return world_size / reference


def scale_linearly(cfg: CfgNode, name: str, scale: float, world_size: int) -> None:
    """The linear rule (Goyal et al. 2017) as Detectron2 applies it: batch and rate grow with the processes, lengths shrink."""
    if scale == 1.0:
        return
    solver = cfg.SOLVER
    solver.IMS_PER_BATCH = round(solver.IMS_PER_BATCH * scale)
    # A batch k times as large moves as far in one step as k steps did, at k times the rate.
    solver.BASE_LR *= scale
    solver.MAX_ITER = max(1, round(solver.MAX_ITER / scale))
    solver.WARMUP_ITERS = round(solver.WARMUP_ITERS / scale)
    solver.STEPS = [round(step / scale) for step in solver.STEPS]
    solver.CHECKPOINT_PERIOD = max(1, round(solver.CHECKPOINT_PERIOD / scale))
    cfg.TEST.EVAL_PERIOD = round(cfg.TEST.EVAL_PERIOD / scale)
    log.info(
        "stage %s: scaled from %d to %d processes by the linear rule: batch %d, learning rate %g, %d iterations, warm-up %d",
        name, solver.REFERENCE_WORLD_SIZE, world_size, solver.IMS_PER_BATCH, solver.BASE_LR, solver.MAX_ITER, solver.WARMUP_ITERS,
    )  # fmt: skip
    solver.REFERENCE_WORLD_SIZE = world_size


def fit_all(stages: Sequence[Stage], images: int | Sequence[int], world_size: int) -> list[Stage]:
    """Every stage of a run with its lengths fixed; ``images`` may differ by stage (each stage may name its own data)."""
    numbers = [images] * len(stages) if isinstance(images, int) else list(images)
    return [
        fit_stage(stage, number, world_size) for stage, number in zip(stages, numbers, strict=True)
    ]
