"""Switches of a whole run: deterministic algorithms, mixed precision, optional loggers, signals and scaling with two processes."""

from __future__ import annotations

import csv
import os
import re
import signal
import sys

import pytest
import torch

from bdd_inst.base.errors import ConfigError
from bdd_inst.training import signals
from bdd_inst.training.hooks import metric_log
from bdd_inst.training.hooks.evaluation import Evaluation
from bdd_inst.training.train import train
from tests.waiting import LAST_RESORT, wait_for

SHORT = (
    "STAGES.heads.MAX_ITER",
    2,
    "STAGES.full.MAX_ITER",
    4,
    "SOLVER.LOG_PERIOD",
    1,
    "TEST.PICTURES",
    0,
)


def rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def weights(folder):
    return torch.load(folder / "model_final.pth", weights_only=True)["model"]


@pytest.fixture
def free_algorithms():
    """Puts torch's global switches back."""
    before = (
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
        os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    )
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before[:2]
    if before[2] is None:
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


@pytest.mark.slow
def test_deterministic_runs_use_such_algorithms_and_give_the_same_bits(
    tiny_cfg, tmp_path, free_algorithms
):
    cfg = tiny_cfg("DETERMINISTIC", True, *SHORT)
    first = weights(train(cfg, str(tmp_path / "a")).folder)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.deterministic
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"]
    second = weights(train(cfg, str(tmp_path / "b")).folder)
    assert all(torch.equal(first[name], second[name]) for name in first | second)


def test_mixed_precision_from_start_to_finish(tiny_cfg, tmp_path):
    """bf16 on the CPU: other arithmetic (the losses differ), near the same losses, and weights that stay float32."""
    whole = train(tiny_cfg(*SHORT), str(tmp_path / "float32"))
    mixed = train(
        tiny_cfg("SOLVER.AMP.ENABLED", True, "SOLVER.CLIP_GRADIENTS.ENABLED", True, *SHORT),
        str(tmp_path / "bf16"),
    )
    pairs = list(
        zip(rows(whole.folder / "training.csv"), rows(mixed.folder / "training.csv"), strict=True)
    )
    assert len(pairs) == 6
    for plain, low in pairs:
        assert float(low["total_loss"]) == pytest.approx(float(plain["total_loss"]), rel=0.02)
        assert low["loss_cls"] != plain["loss_cls"]
    assert {tensor.dtype for tensor in weights(mixed.folder).values()} <= {
        torch.float32,
        torch.int64,
    }
    figures = [outcome.metrics["coco_2017_person_val"]["segm"] for outcome in (mixed, whole)]
    assert figures[0].keys() == figures[1].keys()
    checkpoint = torch.load(mixed.folder / "model_0000005.pth", weights_only=True)
    assert all(
        tensor.dtype == torch.float32
        for tensor in checkpoint["model"].values()
        if tensor.is_floating_point()
    )


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_an_absent_logger_is_one_line_before_anything_is_done(
    tiny_cfg, tmp_path, monkeypatch, name
):
    monkeypatch.setattr(metric_log, "find_spec", lambda package: None)
    with pytest.raises(
        ConfigError, match=f"^LOGGERS: {name} is not installed; pip install {name}, or take it out"
    ):
        train(tiny_cfg("LOGGERS", f"['csv', '{name}']"), str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_wandb_run_is_known_again_on_resume_and_no_other_is_taken_for_it(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "run").mkdir(parents=True)
    first, second = (metric_log.wandb_id(tmp_path / name / "run") for name in ("a", "b"))
    assert first != second
    assert metric_log.wandb_id(tmp_path / "a" / "run") == first


def test_a_logger_that_is_there_is_taken(monkeypatch):
    monkeypatch.setattr(
        metric_log, "find_spec", lambda package: object() if package == "mlflow_skinny" else None
    )
    metric_log.check_loggers(["csv", "tensorboard", "mlflow"])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
def test_sigterm_stops_two_processes_at_one_iteration_and_they_go_on(tiny, tmp_path):
    """The same batch and rates as one process has are asked to grow with the second; the log says to what."""
    folder = tmp_path / "run"
    two = (
        "--output",
        folder,
        "--num-gpus",
        2,
        "SOLVER.REFERENCE_WORLD_SIZE",
        1,
        "TEST.PICTURES",
        0,
    )
    process = tiny.start(*two, "STAGES.heads.MAX_ITER", 100000)
    wait_for(folder / "model_*.pth", process)
    process.send_signal(signal.SIGTERM)
    out, log = process.communicate(timeout=LAST_RESORT)
    assert process.returncode == 0, out + log
    assert (
        log.count(
            "stage heads: scaled from 1 to 2 processes by the linear rule: batch 4, learning rate 0.02, 50000 iterations"
        )
        == 1
    )
    done = int(re.search(r"stopped by .* after (\d+) of", out).group(1))
    assert (folder / f"model_{done - 1:07d}.pth").is_file()
    assert "--num-gpus 2" in re.search(r"to go on: (.*)", out).group(1)
    assert not (folder / "run.lock").exists()
    text = tiny(*two, "--resume", "STAGES.heads.MAX_ITER", 2 * done + 4, "STAGES.full.MAX_ITER", 2)
    assert f"stage heads: iterations {done} to {done + 2}" in text
    assert text.count("the config has changed since the run began: STAGES") == 1
    assert (folder / "model_final.pth").is_file()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
def test_sigterm_right_after_a_checkpoint_needs_no_second_one_from_any_process(tiny, tmp_path):
    """Rank 0 alone knew that the iteration was already saved, and the other process waited for it in the next collective."""
    folder = tmp_path / "run"
    process = tiny.start(
        "--output",
        folder,
        "--num-gpus",
        2,
        "SOLVER.CHECKPOINT_PERIOD",
        1,
        "STAGES.heads.MAX_ITER",
        100000,
    )
    wait_for(folder / "model_*.pth", process)
    process.send_signal(signal.SIGTERM)
    out, log = process.communicate(timeout=LAST_RESORT)
    assert process.returncode == 0, out + log
    done = int(re.search(r"stopped by .* after (\d+) of", out).group(1))
    assert f"saved {folder / f'model_{done - 1:07d}.pth'}" in out


@pytest.mark.skipif(sys.platform == "win32", reason="no process groups")
def test_a_signal_to_the_whole_group_is_one_request(tiny, tmp_path):
    """The processes get it themselves and once more from their launcher; the echo used to end them without a checkpoint."""
    folder = tmp_path / "run"
    words = (
        "--output",
        folder,
        "--num-gpus",
        2,
        "SOLVER.CHECKPOINT_PERIOD",
        100000,
        "SOLVER.LOG_PERIOD",
        1,
    )
    process = tiny.start(*words, "STAGES.heads.MAX_ITER", 100000, start_new_session=True)
    wait_for(folder / "training.csv", process)
    os.killpg(process.pid, signal.SIGTERM)
    out, log = process.communicate(timeout=LAST_RESORT)
    assert process.returncode == 0, out + log
    assert "stopped by SIGTERM" in out
    assert len(list(folder.glob("model_*.pth"))) == 1


def test_echoes_of_a_signal_are_told_from_a_second_one(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(signals.time, "monotonic", lambda: clock[0])
    request = signals.StopRequest()
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
        request.handle(number, None)
    clock[0] += signals.SAME_REQUEST + 1
    with pytest.raises(KeyboardInterrupt):
        request.handle(signal.SIGTERM, None)
    again = signals.StopRequest()
    again.handle(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt):
        again.handle(signal.SIGINT, None)  # Ctrl-C pressed twice


def test_a_stop_in_the_evaluation_that_ends_the_stage_keeps_that_it_is_over(
    tiny_cfg, tmp_path, monkeypatch
):
    """Resumed, the run is the one that was never stopped."""
    keys = (
        "STAGES.heads.MAX_ITER",
        40,
        "STAGES.heads.BASE_LR",
        1e-7,
        "STAGES.full.MAX_ITER",
        2,
        "TEST.EVAL_PERIOD",
        2,
        "TEST.PICTURES",
        0,
    )
    keys += (
        "TEST.EARLY_STOPPING.PATIENCE",
        2,
        "TEST.EARLY_STOPPING.MIN_DELTA",
        50.0,
        "SOLVER.CHECKPOINT_PERIOD",
        1000,
    )
    whole = train(tiny_cfg(*keys), str(tmp_path / "whole"))
    ended = Evaluation.count_patience

    def with_signal(self, run, value):
        ended(self, run, value)
        if run.end_stage and run.progress.stage == 0:
            run.stop.handle(signal.SIGTERM, None)

    monkeypatch.setattr(Evaluation, "count_patience", with_signal)
    stopped = train(tiny_cfg(*keys), str(tmp_path / "run"))
    monkeypatch.undo()
    assert stopped.metrics is None
    again = train(tiny_cfg(*keys), str(tmp_path / "run"), resume=True)
    first, second = weights(whole.folder), weights(again.folder)
    assert all(torch.equal(first[name], second[name]) for name in first | second)


def test_sync_bn_on_cpu_processes_is_refused(tiny, tmp_path):
    text = tiny(
        "--output", tmp_path / "run", "--num-gpus", 2, "MODEL.RESNETS.NORM", "SyncBN", expect=1
    )
    assert "error: MODEL.RESNETS.NORM SyncBN: PyTorch has it for GPUs only" in text


def test_an_output_that_cannot_be_is_one_line_from_two_processes_too(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    text = tiny("--output", tmp_path / "file" / "run", "--num-gpus", 2, expect=1)
    assert "Traceback" not in text
