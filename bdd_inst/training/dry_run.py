"""Every stage tried before the first step: what cannot work in the last one is said in seconds, not after a day."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from fvcore.common.config import CfgNode
from torch import nn

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.loading import get_key
from bdd_inst.data.augment import ObjectBoxes
from bdd_inst.data.augmentations import sample_chain
from bdd_inst.data.mapper import DatasetMapper
from bdd_inst.data.samplers import build_sampler
from bdd_inst.modeling.freeze import set_trainable
from bdd_inst.training.optim import build_optimizer, check_clipping
from bdd_inst.training.schedules import multiplier
from bdd_inst.training.stages import Stage

Rule = tuple[str, Callable[[float], bool]]
POSITIVE: Rule = ("above 0", lambda v: v > 0)
NOT_NEGATIVE: Rule = ("0 or more", lambda v: v >= 0)
SHARE: Rule = ("between 0 and 1", lambda v: 0 <= v <= 1)

# What numbers may be; in a list it holds for each.
RULES: dict[str, Rule] = {
    "SOLVER.BASE_LR": POSITIVE,
    "SOLVER.MOMENTUM": NOT_NEGATIVE,
    "SOLVER.WEIGHT_DECAY": NOT_NEGATIVE,
    "SOLVER.WEIGHT_DECAY_NORM": NOT_NEGATIVE,
    "SOLVER.WEIGHT_DECAY_BIAS": NOT_NEGATIVE,
    "SOLVER.WARMUP_ITERS": NOT_NEGATIVE,
    "SOLVER.NUM_DECAYS": POSITIVE,
    "SOLVER.STEPS": POSITIVE,
    "SOLVER.EMA.DECAY": SHARE,
    "INPUT.MIN_SIZE_TRAIN": NOT_NEGATIVE,
    "INPUT.MAX_SIZE_TRAIN": POSITIVE,
    "INPUT.MIN_SIZE_TEST": NOT_NEGATIVE,
    "INPUT.MAX_SIZE_TEST": POSITIVE,
    "INPUT.LARGE_SCALE_JITTER.SIZE": POSITIVE,
    "INPUT.LARGE_SCALE_JITTER.SCALE": POSITIVE,
    "INPUT.COPY_PASTE.MAX_INSTANCES": POSITIVE,
    "INPUT.COPY_PASTE.PROB": SHARE,
    "INPUT.ROTATION.PROB": SHARE,
    "DATALOADER.NUM_WORKERS": NOT_NEGATIVE,
}
PAIRS = ("INPUT.LARGE_SCALE_JITTER.SIZE", "INPUT.LARGE_SCALE_JITTER.SCALE", "INPUT.ROTATION.ANGLE")
RISING = ("SOLVER.STEPS", "INPUT.LARGE_SCALE_JITTER.SCALE", "INPUT.ROTATION.ANGLE")
STRICT = "SOLVER.STEPS"


def check_numbers(stages: Sequence[Stage]) -> None:
    """Raise ConfigError, naming stage, key and value, for the first number that nothing can be done with."""
    for stage in stages:
        _check_numbers(stage.cfg, f"stage {stage.name}")


def _check_numbers(cfg: CfgNode, where: str) -> None:
    for key, (words, holds) in RULES.items():
        value = get_key(cfg, key)
        for entry in value if isinstance(value, (list, tuple)) else [value]:
            if entry is None:
                continue
            if (
                isinstance(entry, bool)
                or not isinstance(entry, (int, float))
                or not math.isfinite(entry)
                or not holds(entry)
            ):
                raise ConfigError(
                    f"{where}: {key} {value!r}: expected {'numbers' if entry is not value else 'a number'} {words}"
                )
    for key in PAIRS:
        if len(get_key(cfg, key)) != 2:
            raise ConfigError(f"{where}: {key} {list(get_key(cfg, key))}: expected two numbers")


def _check_order(cfg: CfgNode, where: str) -> None:
    for key in RISING:
        value = list(get_key(cfg, key))
        if any(b < a or (b == a and key == STRICT) for a, b in itertools.pairwise(value)):
            raise ConfigError(f"{where}: {key} {value}: expected rising numbers")


def dry_run(
    model: nn.Module, stages: Sequence[Stage], dicts_of: Callable[[Stage], Sequence[dict]]
) -> None:
    """Build what every stage needs - trainable modules, optimizer, schedule, sampler, transforms - and throw it away.

    Each stage sets the model up anew when it starts, so this leaves no trace.

    Raises:
        ConfigError: what does not build, with the stage's name.
    """
    for stage in stages:
        where = f"stage {stage.name}"
        _check_order(stage.cfg, where)
        try:
            set_trainable(model, stage.train, stage.freeze_at)
            build_optimizer(stage.cfg, model)
            check_clipping(stage.cfg)
            factor = multiplier(stage.cfg)
            factor(0), factor(stage.max_iter - 1)
            first = dicts_of(stage)[0]
            build_sampler(stage.cfg, [first], 0)
            sample_chain(
                DatasetMapper(stage.cfg, True).augmentations,
                (first["height"], first["width"]),
                ObjectBoxes(np.zeros((0, 4)), np.zeros(0, int)),
                np.random.default_rng(0),
            )
        except ConfigError as error:
            raise ConfigError(f"{where}: {str(error).removeprefix(f'{where}: ')}") from None
        except (ValueError, TypeError, ZeroDivisionError, OverflowError, AssertionError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ConfigError(
                f"{where}: its SOLVER, INPUT and DATALOADER keys do not go together: {reason[:160]}"
            ) from None
