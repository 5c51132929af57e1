"""Writing the numbered checkpoint of where a run stands."""

from __future__ import annotations

import logging

from bdd_inst.base import distributed
from bdd_inst.base.errors import DataError
from bdd_inst.training import guards
from bdd_inst.training.state import TrainingState

log = logging.getLogger(__name__)


def save_checkpoint(state: TrainingState) -> None:
    """Write the numbered checkpoint of where the run stands. Rank 0 writes; a full disk is reported and training goes on.

    Every process must call it: its answer is shared.

    Raises:
        DataError: weights that are not finite, or the last chance to write them was missed.
    """
    guards.check_weights(state.model, state)
    # On every process: gathering the optimizer's state may be a collective.
    content = state.state_dict()
    error = ""
    if distributed.world()[0] == 0:
        try:
            state.last_saved = state.checkpoints.save_step(state.progress.total, content)
        except OSError as problem:
            error = f"could not write a checkpoint ({problem}); {guards.last_good(state)}"
    # All processes must agree on whether this iteration is saved, or one would wait for the others for ever.
    error = distributed.broadcast(error)
    if not error:
        state.saved_at = state.progress.total
    if error and (state.stopped or state.progress.stage >= len(state.stages)):
        raise DataError(f"{error}; free space there, then go on with --resume")
    if error:
        log.error("%s; training goes on and tries again at the next checkpoint", error)
