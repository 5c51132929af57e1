"""One run a folder: a second process is refused, a killed one's lock is taken over."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from bdd_inst.base.errors import DataError
from bdd_inst.training.locks import NAME, FolderLock

IMPORTS = (
    "import sys, time; from pathlib import Path; from bdd_inst.training.locks import FolderLock"
)
HOLD = IMPORTS + "; {more}; print('held', flush=True); time.sleep(60)"
TAKE = "lock = FolderLock(Path(sys.argv[1])); lock.acquire()"


def holder(folder, project_root, more=TAKE):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(more=more), str(folder)],
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
    fork = (
        TAKE
        + "; import os; child = os.fork(); (time.sleep(5) or os._exit(0)) if child == 0 else None"
    )
    process = holder(tmp_path, project_root, fork)
    process.send_signal(signal.SIGKILL)
    process.wait()
    started = time.monotonic()
    with FolderLock(tmp_path):
        assert time.monotonic() - started < 2


def test_a_lock_can_be_taken_again_after_release(tmp_path):
    for _ in range(2):
        with FolderLock(tmp_path):
            assert (tmp_path / NAME).read_text().startswith("{")
