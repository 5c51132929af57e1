"""The moving average against the formula, its checkpoint, and runs without it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bdd_inst.training.hooks.ema import MovingAverage


class Holder:
    def __init__(self, model):
        self.model = model


def test_it_is_the_formula_with_its_ramp():
    model = nn.Linear(1, 1, bias=False)
    average = MovingAverage(model, decay=0.5)
    expected = None
    for step, value in enumerate([1.0, 2.0, 5.0, -3.0, 8.0]):
        model.weight.data.fill_(value)
        average.after_step(Holder(model))
        decay = min(0.5, (1 + step) / (10 + step))
        expected = value if expected is None else decay * expected + (1 - decay) * value
        assert average.model.weight.item() == pytest.approx(expected, rel=1e-6)


def test_running_statistics_are_averaged_and_counters_copied():
    model = nn.BatchNorm2d(2)
    average = MovingAverage(model, decay=0.9)
    for _ in range(3):
        model(torch.randn(4, 2, 3, 3))
        average.after_step(Holder(model))
    assert average.model.num_batches_tracked.item() in (1, 2, 3)
    assert torch.isfinite(average.model.running_var).all()
    assert not average.model.training


def test_a_checkpoint_goes_on_where_it_was():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    first, second = MovingAverage(model, 0.9), MovingAverage(model, 0.9)
    first.after_step(Holder(model))
    second.load_state_dict(first.state_dict())
    model.weight.data.mul_(2)
    for average in (first, second):
        average.after_step(Holder(model))
    assert torch.equal(first.model.weight, second.model.weight)
    second.load_state_dict({})  # a checkpoint of a run without an average


def test_averages_do_not_train():
    average = MovingAverage(nn.Linear(1, 1), 0.9)
    assert not any(p.requires_grad for p in average.model.parameters())
