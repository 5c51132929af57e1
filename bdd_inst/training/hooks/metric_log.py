"""Every loss, the learning rate, speed and memory, to CSV and to Lightning's loggers."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from fvcore.common.config import CfgNode

from bdd_inst.base import distributed
from bdd_inst.base.csv_log import CsvLog
from bdd_inst.base.errors import ConfigError
from bdd_inst.base.files import atomic_write
from bdd_inst.training.memory import peak_memory
from bdd_inst.training.state import Hook, Step, TrainingState

log = logging.getLogger(__name__)

# Packages that do not come with this one; of each logger's any one serves.
OPTIONAL = {"wandb": ("wandb",), "mlflow": ("mlflow", "mlflow_skinny")}


class MetricLog(Hook):
    """Averages what the steps report over ``SOLVER.LOG_PERIOD`` of them and writes one row a period; rank 0 writes.

    Iterations are counted over all stages from 0, as Detectron2 does: the row of iteration 19 is the mean of the first twenty.
    """

    def __init__(self, folder: Path, cfg: CfgNode) -> None:
        self.period = max(1, cfg.SOLVER.LOG_PERIOD)
        self.window: list[Step] = []
        self.latest: dict[str, float] = {}
        self.writes = distributed.world()[0] == 0
        self.csv = CsvLog(folder / "training.csv") if self.writes and "csv" in cfg.LOGGERS else None
        self.evaluations = (
            CsvLog(folder / "evaluations.csv") if self.writes and "csv" in cfg.LOGGERS else None
        )
        self.folder, self.names = folder, [name for name in cfg.LOGGERS if name != "csv"]
        self.loggers: list | None = None

    def open_loggers(self, iterations_done: int) -> list:
        """Lightning's loggers, made when the first stage starts, so that a run that fails before it leaves no empty logs."""
        if not self.writes:
            return []
        for log_file in (self.csv, self.evaluations):
            if log_file:
                # Rows of steps that are taken again after a resume would stand there twice.
                log_file.resume_from(iterations_done)
        return [make_logger(name, self.folder, iterations_done) for name in self.names]

    def before_stage(self, state: TrainingState) -> None:
        """Open the logs once, where the run stands."""
        if self.loggers is None:
            self.loggers = self.open_loggers(state.progress.total)

    def after_step(self, state: TrainingState) -> None:
        """Take in a step; at the end of a period (or of the stage) write its means."""
        self.window.append(state.last)
        if len(self.window) < self.period and state.progress.iteration < state.stage.max_iter:
            return
        self.latest = self.summary(state)
        self.window.clear()
        self.write(state.progress.total - 1, self.latest, self.csv, {"stage": state.stage.name})

    def summary(self, state: TrainingState) -> dict[str, float]:
        """Means over the window and over processes; images are summed over processes."""
        steps, count = self.window, len(self.window)
        seconds = sum(step.seconds for step in steps)
        values = {
            name: sum(step.losses.get(name, 0.0) for step in steps) / count
            for name in steps[-1].losses
        }
        values |= {
            "lr": steps[-1].rate,
            "seconds_per_step": seconds / count,
            "data_wait_share": sum(step.waited for step in steps) / max(seconds, 1e-9),
            "pictures_per_second": sum(step.images for step in steps) / max(seconds, 1e-9),
            "memory_gb": peak_memory(state.fabric.device) / 1e9,
        }
        values = distributed.mean(values, state.fabric.device)
        # The mean over processes, times their number: what the run as a whole reads.
        values["pictures_per_second"] *= distributed.world()[1]
        return values

    def write(
        self,
        iteration: int,
        values: dict[str, float | None],
        log_file: CsvLog | None,
        extra: dict | None = None,
    ) -> None:
        """One row to every log; None and NaN leave their cell empty."""
        if not self.writes:
            return
        values = {
            name: value
            for name, value in values.items()
            if value is not None and math.isfinite(value)
        }
        try:
            if log_file:
                log_file.write(iteration, (extra or {}) | values)
            for logger in self.loggers or []:
                logger.log_metrics(values, step=iteration)
                if hasattr(logger, "save"):
                    logger.save()
        except OSError as error:  # a full disk must not end what the next checkpoint may still save
            log.warning(
                "the figures of iteration %d could not be written (%s); training goes on",
                iteration,
                error.strerror or error,
            )

    def write_evaluation(self, iteration: int, values: dict[str, float | None]) -> None:
        """One evaluation, by flat names such as ``segm/AP``."""
        self.write(iteration, values, self.evaluations)

    def repeat_evaluation(self, iteration: int) -> None:
        """Drop the evaluation of an iteration that is about to be evaluated again."""
        if self.evaluations:
            self.evaluations.resume_from(iteration)

    def close(self) -> None:
        """Let the loggers finish."""
        for logger in self.loggers or []:
            logger.finalize("success")

    def state_dict(self) -> dict:
        """The period in progress, so that a resumed run writes the same rows."""
        return {"window": [vars(step) | {"losses": dict(step.losses)} for step in self.window]}

    def load_state_dict(self, state: dict) -> None:
        """Go on with a period in progress."""
        self.window = [Step(**step) for step in state.get("window", [])]


def check_loggers(names: Sequence[str]) -> None:
    """Refuse LOGGERS that cannot be, before anything is computed or written.

    Raises:
        ConfigError: one whose package is not installed.
    """
    for name in names:
        if name in OPTIONAL and not any(find_spec(package) for package in OPTIONAL[name]):
            raise ConfigError(
                f"LOGGERS: {name} is not installed; pip install {name}, or take it out of LOGGERS"
            )


def wandb_id(folder: Path) -> str:
    """W&B's name for the run of a folder, drawn once and kept in it: a resumed run goes on there, another of equal name does not."""
    path = folder / "wandb_id.txt"
    if not path.is_file():
        with atomic_write(path) as stream:
            stream.write(f"{secrets.token_hex(8)}\n")
    return path.read_text(encoding="utf-8").strip()


def make_logger(name: str, folder: Path, iterations_done: int) -> object:
    """One of Lightning's loggers, writing into the run's folder.

    Raises:
        ConfigError: the package behind it is older than Lightning needs.
    """
    try:
        if name == "tensorboard":
            from lightning.fabric.loggers import TensorBoardLogger

            # Events of steps that a resumed run takes again are hidden by purge_step.
            return TensorBoardLogger(
                folder, name="tensorboard", version="", purge_step=iterations_done or None
            )
        from lightning.pytorch import loggers

        if name == "wandb":
            return loggers.WandbLogger(
                name=folder.name,
                project="bdd_inst",
                save_dir=folder,
                id=wandb_id(folder),
                resume="allow",
            )
        return loggers.MLFlowLogger(
            experiment_name="bdd_inst", run_name=folder.name, save_dir=str(folder / "mlruns")
        )
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"LOGGERS: {name} does not load ({' '.join(str(error).split())}); pip install -U {name}"
        ) from None
