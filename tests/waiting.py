"""Waiting for other processes: for what they do, never for a number of seconds."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# Seconds. A machine may be as slow as it likes; only a process that hangs gets this far.
LAST_RESORT = 20 * 60


def wait_for(path: Path, process: subprocess.Popen) -> None:
    """Return once a file of that name (a pattern) is there.

    Raises:
        AssertionError: ``process`` has ended without it; holds what the process said.
    """
    until = time.monotonic() + LAST_RESORT
    while not list(path.parent.glob(path.name)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, f"{path} did not come"
        time.sleep(0.05)


HOLD = (
    "import sys; from pathlib import Path; from bdd_inst.base.locks import FolderLock; "
    "lock = FolderLock(Path(sys.argv[1])); lock.acquire(); print(flush=True); sys.stdin.read()"
)


@contextlib.contextmanager
def locked_elsewhere(folder: Path, root: Path) -> Iterator[None]:
    """While open, another process writes in ``folder``, as its lock says; ``root`` is the project's folder."""
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert other.stdout.readline() == b"\n"
        yield
    finally:
        other.communicate()
