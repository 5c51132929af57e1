"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

# What a file system says when it takes no more; these errors name no file by themselves.
NO_MORE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


@contextlib.contextmanager
def atomic_write(
    path: str | os.PathLike,
    mode: str = "w",
    keep: Callable[[IO, BaseException], Path | None] | None = None,
    durable: bool = True,
    check: Callable[[Path], object] | None = None,
) -> Iterator[IO]:
    """Open a temporary file beside ``path``; on success fsync it and rename it into place, on any error remove it.

    A reader sees the old file or the new one, never half of either (POSIX ``rename``).

    Args:
        path: the file to write; folders above it are made.
        mode: ``w`` (UTF-8 text) or ``wb``.
        keep: after an error in the block: makes what was written whole, and says under which name it stays; None drops it.
        durable: whether it is on the disk when this returns. Without, a power cut may still leave it empty: for many small files, whose
            writer looks at them again (:func:`settle` after the last one).
        check: reads the whole temporary file before it gets its name; what it raises drops it.

    Yields:
        The open temporary file.

    Raises:
        OSError: it cannot be written, the old file is untouched; the error names ``path``.
    """
    path = Path(path)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(
            prefix=hidden_name(path), suffix=".part", dir=path.parent
        )
        try:
            set_usual_mode(temporary)
            # A name may hold what UTF-8 cannot say: an escape, as on a terminal.
            text = {} if "b" in mode else {"encoding": "utf-8", "errors": "backslashreplace"}
            stream = os.fdopen(handle, mode, **text)
            with contextlib.closing(stream):
                try:
                    yield stream
                except BaseException as error:
                    place = keep(stream, error) if keep is not None else None
                    if place is not None:
                        os.fsync(stream.fileno())
                        os.replace(temporary, place)
                    raise
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            if check is not None:
                check(Path(temporary))
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def settle() -> None:
    """Wait until all that was written is on the disk, where the system can say so."""
    if hasattr(os, "sync"):
        os.sync()


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Have the OSErrors of the block, of a full disk for example, name the file that was to be, not the temporary one.

    Args:
        path: the file that is to be written.

    Yields:
        Nothing.

    Raises:
        OSError: the one of the block, its ``filename`` the file's.
    """
    try:
        yield
    except OSError as error:
        unnamed = error.errno in NO_MORE and error.filename is None
        if unnamed or os.path.basename(str(error.filename)).startswith(hidden_name(path)):
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise


def hidden_name(path: str | os.PathLike) -> str:
    """How the names of temporary files beside ``path`` begin.

    Args:
        path: the file that is to be written.

    Returns:
        The beginning of a hidden name.
    """
    return f".{Path(path).name[:40]}."


def sweep(folder: Path, owned: str) -> None:
    """Remove the temporary files that a killed run has left below a folder.

    Args:
        folder: whose lock the caller holds: nobody else writes there.
        owned: the name of lock files; a folder below with one of its own belongs to another run, and is left alone.
    """
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not os.path.exists(Path(place, name, owned))]
        for name in names:
            if name.startswith(".") and name.endswith(".part"):
                with contextlib.suppress(OSError):
                    os.unlink(Path(place, name))


def sweep_beside(path: Path) -> None:
    """Remove the temporary files that a killed run has left of one file.

    Args:
        path: the file that was to be written, and that nobody else is writing.
    """
    begin = hidden_name(path)
    for file in path.parent.iterdir() if path.parent.is_dir() else ():
        if file.name.startswith(begin) and file.suffix == ".part" and file.is_file():
            file.unlink(missing_ok=True)


def set_usual_mode(path: str | os.PathLike) -> None:
    """The user's umask for a file of ``mkstemp``, which makes them for its owner alone.

    Args:
        path: of the temporary file.
    """
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(path, 0o666 & ~umask)


def write_all(number: int, data: bytes) -> None:
    """All of ``data`` to a file descriptor, past any buffer.

    Args:
        number: the descriptor.
        data: any length.

    Raises:
        OSError: not all of it could be written.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(number, view) :]
