"""Learning rates: Detectron2's published schedules by hand, warm-up shapes, plateaus."""

from __future__ import annotations

import math

import pytest
import torch

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.checking import check_config
from bdd_inst.config.loading import get_cfg
from bdd_inst.training.schedules import LearningRate


def rates(**keys: object) -> list[float]:
    cfg = get_cfg()
    for name, value in keys.items():
        cfg.SOLVER[name] = value
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=cfg.SOLVER.BASE_LR)
    rate = LearningRate(optimizer, cfg)
    return [rate.set(i) for i in range(cfg.SOLVER.MAX_ITER)]


def test_multi_step_warms_up_then_falls_at_the_steps():
    got = rates(BASE_LR=0.02, MAX_ITER=90, STEPS=[60, 80], WARMUP_ITERS=10, WARMUP_FACTOR=0.1)
    expected = [
        0.02 * (0.1 + 0.9 * i / 10) if i < 10 else 0.02 * 0.1 ** ((i >= 60) + (i >= 80))
        for i in range(90)
    ]
    assert got == pytest.approx(expected, rel=1e-12)


def test_cosine_runs_over_the_whole_stage_and_warm_up_reaches_it():
    got = rates(
        LR_SCHEDULER_NAME="WarmupCosineLR",
        BASE_LR=0.1,
        MAX_ITER=100,
        WARMUP_ITERS=20,
        WARMUP_FACTOR=0.0,
        BASE_LR_END=0.01,
    )
    cosine = [0.01 + 0.09 * 0.5 * (1 + math.cos(math.pi * i / 100)) for i in range(100)]
    assert got[20:] == pytest.approx(cosine[20:], rel=1e-12)
    assert got[:20] == pytest.approx([cosine[20] * i / 20 for i in range(20)], rel=1e-9, abs=1e-12)


def test_fixed_gamma_falls_at_even_distances():
    got = rates(
        LR_SCHEDULER_NAME="WarmupStepWithFixedGammaLR",
        BASE_LR=1.0,
        MAX_ITER=40,
        WARMUP_ITERS=0,
        NUM_DECAYS=3,
        GAMMA=0.5,
    )
    assert got == pytest.approx([0.5 ** (i // 10) for i in range(40)])


@pytest.mark.parametrize(
    "name",
    ["WarmupMultiStepLR", "WarmupCosineLR", "WarmupStepWithFixedGammaLR", "WarmupReduceOnPlateau"],
)
def test_warm_up_longer_than_the_stage_fills_it(name):
    got = rates(
        LR_SCHEDULER_NAME=name,
        BASE_LR=1.0,
        MAX_ITER=10,
        WARMUP_ITERS=1000,
        WARMUP_FACTOR=0.001,
        STEPS=[],
    )
    assert got[0] < 0.01
    assert all(math.isfinite(value) for value in got)


def test_every_group_keeps_its_own_base_rate():
    cfg = get_cfg()
    cfg.SOLVER.MAX_ITER, cfg.SOLVER.WARMUP_ITERS = 10, 0
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.1, 0.02)]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    cfg.SOLVER.STEPS = [5]
    LearningRate(optimizer, cfg).set(5)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.002])


def test_plateau_falls_after_patience_and_survives_a_checkpoint():
    cfg = get_cfg()
    cfg.SOLVER.merge_from_list(
        [
            "LR_SCHEDULER_NAME",
            "WarmupReduceOnPlateau",
            "PLATEAU_PATIENCE",
            2,
            "WARMUP_ITERS",
            0,
            "BASE_LR",
            1.0,
        ]
    )
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    rate = LearningRate(optimizer, cfg)
    assert [rate.step_plateau(value) for value in (10.0, 11.0, 10.5)] == [False, False, False]
    again = LearningRate(optimizer, cfg)
    again.load_state_dict(rate.state_dict())
    assert again.step_plateau(10.9)
    assert again.set(100) == pytest.approx(0.1)
    assert [again.step_plateau(value) for value in (12.0, None)] == [False, False]
    assert again.step_plateau(None)
    assert again.set(101) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("key", "value"),
    [("LR_SCHEDULER_NAME", "Cosine"), ("WARMUP_METHOD", "exp"), ("BASE_LR_END", 1.0)],
)
def test_what_cannot_be_is_refused_by_name(key, value):
    cfg = get_cfg()
    cfg.SOLVER.BASE_LR, cfg.SOLVER.LR_SCHEDULER_NAME = 0.1, "WarmupCosineLR"
    cfg.SOLVER[key] = value
    with pytest.raises(ConfigError, match=f"SOLVER.{key}"):
        check_config(cfg)
