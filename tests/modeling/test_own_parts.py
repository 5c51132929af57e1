"""A user's own backbone, head and meta-architecture join the tables by one line, and what they cannot do is told by key."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bdd_inst.base.errors import ConfigError
from bdd_inst.engines import build_model
from bdd_inst.modeling.backbones import BACKBONES
from bdd_inst.modeling.meta import META_ARCHITECTURES
from tests.modeling.small import config


class Strided(nn.Module):
    """Two maps by strided convolutions."""

    size_divisibility = 16

    def __init__(self, width):
        super().__init__()
        self.channels, self.strides = {"s8": width, "s16": width}, {"s8": 8, "s16": 16}
        self.first = nn.Conv2d(3, width, 8, stride=8)
        self.second = nn.Conv2d(width, width, 2, stride=2)

    def forward(self, x):
        first = self.first(x).relu()
        return {"s8": first, "s16": self.second(first).relu()}


@pytest.fixture
def own(monkeypatch):
    """A config whose backbone is the user's."""
    monkeypatch.setitem(BACKBONES, "strided", lambda cfg: Strided(cfg.MODEL.FPN.OUT_CHANNELS))
    cfg = config()
    cfg.MODEL.BACKBONE.NAME = "strided"
    cfg.MODEL.RPN.IN_FEATURES = cfg.MODEL.ROI_HEADS.IN_FEATURES = ["s8", "s16"]
    cfg.MODEL.ANCHOR_GENERATOR.SIZES = [[32], [64]]
    return cfg


def test_a_backbone_of_ones_own_finds_objects(own):
    model = build_model(own).eval()
    found = model([{"image": torch.zeros(3, 64, 80, dtype=torch.uint8)}])[0]["instances"]
    assert found.image_size == (64, 80)
    assert not any(name.startswith("backbone.bottom_up") for name, _ in model.named_parameters())


def test_a_map_that_it_does_not_give_is_refused(own):
    own.MODEL.RPN.IN_FEATURES = ["s8", "p4"]
    with pytest.raises(ConfigError, match=r"MODEL.RPN.IN_FEATURES .*p4 is not among .*s8, s16"):
        build_model(own)


def test_a_meta_architecture_of_ones_own_is_built(monkeypatch):
    monkeypatch.setitem(META_ARCHITECTURES, "Identity", lambda cfg: nn.Identity())
    cfg = config()
    cfg.MODEL.META_ARCHITECTURE = "Identity"
    assert isinstance(build_model(cfg), nn.Identity)


def test_an_unknown_name_is_refused_with_the_nearest():
    cfg = config()
    cfg.MODEL.META_ARCHITECTURE = "GeneralisedRCNN"
    with pytest.raises(ConfigError, match=r"did you mean GeneralizedRCNN\?"):
        build_model(cfg)
