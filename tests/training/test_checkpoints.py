"""Checkpoint files: whole or not there, the newest that reads, the last few kept, nothing executed."""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Iterator

import pytest
import torch

from bdd_inst.base.errors import DataError
from bdd_inst.training import checkpoints
from bdd_inst.training.checkpoints import CheckpointFolder, read


def state(value: float, size: int = 1000) -> dict:
    return {
        "model": {f"w{i or ''}": torch.full((size,), value) for i in range(3)},
        "progress": {"stage": 0, "iteration": 1, "total": 1},
        "optimizer": None,
    }


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_last_few_are_kept_and_pointed_at(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=2)
    for iteration in (10, 20, 30):
        folder.save_step(iteration, state(iteration))
    assert names(tmp_path) == ["last_checkpoint", "model_0000019.pth", "model_0000029.pth"]
    path, loaded = folder.load_last()
    assert path.name == "model_0000029.pth"
    assert loaded["model"]["w"][0] == 30


def test_zero_keeps_all(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=0)
    for iteration in range(1, 6):
        folder.save_step(iteration, state(iteration))
    assert len(folder.numbered()) == 5


@pytest.mark.parametrize("damage", ["cut", "empty", "pointer", "no pointer"])
def test_a_damaged_newest_falls_back_to_the_one_before(tmp_path, damage):
    folder = CheckpointFolder(tmp_path, keep=3)
    for iteration in (10, 20):
        folder.save_step(iteration, state(iteration))
    newest = tmp_path / "model_0000019.pth"
    if damage == "cut":
        newest.write_bytes(newest.read_bytes()[:2000])
    elif damage == "empty":
        newest.write_bytes(b"")
    elif damage == "pointer":
        (tmp_path / "last_checkpoint").write_text("model_0099999.pth")
    else:
        (tmp_path / "last_checkpoint").unlink()
    path, loaded = folder.load_last()
    expected = 10 if damage in ("cut", "empty") else 20
    assert loaded["model"]["w"][0] == expected
    assert path.name == f"model_{expected - 1:07d}.pth"


def test_only_damaged_ones_are_an_error_and_none_is_a_start(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=3)
    assert folder.load_last() is None
    (tmp_path / "model_0000009.pth").write_bytes(b"torn")
    with pytest.raises(DataError, match="none of its 1 checkpoints can be read"):
        folder.load_last()


@contextlib.contextmanager
def no_room_beyond(size: int) -> Iterator[None]:
    """The kernel refuses to let a file grow beyond ``size`` bytes: what a full disk does, without filling one."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 100, 3_000, 500_000, 1_900_000])
def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path, room):
    folder = CheckpointFolder(tmp_path, keep=1)
    folder.save_step(10, state(10))
    with no_room_beyond(room), pytest.raises(OSError, match="File too large"):
        folder.save_step(20, state(20, size=200_000))
    assert names(tmp_path) == ["last_checkpoint", "model_0000009.pth"]
    assert folder.load_last()[1]["model"]["w"][0] == 10


class Exploit:
    def __reduce__(self):
        return os.system, ("touch exploited",)


def test_loading_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model_0000009.pth"
    torch.save({"model": {}, "progress": {}, "x": Exploit()}, path)
    with pytest.raises(DataError, match="not a readable checkpoint"):
        read(path)
    path.write_bytes(pickle.dumps(Exploit()))
    with pytest.raises(DataError):
        read(path)
    assert not (tmp_path / "exploited").exists()


def test_weights_alone_do_not_resume(tmp_path):
    torch.save({"model": {"w": torch.zeros(1)}}, tmp_path / "model_0000009.pth")
    with pytest.raises(DataError, match=r"MODEL\.WEIGHTS"):
        read(tmp_path / "model_0000009.pth")


def test_renames_are_synced_with_their_folder(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(checkpoints, "sync_folder", synced.append)
    CheckpointFolder(tmp_path, 1).save_step(1, state(1))
    assert synced == [tmp_path, tmp_path]
