"""The bar a person watches, with losses, rate and the time left; lines instead where nobody can see a bar."""

from __future__ import annotations

import datetime
import logging
import sys
import time

from tqdm import tqdm

from bdd_inst.base import distributed
from bdd_inst.training.hooks.metric_log import MetricLog
from bdd_inst.training.state import Hook, TrainingState

log = logging.getLogger(__name__)


class ProgressBar(Hook):
    """Shows where the run stands on rank 0: a bar a stage on a terminal, a line a log period elsewhere."""

    def __init__(self, metrics: MetricLog) -> None:
        self.metrics = metrics
        self.shows = distributed.world()[0] == 0
        self.bar: tqdm | None = None
        self.started, self.before = 0.0, 0

    def before_stage(self, state: TrainingState) -> None:
        """Start the stage's bar and the clock of its estimate."""
        self.started, self.before = time.perf_counter(), state.progress.total
        if self.shows and sys.stderr.isatty():
            self.bar = tqdm(
                total=state.stage.max_iter,
                initial=state.progress.iteration,
                desc=state.stage.name,
                unit="it",
                dynamic_ncols=True,
            )

    def after_step(self, state: TrainingState) -> None:
        """Move the bar; write a line where there is none."""
        if not self.shows:
            return
        left = self.time_left(state)
        if self.bar is not None:
            self.bar.update()
            self.bar.set_postfix_str(
                f"loss {state.last.losses['total_loss']:.3f}, lr {state.last.rate:.2g}, all done in {left}",
                refresh=False,
            )
        elif not self.metrics.window:  # the log has just closed a period
            log.info("%s", line(state, self.metrics.latest, left))

    def after_stage(self, state: TrainingState) -> None:
        """Close the stage's bar."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
            log.info("%s", line(state, self.metrics.latest, self.time_left(state)))

    def time_left(self, state: TrainingState) -> datetime.timedelta:
        """Until the last stage's end, at this stage's pace so far (evaluations in between count in)."""
        done = state.progress.total - self.before
        left = (
            sum(stage.max_iter for stage in state.stages[state.progress.stage :])
            - state.progress.iteration
        )
        return datetime.timedelta(
            seconds=int((time.perf_counter() - self.started) / max(done, 1) * left)
        )


def line(state: TrainingState, values: dict[str, float], left: datetime.timedelta) -> str:
    """One readable line of a period's means."""
    losses = ", ".join(
        f"{name.removeprefix('loss_')} {value:.3f}"
        for name, value in values.items()
        if "loss" in name and name != "total_loss"
    )
    if not values:
        return f"{state.stage.name} {state.progress.iteration}/{state.stage.max_iter}"
    return (
        f"{state.stage.name} {state.progress.iteration}/{state.stage.max_iter}: loss {values['total_loss']:.3f} ({losses}), "
        f"lr {values['lr']:.3g}, {values['seconds_per_step']:.2f} s/it, {values['pictures_per_second']:.1f} images/s, "
        f"data wait {100 * values['data_wait_share']:.1f} %, {values['memory_gb']:.1f} GB, left {left}"
    )
