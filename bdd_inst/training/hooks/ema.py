"""An exponential moving average of the weights, kept beside them; it is evaluated and saved as a model of its own."""

from __future__ import annotations

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from bdd_inst.training.state import Hook, TrainingState


class MovingAverage(Hook):
    """After every step, average = DECAY x average + (1 - DECAY) x weights, norm statistics included.

    The first step copies. Early on the decay is lower, min(DECAY, (1 + steps) / (10 + steps)), so that a short run's average does
    not remember its first weights (the ramp of TensorFlow's ExponentialMovingAverage).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        # Buffers too: averaged weights under the last step's norm statistics would fit neither.
        self.averaged = AveragedModel(model, multi_avg_fn=self._average, use_buffers=True)
        self.averaged.requires_grad_(False)
        self.averaged.eval()

    @property
    def model(self) -> nn.Module:
        """The averaged model, in evaluation mode."""
        return self.averaged.module

    def _average(self, averages: list, weights: list, count: int) -> None:
        # The ramp: 2/11 with one step in the average, 1/2 with eight, 0.99 with 890.
        count = int(count)
        get_ema_multi_avg_fn(min(self.decay, (1 + count) / (10 + count)))(averages, weights, count)

    def before_stage(self, state: TrainingState) -> None:
        """Follow the model to its device."""
        self.averaged.to(state.fabric.device)

    def after_step(self, state: TrainingState) -> None:
        """Take in the weights as they are now."""
        self.averaged.update_parameters(state.model)

    def state_dict(self) -> dict:
        """The average and how many steps are in it."""
        return {"model": self.model.state_dict(), "count": self.averaged.n_averaged.clone()}

    def load_state_dict(self, state: dict) -> None:
        """Go on with a saved average; a checkpoint without one (EMA was off) starts it from the weights."""
        if state:
            self.model.load_state_dict(state["model"])
            # The ramp goes on where it was; from 0 the next step would copy the weights over the average.
            self.averaged.n_averaged.copy_(state["count"])
