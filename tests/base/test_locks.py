"""One run a folder: a second process is refused, a killed one's lock is taken over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from bdd_inst.base.errors import DataError
from bdd_inst.base.locks import NAME, FolderLock

IMPORTS = "import os, sys; from pathlib import Path; from bdd_inst.base.locks import FolderLock"
HOLD = IMPORTS + "; {more}; print('held', flush=True); sys.stdin.read()"
TAKE = "lock = FolderLock(Path(sys.argv[1])); lock.acquire()"


def holder(folder, project_root, more=TAKE):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(more=more), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=project_root,
    )
    assert process.stdout.readline().strip() == b"held"
    return process


def test_a_second_run_is_refused_and_told_who_is_there(tmp_path, project_root):
    process = holder(tmp_path, project_root)
    try:
        with pytest.raises(DataError, match=f'another run is writing here.*"pid": {process.pid}'):
            FolderLock(tmp_path).acquire()
    finally:
        process.kill()
        process.wait()


def test_the_lock_of_a_killed_run_is_stale(tmp_path, project_root):
    process = holder(tmp_path, project_root)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / NAME).exists()
    with FolderLock(tmp_path):
        pass
    assert not (tmp_path / NAME).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_data_worker_that_outlives_its_run_does_not_hold_the_lock(tmp_path, project_root):
    """The kernel's record lock belongs to the process that took it, not to those it has forked."""
    note = "Path(sys.argv[1], 'worker').write_text(str(child))"
    fork = f"{TAKE}; child = os.fork(); {note} if child else (sys.stdin.read(), os._exit(0))"
    process = holder(tmp_path, project_root, fork)
    worker = int((tmp_path / "worker").read_text())
    process.send_signal(signal.SIGKILL)
    process.wait()
    with FolderLock(tmp_path):
        os.kill(worker, 0)  # is still there
    process.stdin.close()


def test_a_lock_can_be_taken_again_after_release(tmp_path):
    for _ in range(2):
        with FolderLock(tmp_path):
            assert (tmp_path / NAME).read_text().startswith("{")


def test_what_a_killed_run_left_half_written_is_swept(tmp_path):
    for name in (".model_9.pth.abc.part", "images/.a.jpg.x.part", "other/.b.jpg.y.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"half")
    for name in ("mine.part", ".hidden", "other/run.lock"):
        (tmp_path / name).write_bytes(b"")
    with FolderLock(tmp_path):
        left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    # Another run's folder, and what no temporary file of ours is called, are left alone.
    assert left == {"run.lock", "mine.part", ".hidden", "other/run.lock", "other/.b.jpg.y.part"}
