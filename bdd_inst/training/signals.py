"""SIGTERM and Ctrl-C ask the run to stop after the step it is in; a second one ends it at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

CAUGHT = ("SIGTERM", "SIGINT", "SIGUSR1")  # SLURM sends SIGUSR1 before its time limit when asked to


class StopRequest:
    """Whether a signal has asked to stop, and which."""

    def __init__(self) -> None:
        self.name = ""
        self.owner = os.getpid()

    def __bool__(self) -> bool:
        return bool(self.name)

    def handle(self, number: int, _frame: object) -> None:
        """The signal handler: note the first request, obey the second.

        Data workers inherit it and stay deaf: a scheduler signals the whole process group, and the step in progress needs them.
        They end with their parent.
        """
        if os.getpid() != self.owner:
            return
        if self.name:
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name


@contextlib.contextmanager
def catch_stop() -> Iterator[StopRequest]:
    """While open, stop signals are noted instead of ending the process; the old handlers come back after."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    numbers = [getattr(signal, name) for name in CAUGHT if hasattr(signal, name)]
    old = {number: signal.signal(number, request.handle) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in old.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
