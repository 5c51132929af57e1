"""Waiting for other processes: for what they do, never for a number of seconds."""

from __future__ import annotations

import subprocess
import time
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
