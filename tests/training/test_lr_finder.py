"""The range test on a bowl whose stable rates are known, and --lr-find from the command line."""

from __future__ import annotations

import itertools

import pytest
import torch
from lightning.fabric import Fabric
from torch import nn

from bdd_inst.base.errors import DataError
from bdd_inst.config.loading import get_cfg
from bdd_inst.training.launch import LaunchConfig
from bdd_inst.training.tune.lr_finder import find_rate, steepest
from bdd_inst.training.tune.tuning import find_learning_rate


class Bowl(nn.Module):
    """loss = curvature / 2 x |w|^2: gradient descent is stable below 2 / curvature and blows up above."""

    def __init__(self, curvature: float):
        super().__init__()
        self.curvature = curvature
        self.w = nn.Parameter(torch.ones(4))

    def forward(self, batch):
        return {"loss": self.curvature / 2 * (self.w**2).sum()}


@pytest.mark.parametrize("curvature", [1.0, 100.0])
def test_the_rate_lies_below_where_descent_blows_up(curvature):
    cfg = get_cfg()
    cfg.SEED, cfg.SOLVER.MOMENTUM, cfg.SOLVER.BASE_LR = 0, 0.0, 0.1
    found = find_rate(
        Fabric(accelerator="cpu", devices=1),
        Bowl(curvature),
        cfg,
        itertools.repeat([{}]),
        steps=120,
        highest=100.0,
    )
    assert 0.01 / curvature < found.suggestion < 2 / curvature
    assert len(found.rates) < 120  # it stopped when the loss had blown up
    assert found.rates[-1] > 2 / curvature
    assert found.rates[0] == pytest.approx(1e-6)


def test_a_loss_that_only_rises_suggests_nothing():
    rates = [10.0**i for i in range(-6, 0)]
    assert steepest(rates, [1, 2, 3, 4, 5, 6]) is None
    assert steepest(rates, [6, 6, 6, 5, 1, 9]) == pytest.approx(1e-3)


def test_a_loss_that_is_never_finite_is_an_error():
    cfg = get_cfg()
    cfg.SEED = 0
    with pytest.raises(DataError, match="not finite before any step"):
        find_rate(
            Fabric(accelerator="cpu", devices=1), Bowl(float("nan")), cfg, itertools.repeat([{}])
        )


def test_lr_find_measures_every_stage_and_trains_nothing(tiny_cfg, tmp_path):
    text = find_learning_rate(tiny_cfg("SOLVER.LR_FIND_STEPS", 12), str(tmp_path), LaunchConfig())
    assert "stage heads" in text
    assert "stage full" in text
    assert len((tmp_path / "lr_find.csv").read_text().splitlines()) > 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lr_find.csv", "lr_find.png"]
