"""A user's own mapper and hooks join a run from Python."""

from __future__ import annotations

import numpy as np
import torch

from bdd_inst.data.mapper import DatasetMapper
from bdd_inst.data.user_mapper import OneArgument, as_mapper
from bdd_inst.training.hooks import Hook
from bdd_inst.training.train import train


class Counter(Hook):
    """Counts steps, and keeps the count in the checkpoints."""

    def __init__(self):
        self.steps = 0

    def after_step(self, run):
        self.steps += 1

    def state_dict(self):
        return {"steps": self.steps}


def test_a_mapper_of_one_argument_and_a_hook(tiny_cfg, tmp_path):
    cfg = tiny_cfg("TEST.PICTURES", 0)
    ours, seen = DatasetMapper(cfg, True), []

    def mapper(dataset_dict):
        seen.append(np.random.random())  # noqa: NPY002 (what such mappers do)
        dataset_dict["width"] += 0
        return ours(dataset_dict, np.random.default_rng(0))

    hook = Counter()
    folder = train(cfg, str(tmp_path / "run"), mapper=mapper, hooks=[hook]).folder
    assert hook.steps == 14
    assert len(seen) == 14 * 2
    assert len(set(seen)) == len(seen)
    last = torch.load(folder / "model_0000013.pth", weights_only=True)
    assert last["hooks"]["Counter"] == {"steps": 14}


def test_what_a_mapper_draws_follows_from_the_sample():
    mapper = OneArgument(lambda item: {**item, "drawn": np.random.random()})  # noqa: NPY002
    given = {"annotations": []}
    first, second, third = (mapper(given, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first["drawn"] == second["drawn"] != third["drawn"]
    first["annotations"].append(1)
    assert given == {"annotations": []}


def test_mappers_of_ours_are_left_alone(tiny_cfg):
    ours = DatasetMapper(tiny_cfg(), True)
    assert as_mapper(ours) is ours
    assert isinstance(as_mapper(lambda item: item), OneArgument)
