"""Worker processes end with the one that started them, also when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

PARENT = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from bdd_inst.base.children import end_with_parent

def name(_):
    time.sleep(0.2)  # so that every worker gets one
    return os.getpid()

if __name__ == "__main__":
    with ProcessPoolExecutor(3, initializer=end_with_parent) as pool:
        print(*set(pool.map(name, range(12))), flush=True)
        sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_workers_of_a_killed_parent_end(tmp_path, project_root):
    (tmp_path / "parent.py").write_text(PARENT)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")],
        env=os.environ | {"PYTHONPATH": str(project_root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    workers = [int(word) for word in process.stdout.readline().split()]
    assert workers
    process.send_signal(signal.SIGKILL)
    # The workers hold the pipe of our output: its end means that the last of them has gone.
    assert process.stdout.read() == b""
    process.wait()
    process.stdin.close()
