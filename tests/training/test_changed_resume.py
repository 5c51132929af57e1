"""A run resumed with another config: what may change holds from then on, what may not is one line."""

from __future__ import annotations

import signal

import pytest
import torch

from bdd_inst.base.errors import DataError
from bdd_inst.training.hooks.checkpointer import Checkpointer
from bdd_inst.training.stages import fit_all, parse_stages
from bdd_inst.training.train import train
from bdd_inst.training.tune.batch_size import resolve_auto

SHORT = (
    "STAGES",
    "[]",
    "SOLVER.MAX_ITER",
    6,
    "SOLVER.BASE_LR",
    0.02,
    "SOLVER.WARMUP_ITERS",
    1,
    "TEST.PICTURES",
    0,
)
SHORT += ("SOLVER.EMA.ENABLED", False)


@pytest.fixture
def stopped(tiny_cfg, tmp_path, monkeypatch):
    """The folder of a run that was stopped after three of six iterations."""

    def stop(self, run):
        if run.progress.total == 3:
            run.stop.handle(signal.SIGTERM, None)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpointer, "after_step", stop)
        assert train(tiny_cfg(*SHORT), str(tmp_path / "run")).metrics is None
    return tmp_path / "run"


def weights(folder):
    return torch.load(folder / "model_final.pth", weights_only=True)["model"]


@pytest.mark.slow
def test_another_weight_decay_holds_from_then_on(tiny_cfg, stopped, tmp_path):
    train(tiny_cfg(*SHORT), str(tmp_path / "whole"))
    train(tiny_cfg(*SHORT, "SOLVER.WEIGHT_DECAY", 0.9), str(stopped), resume=True)
    first, second = weights(tmp_path / "whole"), weights(stopped)
    name = "roi_heads.box_predictor.cls_score.weight"
    assert second[name].norm() < first[name].norm()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("MODEL.ROI_BOX_HEAD.FC_DIM", 32), "the checkpoint is of another model than the config's"),
        (("SOLVER.OPTIMIZER", "AdamW"), "another SOLVER.OPTIMIZER"),
    ],
)
def test_what_cannot_go_on_is_one_line(tiny_cfg, stopped, change, message):
    with pytest.raises(DataError, match=message):
        train(tiny_cfg(*SHORT, *change), str(stopped), resume=True)


def test_a_batch_that_was_found_is_not_scaled_again(tiny_cfg):
    """With a reference of two processes it used to be halved by the resume, and the rate with it."""
    cfg = tiny_cfg("SOLVER.IMS_PER_BATCH", "auto", "SOLVER.REFERENCE_WORLD_SIZE", 2)
    first = fit_all(resolve_auto(parse_stages(cfg), None, lambda stage: 8), 12, 1)
    batches = [stage.cfg.SOLVER.IMS_PER_BATCH for stage in first]
    again = fit_all(resolve_auto(parse_stages(cfg), batches, lambda stage: 1), 12, 1)
    assert batches == [8, 8]
    assert [stage.cfg.SOLVER for stage in first] == [stage.cfg.SOLVER for stage in again]
    cfg.STAGES = [*cfg.STAGES, {"NAME": "third", "MAX_ITER": 2}]
    third = resolve_auto(parse_stages(cfg), batches, lambda stage: 4)[2]
    assert third.cfg.SOLVER.IMS_PER_BATCH == 4


def test_a_finished_run_trains_on_when_it_is_longer_now(tiny_cfg, tmp_path):
    """As long at once or in two goes: the same weights, since the rate is constant and the optimizer's state is kept."""
    even = ("SOLVER.LR_SCHEDULER_NAME", "WarmupMultiStepLR", "SOLVER.STEPS", "[]")
    train(tiny_cfg(*SHORT, *even), str(tmp_path / "whole"))
    short = tiny_cfg(*SHORT, *even, "SOLVER.MAX_ITER", 4)
    train(short, str(tmp_path / "parts"))
    again = train(short, str(tmp_path / "parts"), resume=True)  # nothing is left to do
    assert "all 4 iterations are done" in (again.folder / "log.txt").read_text()
    train(tiny_cfg(*SHORT, *even), str(tmp_path / "parts"), resume=True)
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_stage_added_to_a_finished_run_starts_afresh(tiny_cfg, tmp_path):
    stage = "{'NAME': 'one', 'TRAIN': 'heads', 'MAX_ITER': 2}"
    quiet = ("TEST.PICTURES", 0, "SOLVER.EMA.ENABLED", False)
    train(tiny_cfg("STAGES", f"[{stage}]", *quiet), str(tmp_path / "run"))
    second = "{'NAME': 'two', 'TRAIN': 'all', 'MAX_ITER': 2}"
    train(tiny_cfg("STAGES", f"[{stage}, {second}]", *quiet), str(tmp_path / "run"), resume=True)
    state = torch.load(tmp_path / "run" / "model_0000003.pth", weights_only=True)
    assert state["progress"] == {"stage": 2, "iteration": 0, "total": 4}
