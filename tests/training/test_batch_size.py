"""``IMS_PER_BATCH auto``: the search, the learning rate that follows, and real trials on the tiny model."""

from __future__ import annotations

import pytest
import torch

from bdd_inst.base.errors import DataError
from bdd_inst.config.loading import get_cfg
from bdd_inst.training.stages import parse_stages
from bdd_inst.training.train import train
from bdd_inst.training.tune import batch_size
from bdd_inst.training.tune.batch_size import MemoryProbe, fit_batch, resolve_auto


@pytest.mark.parametrize(
    ("room", "largest", "world", "expected"),
    [(5, 64, 1, 4), (1, 64, 2, 2), (99, 16, 1, 16), (8, 8, 4, 32)],
)
def test_the_largest_power_of_two_that_fits(room, largest, world, expected):
    assert fit_batch(get_cfg(), largest, lambda size: size <= room, world) == expected


def test_not_even_one_image_says_what_to_lower():
    with pytest.raises(DataError, match=r"INPUT\.MAX_SIZE_TRAIN"):
        fit_batch(get_cfg(), 8, lambda size: False, 1)


def test_the_learning_rate_follows_the_batch_and_other_stages_stay():
    cfg = get_cfg()
    cfg.STAGES = [
        {"NAME": "a", "IMS_PER_BATCH": "auto", "BASE_LR": 0.02},
        {"NAME": "b", "BASE_LR": 0.02},
    ]
    first, second = resolve_auto(parse_stages(cfg), None, lambda stage: 4)
    assert (4, pytest.approx(0.005)) == (first.cfg.SOLVER.IMS_PER_BATCH, first.cfg.SOLVER.BASE_LR)
    assert (second.cfg.SOLVER.IMS_PER_BATCH, second.cfg.SOLVER.BASE_LR) == (16, 0.02)
    resumed, _ = resolve_auto(
        parse_stages(cfg), [8, 16], lambda stage: pytest.fail("measured again")
    )
    assert resumed.cfg.SOLVER.IMS_PER_BATCH == 8


class Hungry(torch.nn.Module):
    def __init__(self, room: int):
        super().__init__()
        self.room, self.w = room, torch.nn.Parameter(torch.ones(1))

    def forward(self, batch):
        if len(batch) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return {"loss": self.w.sum()}


def test_an_out_of_memory_error_ends_the_search():
    probe = MemoryProbe(Hungry(3), [{}], torch.device("cpu"), torch.no_grad)
    probe.autocast = torch.enable_grad
    assert fit_batch(get_cfg(), 64, probe, 1) == 2
    assert probe.model.w.grad is None


def test_on_the_cpu_a_batch_beyond_free_memory_is_not_tried(monkeypatch):
    peaks = iter([0, 100, 100, 200])
    monkeypatch.setattr(batch_size, "peak_memory", lambda device: next(peaks))
    monkeypatch.setattr(batch_size, "free_memory", lambda device: 150)
    probe = MemoryProbe(Hungry(64), [{}], torch.device("cpu"), torch.enable_grad)
    assert (
        fit_batch(get_cfg(), 64, probe, 1) == 2
    )  # an image takes 100; two more would take 200 of 150


def test_a_run_with_auto_finds_its_batch(tiny_cfg, tmp_path, caplog):
    cfg = tiny_cfg(
        "SOLVER.IMS_PER_BATCH",
        "auto",
        "STAGES",
        "[{'NAME': 'one', 'MAX_ITER': 2, 'BASE_LR': 0.016}]",
        "TEST.PICTURES",
        0,
    )
    folder = train(cfg, str(tmp_path / "run")).folder
    assert (
        "IMS_PER_BATCH auto is 16 images; learning rate 0.016" in (folder / "log.txt").read_text()
    )
    state = torch.load(folder / "model_0000001.pth", weights_only=True)
    assert state["batch_sizes"] == [16]
