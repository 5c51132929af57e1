"""Evaluation while training: the best checkpoint by a named metric, early stopping, and the figure that a plateau schedule follows."""

from __future__ import annotations

import difflib
import logging
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

from fvcore.common.config import CfgNode
from torch import nn

from bdd_inst.base import distributed
from bdd_inst.base.errors import DataError
from bdd_inst.training.hooks.ema import MovingAverage
from bdd_inst.training.hooks.metric_log import MetricLog
from bdd_inst.training.state import Hook, TrainingState

log = logging.getLogger(__name__)

# Scores a model on the test data; flat names (``segm/AP``, ``val/total_loss``) to numbers, None where undefined. Same on every process.
Evaluate = Callable[[nn.Module], dict[str, float | None]]
EMA_PREFIX = "ema/"


class Evaluation(Hook):
    """Every ``TEST.EVAL_PERIOD`` iterations scores the model, and its moving average where there is one."""

    def __init__(
        self,
        evaluate: Evaluate,
        metrics: MetricLog,
        cfg: CfgNode,
        average: MovingAverage | None = None,
    ) -> None:
        self.evaluate, self.metrics, self.average = evaluate, metrics, average
        self.name = cfg.TEST.BEST_METRIC
        self.patience, self.min_delta = (
            cfg.TEST.EARLY_STOPPING.PATIENCE,
            cfg.TEST.EARLY_STOPPING.MIN_DELTA,
        )
        self.best: float | None = None
        self.best_iteration = -1
        # What patience compares with; it starts anew in every stage.
        self.reference: float | None = None
        self.waited = 0
        self.unknown = False  # BEST_METRIC is no figure's name
        self.unwritten = ""  # why the best weights are not on the disk

    def before_stage(self, state: TrainingState) -> None:
        """A stage starts with full patience; one that goes on keeps what it has counted."""
        if state.progress.iteration == 0:
            self.reference, self.waited = None, 0

    def after_step(self, state: TrainingState) -> None:
        """Evaluate when it is time; the last step's evaluation is the run's final one."""
        period = state.stage.cfg.TEST.EVAL_PERIOD
        if period > 0 and state.progress.total % period == 0 and not state.is_last_step:
            self.run_once(state)

    def run_once(self, state: TrainingState) -> None:
        """Score, log, and draw the consequences."""
        started = time.perf_counter()
        values = self.evaluate(state.model)
        if self.average is not None:
            values |= {
                EMA_PREFIX + name: value
                for name, value in self.evaluate(self.average.model).items()
            }
        log.info(
            "evaluation after %d iterations (%.0f s): %s",
            state.progress.total,
            time.perf_counter() - started,
            short(values),
        )
        self.record(state, values)

    def record(self, state: TrainingState, values: dict[str, float | None]) -> None:
        """Take in one evaluation's figures."""
        self.metrics.write_evaluation(state.progress.total - 1, values)
        value = self.monitored(values)
        if value is not None and (self.best is None or value > self.best):
            self.best, self.best_iteration = value, state.progress.total
            self.save_best(state, values[self.name])
        # Without figures patience would run out and the rate would fall, for a misspelt name.
        if self.unknown:
            return
        if state.rate is not None and state.rate.step_plateau(value):
            log.info(
                "no better %s for %d evaluations: the learning rate falls to %g of its schedule",
                self.name,
                state.rate.plateau.patience,
                state.rate.reached,
            )
        self.count_patience(state, value)

    def monitored(self, values: dict[str, float | None]) -> float | None:
        """The monitored metric, turned so that higher is better; a name that is not there is said once and not followed."""
        if self.name not in values:
            near = difflib.get_close_matches(self.name, values, 1)
            hint = f"did you mean {near[0]}?" if near else ", ".join(values)
            if not self.unknown:
                words = "TEST.BEST_METRIC %s is not among the figures; %s (without it no best checkpoint, early stopping or plateau)"
                log.warning(words, self.name, hint)
            self.unknown = True
            return None
        self.unknown = False
        value = values[self.name]
        if value is None or not math.isfinite(value):
            return None
        # Of losses the lower is better; all other figures are shares or counts of what is right.
        return -value if "loss" in self.name else value

    def count_patience(self, state: TrainingState, value: float | None) -> None:
        """End the stage when the metric has not risen for ``TEST.EARLY_STOPPING.PATIENCE`` evaluations."""
        if value is not None and (
            self.reference is None or value > self.reference + self.min_delta
        ):
            self.reference, self.waited = value, 0
            return
        self.waited += 1
        if 0 < self.patience <= self.waited:
            state.end_stage = (
                f"{self.name} has not improved for {self.waited} evaluations (TEST.EARLY_STOPPING)"
            )

    def save_best(self, state: TrainingState, value: float) -> None:
        """Write ``model_best.pth``: the weights that the metric was measured on."""
        # No collective follows: the other processes need not wait for the disk.
        if distributed.world()[0] != 0:
            return
        model = (
            self.average.model
            if self.average is not None and self.name.startswith(EMA_PREFIX)
            else state.model
        )
        content = {
            **state.identity,
            "model": model.state_dict(),
            "iteration": state.progress.total - 1,
            "metric": self.name,
            "value": float(value),
        }
        try:
            state.checkpoints.save("model_best.pth", content)
            self.unwritten = ""
        except OSError as error:
            self.unwritten = os.strerror(error.errno) if error.errno else str(error)
            log.error("could not write model_best.pth (%s); the one before it is whole", error)

    def check_best(self, folder: Path) -> None:
        """Look, when all else is done, whether the best weights are on the disk.

        Raises:
            DataError: the last attempt to write them failed.
        """
        if self.unwritten:
            raise DataError(
                f"{folder / 'model_best.pth'}: could not be written ({self.unwritten}); the run's other files are whole"
            )

    def state_dict(self) -> dict:
        """What has been seen so far."""
        return {
            name: getattr(self, name) for name in ("best", "best_iteration", "reference", "waited")
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on with it."""
        for name, value in state.items():
            setattr(self, name, value)


def short(values: dict[str, float | None]) -> str:
    """The figures that fit a line."""
    wanted = ("bbox/AP", "bbox/AP50", "segm/AP", "segm/AP50", "val/total_loss")
    names = [
        prefix + name for prefix in ("", EMA_PREFIX) for name in wanted if prefix + name in values
    ]
    return ", ".join(
        f"{name} {'undefined' if values[name] is None else format(values[name], '.2f')}"
        for name in names or list(values)[:6]
    )
