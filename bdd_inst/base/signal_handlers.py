"""Handlers of signals for the length of a block."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping

Handler = Callable[[int, object], None]


@contextlib.contextmanager
def handled(handlers: Mapping[int, Handler]) -> Iterator[None]:
    """While open, signals go to these handlers; the old ones come back after.

    Outside the main thread, which alone may set handlers, nothing changes.

    Args:
        handlers: by signal, e.g. ``signal.SIGTERM``; each is called with the signal and the frame that was interrupted.

    Yields:
        None.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None: it was set by other than Python, and cannot be put back.
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
