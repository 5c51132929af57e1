"""Where a training run stands, all that a checkpoint holds of it, and the hooks that look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from lightning.fabric import Fabric
from torch import nn

from bdd_inst.base.errors import DataError
from bdd_inst.training.checkpoints import CheckpointFolder
from bdd_inst.training.schedules import LearningRate
from bdd_inst.training.signals import StopRequest
from bdd_inst.training.stages import Stage

# Makes the endless batches of a stage, from the given batch on: (stage, batches already used) -> lists of dataset dicts.
Batches = Callable[[Stage, int], Iterable[list[dict]]]


@dataclass
class Progress:
    """Where a run stands: ``iteration`` steps of stage number ``stage`` are done, ``total`` over all stages."""

    stage: int = 0
    iteration: int = 0
    total: int = 0


@dataclass
class Step:
    """What one optimizer step reported.

    Attributes:
        losses: every loss by name and their sum as ``total_loss``; this process's share of the batch, means over accumulated parts.
        rate: the learning rate it was taken with.
        seconds: wall clock of the whole step, of which ``waited`` was spent waiting for data.
        images: number of images in this process.
    """

    losses: dict[str, float] = field(default_factory=dict)
    rate: float = 0.0
    seconds: float = 0.0
    waited: float = 0.0
    images: int = 0


@dataclass
class TrainingState:
    """One training run: what it trains, on what, how far it is.

    Attributes:
        fabric: devices and processes.
        model: the model itself, without the wrapper that several processes need.
        stages: all of them, lengths in iterations.
        batches: makes a stage's batches from any iteration on.
        checkpoints: where they are written.
        seed: of the whole run.
        hooks: called in this order.
        stop: true once a signal asks the run to end.
        progress: iterations done.
        last: what the last step reported.
        last_saved: the last checkpoint; rank 0 writes, so only rank 0 knows it.
        saved_at: iterations done at the last checkpoint that was written; the same on every process.
        ended_at: iterations of the last stage that was finished.
        end_stage: why the stage should end early; a hook writes it.
        stopped: whether a signal has ended the run.
        identity: goes into every checkpoint: what the model is.
        stage, wrapped, optimizer, rate: of the current stage.
        resumed: the checkpoint to go on from, until its stage is set up.
    """

    fabric: Fabric
    model: nn.Module
    stages: list[Stage]
    batches: Batches
    checkpoints: CheckpointFolder
    seed: int
    hooks: list[Hook] = field(default_factory=list)
    stop: StopRequest = field(default_factory=StopRequest)
    progress: Progress = field(default_factory=Progress)
    last: Step = field(default_factory=Step)
    last_saved: Path | None = None
    saved_at: int = -1
    ended_at: int = 0
    end_stage: str = ""
    stopped: bool = False
    stage: Stage | None = None
    wrapped: nn.Module | None = None
    optimizer: torch.optim.Optimizer | None = None
    rate: LearningRate | None = None
    resumed: dict | None = None
    identity: dict = field(default_factory=dict)

    @property
    def total_iterations(self) -> int:
        """Optimizer steps of the whole run."""
        return sum(stage.max_iter for stage in self.stages)

    @property
    def is_last_step(self) -> bool:
        """Whether the step just taken ends the last stage."""
        return (
            self.progress.stage == len(self.stages) - 1
            and self.progress.iteration >= self.stages[-1].max_iter
        )

    def state_dict(self) -> dict:
        """All that a run needs to go on as if it had never stopped. Random states are not in it: see ``seeds``."""
        return {
            **self.identity,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict() if self.optimizer is not None else None,
            "rate": self.rate.state_dict() if self.optimizer is not None else None,
            # The loss scale of fp16, which takes thousands of steps to find.
            "precision": self.fabric.strategy.precision.state_dict(),
            "hooks": {type(hook).__name__: hook.state_dict() for hook in self.hooks},
            "progress": asdict(self.progress),
            "iteration": self.progress.total - 1,
            "lengths": [stage.max_iter for stage in self.stages],
            "ended_at": self.ended_at,
            "seed": self.seed,
            "batch_sizes": [stage.cfg.SOLVER.IMS_PER_BATCH for stage in self.stages],
        }

    def load_state_dict(self, state: dict) -> None:
        """Stand where the checkpoint stood; the optimizer's part waits until its stage is set up."""
        try:
            self.model.load_state_dict(state["model"])
        except RuntimeError as error:
            line = " ".join(str(error).split()[:40])
            raise DataError(
                f"{self.last_saved}: the checkpoint is of another model than the config's ({line} ...); "
                "resume with the config of the run, or start anew"
            ) from None
        self.progress = self.resume_point(state)
        for hook in self.hooks:
            hook.load_state_dict(state["hooks"].get(type(hook).__name__, {}))
        # The optimizer comes later: it is built when its stage is set up, for the parameters that train in it.
        self.resumed = state

    def resume_point(self, state: dict) -> Progress:
        """Where the checkpoint stood; of a run that had finished, the end of its last stage where that is longer now."""
        progress, lengths = Progress(**state["progress"]), state.get("lengths", [])
        over = progress.stage == len(self.stages) == len(lengths)
        if over and self.stages[-1].max_iter > lengths[-1]:
            return Progress(progress.stage - 1, state["ended_at"], progress.total)
        return progress


class Hook:
    """What may look at a run, or act on it between steps, without being part of its arithmetic. This one does nothing.

    A subclass overrides what it needs. What it wants to find again on resume it returns from ``state_dict``.
    """

    def before_stage(self, state: TrainingState) -> None:
        """The stage is set up; on resume, ``state.progress`` already stands where it goes on."""

    def after_step(self, state: TrainingState) -> None:
        """``state.last`` has just been taken and counted."""

    def after_stage(self, state: TrainingState) -> None:
        """The stage ended, by its length or early."""

    def state_dict(self) -> dict:
        """Plain values and tensors for the checkpoint."""
        return {}

    def load_state_dict(self, state: dict) -> None:
        """Take back what ``state_dict`` gave."""
