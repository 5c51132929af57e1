"""A run that its scheduler starts again finds its own folder, and never another run's."""

from __future__ import annotations

import pytest

from bdd_inst.base.errors import DataError
from bdd_inst.training.hooks.checkpointer import Checkpointer
from bdd_inst.training.launch import LaunchConfig
from bdd_inst.training.restarts import job_mark, mark_folder, restarted, run_folder
from bdd_inst.training.saving import save_checkpoint
from bdd_inst.training.train import train

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none"}
SLURM = {"SLURM_JOB_ID": "1234"}
AGAIN = {"TORCHELASTIC_RUN_ID": "TORCHELASTIC_RESTART_COUNT", "SLURM_JOB_ID": "SLURM_RESTART_COUNT"}


@pytest.fixture(autouse=True)
def no_scheduler(monkeypatch):
    for name in (*TORCHRUN, *SLURM, *AGAIN.values()):
        monkeypatch.delenv(name, raising=False)


def test_without_a_scheduler_nothing_is_marked(tmp_path):
    mark_folder(tmp_path)
    assert not job_mark()
    assert not restarted()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scheduler", [TORCHRUN, SLURM])
@pytest.mark.parametrize("output", [True, False])
def test_the_own_folder_is_found(tmp_path, monkeypatch, scheduler, output):
    own, other = tmp_path / "own", tmp_path / "other"
    for name, value in scheduler.items():
        monkeypatch.setenv(name, value)
    for folder in (own, other):
        folder.mkdir()
        mark_folder(folder)
    (other / "run.json").write_text('{"job": "slurm 99"}')
    asked = str(own) if output else None
    if not output:
        assert run_folder(asked, str(tmp_path), resume=False)[0] not in (own, other)
    monkeypatch.setenv(AGAIN[next(iter(scheduler))], "1")
    assert run_folder(asked, str(tmp_path), resume=False) == (own, True)
    monkeypatch.setattr("sys.argv", ["train", "--config", "another.yaml"])
    assert run_folder(None, str(tmp_path), resume=False)[0] not in (own, other)


def test_a_killed_run_goes_on_and_another_one_is_refused(tiny_cfg, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "1234")
    cfg = tiny_cfg(
        "STAGES", "[]", "SOLVER.MAX_ITER", 4, "SOLVER.CHECKPOINT_PERIOD", 2, "TEST.PICTURES", 0
    )  # fmt: skip

    def die(self, run):
        save_checkpoint(run)
        raise RuntimeError("the node is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Checkpointer, "after_step", die)
        with pytest.raises(RuntimeError):
            train(cfg, str(tmp_path / "run"), launch_config=LaunchConfig())
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    with monkeypatch.context() as patch, pytest.raises(DataError, match="holds a run already"):
        patch.setenv("SLURM_JOB_ID", "99")
        train(cfg, str(tmp_path / "run"), launch_config=LaunchConfig())
    folder = train(cfg, str(tmp_path / "run"), launch_config=LaunchConfig()).folder
    assert "going on from" in (folder / "log.txt").read_text()
    assert (folder / "model_final.pth").is_file()
