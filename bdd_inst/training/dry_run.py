"""Every stage tried before the first step: what cannot work in the last one is said in seconds, not after a day."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import nn

from bdd_inst.base.errors import ConfigError
from bdd_inst.data.augment import ObjectBoxes
from bdd_inst.data.augmentations import sample_chain
from bdd_inst.data.mapper import DatasetMapper
from bdd_inst.data.samplers import build_sampler
from bdd_inst.modeling.freeze import set_trainable
from bdd_inst.training.optim import build_optimizer
from bdd_inst.training.schedules import multiplier
from bdd_inst.training.stages import Stage


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
        try:
            set_trainable(model, stage.train, stage.freeze_at)
            build_optimizer(stage.cfg, model)
            factor = multiplier(stage.cfg)
            # Some schedules find out only at their ends that their numbers do not fit the length.
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
