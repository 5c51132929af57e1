"""Where results go: file names from any words, never outside the output folder, never two images in one file, never over an input."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from bdd_inst.base.errors import DataError

# What some file system does not allow in a name: Windows' list, control characters, bytes that were no UTF-8.
FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f\ud800-\udfff]|[. ]$')
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
ENDING = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]{1,5}")
LONGEST_NAME = 255  # bytes, of one name on all usual file systems
LONGEST_PATH = 1024  # bytes, of the part below the output folder


def output_name(
    name: str, suffix: str | None = None, keep: Iterable[str] = (), mark: bool = True
) -> str:
    """A relative path with ``/`` for what is called ``name`` (``a/b.tif``): allowed on every system, inside whatever folder it is put.

    What cannot stay is replaced by ``_``, and with ``mark`` a digest of the whole name is added, so that names which differ in nothing
    else stay apart. ``..``, ``.`` and a leading ``/`` are left out; backslashes are slashes.

    Args:
        name: any words: an image's name, a path below a folder, an object of a bucket.
        suffix: the file's ending in place of its own (``.png``); None leaves it.
        keep: endings that are not replaced; with them others get ``suffix`` added, so that ``a.tif`` becomes ``a.tif.png``.
        mark: add a digest where something had to be replaced.

    Returns:
        A relative path with ``/``, of at most 1024 bytes.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    if parts and re.fullmatch("[A-Za-z]:", parts[0]):  # a drive of Windows
        parts[0] = f"{parts[0][0]}_"
    last = parts.pop() if parts else "image"
    if suffix is not None:
        head, dot, tail = last.rpartition(".")
        # v1.2 has no ending: the dot belongs to the name.
        own = f".{tail.lower()}" if dot and head and ENDING.fullmatch(tail) else ""
        kept = tuple(keep)
        if own not in kept:
            last = f"{last if kept or not own else head}{suffix}"
    safe = [_safe(part) for part in (*parts, last)]
    changed = mark and safe != [*parts, last]
    if len("/".join(safe).encode()) > LONGEST_PATH:
        safe, changed = safe[-1:], True
    if changed or len(safe[-1].encode()) > LONGEST_NAME:
        safe[-1] = _marked(safe[-1], name)
    return "/".join(safe)


class OutputPaths:
    """Paths below one folder: the same name always gets the same one, and no two names share one, on whatever system the folder is
    opened later. Threads may use it together."""

    def __init__(
        self, folder: str | os.PathLike, suffix: str | None = None, keep: Iterable[str] = ()
    ) -> None:
        self.folder, self.suffix, self.keep = Path(folder), suffix, tuple(keep)
        self._owners: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str) -> Path:
        """The file for what is called ``name``; see :func:`output_name`."""
        with self._lock:
            out = output_name(name, self.suffix, self.keep, mark=False)
            if self._owners.setdefault(_alike(out), name) != name:
                head, slash, last = out.rpartition("/")
                out = f"{head}{slash}{_marked(last, name)}"
                self._owners[_alike(out)] = name
            return self.folder / out


def refuse_overlap(output: str | os.PathLike, *inputs: str | os.PathLike | None) -> None:
    """Refuse, before anything is written, an output that is an input or lies in a folder of inputs.

    Args:
        output: a file or folder to be written.
        *inputs: files and folders that are read; None are passed over.

    Raises:
        DataError: so it is; results would take the place of images, or be taken for images the next time.
    """
    place = Path(os.path.realpath(output))
    for source in inputs:
        if source is None:
            continue
        here = Path(os.path.realpath(source))
        if place == here or (here.is_dir() and here in place.parents):
            where = "is" if place == here else "lies in"
            raise DataError(
                f"{output}: the output {where} the input {source}, whose files it could overwrite; name another folder"
            )


def _alike(path: str) -> str:
    """A path as systems compare names that take no notice of capitals, and of how accents are written."""
    return unicodedata.normalize("NFC", path).casefold()


def _safe(part: str) -> str:
    out = FORBIDDEN.sub("_", part)
    if RESERVED.fullmatch(out):
        out = f"_{out}"
    raw = out.encode()
    return out if len(raw) <= LONGEST_NAME else _cut(out, LONGEST_NAME)


def _marked(last: str, name: str) -> str:
    """``b_.jpg`` -> ``b_-0f1e2d3c.jpg``: a digest of the name before the ending."""
    mark = "-" + hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    stem, ending = os.path.splitext(last)
    return _cut(stem, LONGEST_NAME - len((mark + ending).encode())) + mark + ending


def _cut(text: str, size: int) -> str:
    """The beginning of a text of at most ``size`` bytes, its ending (``.jpg``) kept where it is short."""
    stem, ending = os.path.splitext(text)
    ending = ending if len(ending.encode()) <= 16 else ""
    stem = stem if ending else text
    if len((stem + ending).encode()) <= size:
        return stem + ending
    return stem.encode()[: size - len(ending.encode())].decode(errors="ignore") + ending
