"""What may look at a run or act on it between steps: logs, evaluation, checkpoints, averages. ``Hook`` is what they share."""

from bdd_inst.training.state import Hook

__all__ = ["Hook"]
