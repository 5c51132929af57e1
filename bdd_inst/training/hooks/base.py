"""What may watch a run without being part of its arithmetic: hooks, called before a stage, after each step, after a stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bdd_inst.training.loop import Run


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
        pictures: number of pictures in this process.
    """

    losses: dict[str, float] = field(default_factory=dict)
    rate: float = 0.0
    seconds: float = 0.0
    waited: float = 0.0
    pictures: int = 0


class Hook:
    """Does nothing; hooks override what they need. A hook with state returns it from ``state_dict`` and finds it again on resume."""

    def before_stage(self, run: Run) -> None:
        """The stage is set up; on resume, ``run.progress`` already stands where it goes on."""

    def after_step(self, run: Run) -> None:
        """``run.last`` has just been taken and counted."""

    def after_stage(self, run: Run) -> None:
        """The stage ended, by its length or early."""

    def state_dict(self) -> dict:
        """Plain values and tensors for the checkpoint."""
        return {}

    def load_state_dict(self, state: dict) -> None:
        """Take back what ``state_dict`` gave."""
