"""SIGTERM and Ctrl-C ask the run to stop after the step it is in; a second one ends it at once.

One request may arrive twice: a scheduler that signals the whole process group reaches a process itself and through its launcher, which
passes the signal on. So a second signal counts only some seconds later, or where it is another Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence

from bdd_inst.base.signal_handlers import handled

CAUGHT = ("SIGTERM", "SIGINT", "SIGUSR1")  # SLURM sends SIGUSR1 before its time limit when asked to
# Seconds within which a second signal is the first one's echo, however busy the machine.
SAME_REQUEST = 30.0


class StopRequest:
    """Whether a signal has asked to stop, and which."""

    def __init__(self) -> None:
        self.name = ""
        self.owner = os.getpid()
        self.since = 0.0

    def __bool__(self) -> bool:
        return bool(self.name)

    def handle(self, number: int, _frame: object) -> None:
        """The signal handler: note the first request, obey the second.

        Data workers inherit the handler and ignore the signal: a scheduler signals the whole process group, and the step in
        progress still needs them. They end with their parent.
        """
        if os.getpid() != self.owner:
            return
        name = signal.Signals(number).name
        if not self.name:
            self.name, self.since = name, time.monotonic()
        elif name == self.name == "SIGINT" or time.monotonic() - self.since > SAME_REQUEST:
            raise KeyboardInterrupt


@contextlib.contextmanager
def passing_on(workers: Sequence[subprocess.Popen]) -> Iterator[StopRequest]:
    """While open, this process does not end by stop signals but hands them to ``workers``, and notes that it got one."""
    request = StopRequest()

    def pass_on(number: int, _frame: object) -> None:
        request.name = signal.Signals(number).name
        # A terminal sends Ctrl-C to the whole group by itself, so only signals that come to us alone are passed on.
        for worker in workers if number != signal.SIGINT else ():
            with contextlib.suppress(ProcessLookupError):
                worker.send_signal(number)

    with handled(dict.fromkeys(caught(), pass_on)):
        yield request


@contextlib.contextmanager
def catch_stop() -> Iterator[StopRequest]:
    """While open, stop signals are noted instead of ending the process; the old handlers come back after."""
    request = StopRequest()
    with handled(dict.fromkeys(caught(), request.handle)):
        yield request


def caught() -> list[int]:
    """The signals that ask to stop, as far as this system has them."""
    return [getattr(signal, name) for name in CAUGHT if hasattr(signal, name)]
