"""The stages of a run: what trains in each, for how long, by which solver keys."""

from __future__ import annotations

import difflib
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.checking import check_config
from bdd_inst.config.loading import leaves, nearest, set_key

log = logging.getLogger(__name__)

PRESETS = ("heads", "fpn+heads", "all")
OWN_KEYS = ("NAME", "TRAIN", "FREEZE_AT", "EPOCHS")
# Sections that a stage may set for itself. The model is built once, so MODEL is not among them.
SECTIONS = ("SOLVER", "INPUT", "DATALOADER", "DATASETS", "TEST")
# Keys of these sections that are read once, for the whole run; a stage that sets one would be passed over.
WHOLE_RUN = (
    "TEST.", "DATASETS.TEST", "SOLVER.EMA.", "SOLVER.AMP.", "SOLVER.LOG_PERIOD", "SOLVER.KEEP_CHECKPOINTS", "SOLVER.LR_FIND_STEPS",
    "INPUT.FORMAT", "INPUT.MIN_SIZE_TEST", "INPUT.MAX_SIZE_TEST",
)  # fmt: skip
BY_STAGE = ("TEST.EVAL_PERIOD",)
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

    Raises:
        ConfigError: a stage that is no mapping, an unknown key (with the nearest known one), a name used twice, a wrong value.
    """
    listed = cfg.STAGES if len(cfg.STAGES) else [{"NAME": "all", "TRAIN": "all"}]
    stages = [parse_stage(cfg, i, item) for i, item in enumerate(listed)]
    names = [stage.name for stage in stages]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ConfigError(
            f"STAGES: the name {min(twice)!r} is used twice; names tell the stages apart in logs and checkpoints"
        )
    return stages


def parse_stage(cfg: CfgNode, index: int, item: object) -> Stage:
    """One item of ``STAGES`` over the config."""
    where = f"STAGES.{index}"
    if not isinstance(item, Mapping):
        raise ConfigError(
            f"{where}: a stage is a mapping such as {{NAME: heads, TRAIN: heads, MAX_ITER: 1000}}, got {item!r}"
        )
    stage_cfg = cfg.clone()
    stage_cfg.defrost()
    if cfg.SEED >= 0:
        # Each stage begins its stream anew: with one seed all stages would see the same images in the same order.
        stage_cfg.SEED = cfg.SEED + index * SEED_STRIDE
    own = {key: value for key, value in item.items() if key in OWN_KEYS}
    for key, value in stage_keys({k: v for k, v in item.items() if k not in OWN_KEYS}, cfg, where):
        set_key(stage_cfg, key, value, where)
    epochs = own.get("EPOCHS")
    if epochs is not None and (not isinstance(epochs, (int, float)) or epochs <= 0):
        raise ConfigError(
            f"{where}.EPOCHS: a length in passes over the data is a number above 0, got {epochs!r}"
        )
    if epochs is not None and "MAX_ITER" in item:
        raise ConfigError(f"{where}: MAX_ITER and EPOCHS both give a length; keep one")
    freeze_at = own.get("FREEZE_AT", cfg.MODEL.BACKBONE.FREEZE_AT)
    if not isinstance(freeze_at, int) or isinstance(freeze_at, bool) or not 0 <= freeze_at <= 5:
        raise ConfigError(
            f"{where}.FREEZE_AT: 0 (nothing) to 5 (the whole bottom-up backbone) stays frozen, got {freeze_at!r}"
        )
    train = parse_train(own.get("TRAIN", "all"), where)
    name = str(own.get("NAME", f"stage{index + 1}"))
    check_config(stage_cfg, f"stage {name}")
    return Stage(name, train, freeze_at, epochs, stage_cfg)


def parse_train(value: object, where: str) -> str | tuple[str, ...]:
    """A preset's name, or patterns of module names."""
    if isinstance(value, str) and value in PRESETS:
        return value
    if isinstance(value, str):
        near = difflib.get_close_matches(value, PRESETS, 1)
        hint = (
            f"did you mean {near[0]}?"
            if near
            else "or a list of module name patterns such as [roi_heads.*]"
        )
        raise ConfigError(f"{where}.TRAIN: {value!r} is none of {', '.join(PRESETS)}; {hint}")
    if isinstance(value, Sequence) and value and all(isinstance(pattern, str) for pattern in value):
        return tuple(value)
    raise ConfigError(
        f"{where}.TRAIN: expected one of {', '.join(PRESETS)} or a list of module name patterns, got {value!r}"
    )


def stage_keys(item: Mapping, cfg: CfgNode, where: str) -> list[tuple[str, object]]:
    """Dotted config keys and values of a stage: bare SOLVER keys, section mappings (``INPUT: {...}``) or dotted keys."""
    found = []
    for name, value in item.items():
        section = name.split(".")[0]
        if section in SECTIONS and isinstance(value, Mapping):
            found += leaves({name: value}, cfg)
        elif section in SECTIONS:
            found.append((name, value))
        elif section == "MODEL":
            raise ConfigError(
                f"{where}.{name}: the model is built once; a stage may set {', '.join(SECTIONS)} keys"
            )
        elif isinstance(value, Mapping):
            found += leaves({"SOLVER": {name: value}}, cfg)
        else:
            found.append((f"SOLVER.{name}", value))
    known = {key for key, _ in leaves(cfg)}
    for key, _ in found:
        if key in known and key.startswith(WHOLE_RUN) and key not in BY_STAGE:
            raise ConfigError(f"{where}: {key} holds for the whole run; set it outside STAGES")
        if key not in known:
            own = difflib.get_close_matches(key.removeprefix("SOLVER."), OWN_KEYS, 1, 0.7)
            raise ConfigError(
                f"{where}: unknown key {key.removeprefix('SOLVER.')}; "
                + (f"did you mean {own[0]}?" if own else nearest(key, known))
            )
    return found


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
    check_batch(cfg, stage.name, world_size)
    return Stage(stage.name, stage.train, stage.freeze_at, stage.epochs, cfg)


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


def check_batch(cfg: CfgNode, name: str, world_size: int) -> None:
    """The total batch must divide over processes and accumulated parts."""
    batch, parts = cfg.SOLVER.IMS_PER_BATCH, cfg.SOLVER.ACCUMULATE
    if parts < 1 or batch < 1 or batch % (world_size * parts):
        raise ConfigError(
            f"stage {name}: SOLVER.IMS_PER_BATCH {batch} does not divide into {world_size} processes x SOLVER.ACCUMULATE {parts};"
            f" take a multiple of {world_size * max(parts, 1)}"
        )


def fit_all(stages: Sequence[Stage], images: int | Sequence[int], world_size: int) -> list[Stage]:
    """Every stage of a run with its lengths fixed; ``images`` may differ by stage (each stage may name its own data)."""
    numbers = [images] * len(stages) if isinstance(images, int) else list(images)
    return [
        fit_stage(stage, number, world_size) for stage, number in zip(stages, numbers, strict=True)
    ]
