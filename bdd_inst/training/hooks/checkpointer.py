"""The numbered checkpoints of a run, written as it goes."""

from __future__ import annotations

from bdd_inst.training.saving import save_checkpoint
from bdd_inst.training.state import Hook, TrainingState


class Checkpointer(Hook):
    """Writes the numbered checkpoint every ``SOLVER.CHECKPOINT_PERIOD`` iterations; last of the hooks, to hold what they have done."""

    def after_step(self, state: TrainingState) -> None:
        """Save when it is time; the end of a stage saves by itself."""
        period = state.stage.cfg.SOLVER.CHECKPOINT_PERIOD
        if (
            period > 0
            and state.progress.total % period == 0
            # A stage that ends here writes the same iteration again, with the next stage as where to go on.
            and state.progress.iteration < state.stage.max_iter
            and not state.end_stage
        ):
            save_checkpoint(state)
