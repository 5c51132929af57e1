"""Parameter groups, optimizers and clipping against the rules written out one parameter at a time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.loading import get_cfg
from bdd_inst.training.optim import build_optimizer, clip_gradients, layers_above, parameter_groups


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.bn = nn.BatchNorm2d(4)
        self.gn = nn.GroupNorm(2, 4)
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.tied = self.conv


def settings(**keys):
    cfg = get_cfg()
    for name, value in keys.items():
        cfg.SOLVER[name] = value
    return cfg


def by_name(cfg):
    return {
        name: (group["lr"], group["weight_decay"])
        for group in parameter_groups(Model(), cfg)
        for name in group["names"]
    }


def test_norms_and_biases_have_their_own_rules():
    cfg = settings(
        BASE_LR=0.1,
        WEIGHT_DECAY=0.01,
        WEIGHT_DECAY_NORM=0.0,
        WEIGHT_DECAY_BIAS=0.5,
        BIAS_LR_FACTOR=2.0,
    )
    assert by_name(cfg) == {
        "conv.weight": (0.1, 0.01), "conv.bias": (0.2, 0.5),
        "bn.weight": (0.1, 0.0), "bn.bias": (0.2, 0.5),
        "gn.weight": (0.1, 0.0), "gn.bias": (0.2, 0.5),
    }  # fmt: skip


def test_biases_are_plain_weights_by_default():
    found = by_name(settings(BASE_LR=0.1, WEIGHT_DECAY=0.01))
    assert found["conv.bias"] == found["conv.weight"] == (0.1, 0.01)
    assert found["gn.bias"] == (0.1, 0.0)


def test_a_stage_where_nothing_trains_is_refused():
    model = Model().requires_grad_(False)
    with pytest.raises(ConfigError, match="no parameter trains"):
        build_optimizer(get_cfg(), model)


@pytest.mark.parametrize(("name", "kind"), [("SGD", torch.optim.SGD), ("AdamW", torch.optim.AdamW)])
def test_optimizers_by_name(name, kind):
    assert isinstance(build_optimizer(settings(OPTIMIZER=name), Model()), kind)


def test_an_unknown_optimizer_is_named():
    with pytest.raises(ConfigError, match="'LARS'"):
        build_optimizer(settings(OPTIMIZER="LARS"), Model())


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("roi_heads.box_head.fc1.weight", 0),
        ("backbone.fpn_lateral2.weight", 0),
        ("backbone.bottom_up.res5.0.conv1.weight", 1),
        ("backbone.bottom_up.res2.0.conv1.weight", 4),
        ("backbone.bottom_up.stem.conv1.weight", 5),
        ("backbone.bottom_up.res5.stages_3.blocks.0.conv_dw.weight", 1),
        ("backbone.bottom_up.res2.stages_0.blocks.5.conv_dw.weight", 4),
        ("backbone.bottom_up.stem.blocks_0.0.conv_dw.weight", 5),
    ],
)
def test_depth_below_the_fpn(name, depth):
    assert layers_above(name) == depth


def test_clipping_by_each_rule():
    for kind, expected in {
        "value": [1.0, 1.0, 1.0],
        "norm": [0.6, 0.8, 1.0],
        "full_model": None,
    }.items():
        cfg = settings()
        cfg.SOLVER.CLIP_GRADIENTS.merge_from_list(
            ["ENABLED", True, "CLIP_TYPE", kind, "CLIP_VALUE", 1.0]
        )
        a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
        a.grad, b.grad = torch.tensor([3.0, 4.0]), torch.tensor([12.0])
        clip_gradients(torch.optim.SGD([a, b], lr=0.1), cfg)
        got = [*a.grad.tolist(), *b.grad.tolist()]
        assert got == pytest.approx(expected or [3 / 13, 4 / 13, 12 / 13], rel=1e-4)
