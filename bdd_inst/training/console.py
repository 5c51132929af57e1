"""What a user sees of the log: our own lines, beside a progress bar, and none of the libraries' chatter."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from pathlib import Path

from tqdm import tqdm

from bdd_inst.base.errors import printable

FORMAT = "%(asctime)s %(levelname).1s %(message)s"
TIME = "%H:%M:%S"
# What these say at INFO and WARNING is advice to programmers.
CHATTERS = (
    "lightning",
    "lightning.fabric",
    "lightning.pytorch",
    "lightning_fabric",
    "lightning_utilities",
    "py.warnings",
    "matplotlib",
    "fvcore",
    "iopath",
    "PIL",
    "torch.distributed",
    "tensorboard",
)


class LineFormatter(logging.Formatter):
    """Lines that a terminal can show whatever names are in them."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's lines, each printable."""
        return "\n".join(map(printable, super().format(record).split("\n")))


class BarHandler(logging.Handler):
    """Writes lines above a progress bar instead of through it."""

    def emit(self, record: logging.LogRecord) -> None:
        """One record, one line."""
        tqdm.write(self.format(record), file=sys.stderr)


class LogFile(logging.FileHandler):
    """The log on disk. Where that is full its lines are lost there; the run says so by what else it cannot write."""

    def handleError(self, record: logging.LogRecord) -> None:
        """No traceback of a full disk for each line."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        """Nor an error that hides the one that ended the run."""
        with contextlib.suppress(OSError):
            super().close()


def quiet_libraries() -> None:
    """Silence warnings and log lines that are not addressed to the user of this project."""
    warnings.filterwarnings("ignore", category=UserWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    for name in CHATTERS:
        logging.getLogger(name).setLevel(logging.ERROR)


def show_log(level: int = logging.INFO) -> None:
    """Show this project's log on standard error.

    Args:
        level: of the log, as in :mod:`logging`.
    """
    handler = BarHandler()
    handler.setFormatter(LineFormatter(FORMAT, TIME))
    root = logging.getLogger("bdd_inst")
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False


def log_to(folder: Path, rank: int = 0) -> logging.Handler:
    """Also write the log to ``log.txt`` (``log.txt.rank1`` ... of other processes), after what is there."""
    folder.mkdir(parents=True, exist_ok=True)
    handler = LogFile(
        folder / ("log.txt" if rank == 0 else f"log.txt.rank{rank}"), encoding="utf-8"
    )
    handler.setFormatter(LineFormatter(FORMAT))
    root = logging.getLogger("bdd_inst")
    root.addHandler(handler)
    if root.level == logging.NOTSET:  # called as a library: the file is written all the same
        root.setLevel(logging.INFO)
    return handler


def mute_others(rank: int) -> None:
    """Processes other than the first show warnings and errors only."""
    if rank:
        for handler in logging.getLogger("bdd_inst").handlers:
            if isinstance(handler, BarHandler):
                handler.setLevel(logging.WARNING)
