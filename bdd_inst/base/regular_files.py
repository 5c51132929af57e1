"""Regular files opened for reading; a pipe or a device, which may never end or never answer, is refused without waiting for it."""

from __future__ import annotations

import os
import stat
from typing import IO

from bdd_inst.base.errors import DataError


def open_regular(path: str | os.PathLike, missing: str = "no such file") -> IO[bytes]:
    """A regular file for reading.

    Args:
        path: of the file.
        missing: what is said where there is none.

    Returns:
        A binary stream, which the caller closes.

    Raises:
        DataError: missing, unreadable, or no regular file.
    """
    try:
        # Without O_NONBLOCK opening a pipe waits for its writer, perhaps for ever.
        number = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        )
    except FileNotFoundError:
        raise DataError(f"{os.fspath(path)}: {missing}") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{os.fspath(path)}: cannot be opened ({why})") from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise DataError(
            f"{os.fspath(path)}: not a regular file; pipes, devices and folders are not read"
        )
    return os.fdopen(number, "rb")


def read_regular(path: str | os.PathLike, most: int, missing: str = "no such file") -> bytes:
    """The bytes of a regular file.

    Args:
        path: of the file.
        most: bytes that it may have.
        missing: what is said where there is none.

    Returns:
        All of it.

    Raises:
        DataError: missing, unreadable, no regular file, or larger.
    """
    with open_regular(path, missing) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > most:
            raise DataError(f"{os.fspath(path)}: {size} bytes, more than the {most} that are read")
        try:
            return stream.read()  # a number would be taken from the memory at once
        except MemoryError:
            raise DataError(f"{os.fspath(path)}: does not fit into the memory") from None
        except OSError as error:
            why = error.strerror or error
            raise DataError(f"{os.fspath(path)}: cannot be read ({why})") from None
