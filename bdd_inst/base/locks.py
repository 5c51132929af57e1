"""One run a folder: a lock that dies with its process."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path

from bdd_inst.base.errors import DataError
from bdd_inst.base.files import sweep

try:
    import fcntl
except ImportError:  # Windows has no record locks; there a living pid decides
    fcntl = None

NAME = "run.lock"


class FolderLock:
    """Holds ``folder/run.lock`` (pid and host inside) while a run writes there.

    The kernel's record lock decides, not the file: it is gone with its process however that ended, so a lock file that a killed
    run has left is stale and taken over, and two runs cannot both take one over. Worker processes do not inherit it.
    """

    def __init__(self, folder: Path, what: Path | None = None) -> None:
        """``what``: what is locked, for messages, where it is not the folder itself."""
        self.path, self.what = folder / NAME, what or folder
        self.handle: int | None = None

    def acquire(self) -> None:
        """Take the lock; the folder is made where it is not there, and what a killed run left half-written in it is removed.

        Raises:
            DataError: another run holds it; the message names its pid and host.
            OSError: nothing can be written there.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.what)) from error
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            if not self._lock(handle):
                holder = os.pread(handle, 400, 0).decode("utf-8", "replace") or "another process"
                os.close(handle)
                raise DataError(
                    f"{self.what}: another run is writing here ({holder}); wait for it, or give another --output"
                )
            # The holder before us may have removed the file between our open and our lock: then this is a lock on nothing.
            if self._is_current(handle):
                break
            os.close(handle)
        self.handle = handle
        holder = json.dumps({"pid": os.getpid(), "host": socket.gethostname()})
        # On a full disk the kernel's lock holds without a word in the file.
        with contextlib.suppress(OSError) if fcntl is not None else contextlib.nullcontext():
            os.ftruncate(handle, 0)
            os.pwrite(handle, holder.encode(), 0)
        sweep(self.path.parent, NAME)

    def release(self) -> None:
        """Give the lock back and remove its file."""
        if self.handle is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()
            os.close(self.handle)
            self.handle = None

    def _lock(self, handle: int) -> bool:
        if fcntl is None:
            return not self._holder_lives(handle)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except (BlockingIOError, PermissionError):
            return False
        except OSError:  # a file system without record locks
            return not self._holder_lives(handle)

    def _holder_lives(self, handle: int) -> bool:
        """Whether the pid in the file is a living process of this host; of another host we cannot know and say yes."""
        try:
            holder = json.loads(os.pread(handle, 400, 0))
        except ValueError:
            return False
        if holder.get("host") != socket.gethostname():
            return True
        try:
            os.kill(int(holder["pid"]), 0)
        except (OSError, ValueError, KeyError):
            return False
        return int(holder["pid"]) != os.getpid()

    def _is_current(self, handle: int) -> bool:
        with contextlib.suppress(OSError):
            here, there = os.fstat(handle), os.stat(self.path)
            return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
        return False

    def __enter__(self) -> FolderLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
