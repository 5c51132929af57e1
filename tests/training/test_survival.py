"""Nothing is lost: SIGKILL at any moment, SIGTERM, a second run into the same folder, a full disk, losses that are not finite."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bdd_inst.base.errors import DataError
from bdd_inst.training import checkpoints, loop
from bdd_inst.training.train import train
from tests.waiting import LAST_RESORT, wait_for


def weights(path: Path) -> dict:
    return torch.load(path, weights_only=True)["model"]


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.skipif(sys.platform == "win32", reason="no fork and no SIGKILL")
def test_killed_many_times_it_ends_with_the_same_bits(tiny, tiny_cfg, tmp_path, kills):
    expected = train(tiny_cfg("TEST.PICTURES", 0), str(tmp_path / "whole")).folder
    driver = Path(__file__).with_name("killing.py")
    command = [
        sys.executable,
        str(driver),
        str(tiny.config),
        str(tmp_path / "killed"),
        str(kills),
        "1",
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=tiny.env | {"PYTHONPATH": str(tiny.root)},
        timeout=LAST_RESORT,
        check=True,
    )
    rounds = done.stdout.splitlines()
    assert rounds[-1] == "to the end: 0", done.stdout + done.stderr
    assert not any("failed" in line for line in rounds), done.stdout
    assert sum("killed" in line for line in rounds) == kills, done.stdout
    for name in ("model_final.pth", "model_ema.pth"):
        first, second = weights(expected / name), weights(tmp_path / "killed" / name)
        assert all(torch.equal(first[key], second[key]) for key in first | second)
    assert not list((tmp_path / "killed").glob(".*.part"))


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
def test_sigterm_saves_and_says_how_to_go_on_and_a_second_run_is_refused(tiny, tmp_path):
    folder = tmp_path / "run"
    process = tiny.start(
        "--output", folder, "STAGES.heads.MAX_ITER", 100000, "SOLVER.CHECKPOINT_PERIOD", 5
    )
    wait_for(folder / "model_*.pth", process)
    refused = tiny("--output", folder, "--resume", expect=1)
    assert re.search(rf"error: .*another run is writing here .*{process.pid}", refused)
    assert "Traceback" not in refused
    process.send_signal(signal.SIGTERM)
    out, log = process.communicate(timeout=LAST_RESORT)
    assert process.returncode == 0, out + log
    done = int(re.search(r"stopped by SIGTERM after (\d+) of", out).group(1))
    assert (folder / f"model_{done - 1:07d}.pth").is_file()
    command = re.search(r"to go on: (.*)", out).group(1)
    assert "--resume" in command
    assert f"--output {folder}" in command
    assert "Lightning" not in log
    assert not (folder / "run.lock").exists()


def test_a_full_disk_is_reported_and_training_goes_on(tiny_cfg, tmp_path, monkeypatch):
    real, calls = checkpoints.save_to, []

    def save_to(state, stream):
        calls.append(state["progress"]["total"] if "progress" in state else -1)
        if calls[-1] == 8:
            stream.write(b"x" * 100)
            raise OSError(28, "No space left on device")
        real(state, stream)

    monkeypatch.setattr(checkpoints, "save_to", save_to)
    folder = train(tiny_cfg("TEST.PICTURES", 0), str(tmp_path / "run")).folder
    assert calls[:4] == [4, 5, 8, 12]
    log = (folder / "log.txt").read_text()
    assert "No space left on device" in log
    assert f"the last good checkpoint is {folder / 'model_0000004.pth'}" in log
    assert not (folder / "model_0000007.pth").exists()
    assert (folder / "model_final.pth").exists()


def test_best_weights_that_a_full_disk_did_not_take_are_an_error_at_the_end(
    tiny_cfg, tmp_path, monkeypatch
):
    """All else is done and kept; who takes model_best.pth must hear that it is not there."""
    real = checkpoints.CheckpointFolder.save

    def save(self, name, content):
        if name == "model_best.pth":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, name, content)

    monkeypatch.setattr(checkpoints.CheckpointFolder, "save", save)
    with pytest.raises(DataError, match="model_best.pth: could not be written .No space left"):
        train(tiny_cfg("TEST.PICTURES", 0), str(tmp_path / "run"))
    left = {p.name for p in (tmp_path / "run").iterdir()}
    assert left >= {"model_final.pth", "metrics.json", "report.html", "run.json"}
    assert "model_best.pth" not in left


def test_a_loss_that_is_not_finite_names_the_images_and_the_last_good_checkpoint(
    tiny_cfg, tmp_path, monkeypatch
):
    real = loop.set_trainable

    def set_trainable(model, *arguments):
        """Break the mask loss in the seventh iteration."""
        real(model, *arguments)
        forward, count = model.losses, [0]

        def losses(batch):
            count[0] += 1
            found = forward(batch)
            return (
                found | {"loss_mask": found["loss_mask"] * float("nan")}
                if count[0] == 2 and arguments[0] == "all"
                else found
            )

        model.losses = losses

    monkeypatch.setattr(loop, "set_trainable", set_trainable)
    with pytest.raises(DataError) as caught:
        train(tiny_cfg(), str(tmp_path / "run"))
    message = str(caught.value)
    assert "stage full, iteration 1: loss_mask is nan" in message
    named = re.findall(r"(\d+) \(\S+/(\d{12})\.jpg\)", message)
    assert len(named) == 2
    assert all(int(image_id) == int(stem) for image_id, stem in named)
    assert f"the last good checkpoint is {tmp_path / 'run' / 'model_0000004.pth'}" in message
    assert "SOLVER.BASE_LR" in message


def test_a_diverging_run_stops_and_exits_1(tiny, tmp_path):
    text = tiny(
        "--output",
        tmp_path / "run",
        "STAGES.heads.BASE_LR",
        1e12,
        "STAGES.heads.WARMUP_ITERS",
        0,
        expect=1,
    )
    assert re.search(
        r"error: stage heads, iteration \d+: .*(nan|inf|not finite).*the batch was", text
    )
    assert "Traceback" not in text


def test_weights_that_are_not_finite_are_never_saved(tiny_cfg, tmp_path, monkeypatch):
    """The step before a NaN loss has spoiled the weights already; a checkpoint just then must not be written."""
    real = loop.clip_gradients

    def clip_gradients(optimizer, cfg):
        real(optimizer, cfg)
        optimizer.param_groups[0]["params"][0].grad.fill_(float("inf"))

    monkeypatch.setattr(loop, "clip_gradients", clip_gradients)
    cfg = tiny_cfg("SOLVER.CLIP_GRADIENTS.ENABLED", True, "SOLVER.CHECKPOINT_PERIOD", 1)
    with pytest.raises(DataError, match="no longer finite.*there is no good checkpoint yet"):
        train(cfg, str(tmp_path / "run"))
    assert not list((tmp_path / "run").glob("*.pth"))
