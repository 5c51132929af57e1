"""Finds the image file that a name in a label file means, however the tool that wrote the name spells it."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from bdd_inst.base.errors import DataError, printable
from bdd_inst.images.names import SUFFIXES, as_text, image_stem
from bdd_inst.images.size import read_size

UPLOAD_MARK = re.compile(r"^[0-9a-f]{8}-(?=.)")


class NamedImage(Protocol):
    """Anything with an image's name and, where it is a frame, its video's."""

    name: str
    video: str | None


def _plain(base: str) -> str:
    return base


def _composed(base: str) -> str:
    """One form of accents: macOS writes them apart (NFD), most others together (NFC); and one sign for what is no text."""
    return unicodedata.normalize("NFC", as_text(base))


def _decoded(base: str) -> str:
    """``%20`` and the like, as web tools write names."""
    return _composed(unquote(base, errors="surrogateescape"))


def _stem(base: str) -> str:
    return image_stem(_decoded(base))


def _folded(base: str) -> str:
    """Capitals as small letters, as Windows and macOS compare names."""
    return _stem(base).casefold()


def _uploaded(base: str) -> str:
    """Without the mark that Label Studio puts in front of what is uploaded to it: ``0a1b2c3d-a.jpg`` is ``a.jpg``."""
    return UPLOAD_MARK.sub("", _folded(base))


# Ways of comparing names, from the strictest to the loosest: the first one that finds a file decides.
WAYS: tuple[Callable[[str], str], ...] = (_plain, _composed, _decoded, _stem, _folded, _uploaded)


class ImageFinder:
    """The image files of a folder and its subfolders, listed once, by the names that label files use for them.

    A name is looked for as it stands and below its video's folder; then by its last part anywhere below, compared ever more loosely
    (:data:`WAYS`). Where several files fit, the one whose parent folders agree best with the name's own is meant, if it is one.
    Backslashes are slashes; folders in front that are not there (``C:\\\\data``, an export's folder, ``..``) do not matter, and no name
    leads out of the folder.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        """
        Raises:
            DataError: no such folder.
        """
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise DataError(f"{printable(folder)}: no such folder of images")
        self._files: dict[str, str] | None = None
        self._tables: dict[int, dict[str, list[str]]] = {}
        self._sizes: dict[str, tuple[int, int]] = {}

    def find(self, image: NamedImage | str, video: str | None = None) -> Path | None:
        """The file of an image (or name), None where there is none.

        Raises:
            DataError: several files would do; the message names two.
        """
        name = image if isinstance(image, str) else image.name
        video = video if isinstance(image, str) else image.video
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
        while ".." in parts:  # what lies above is not looked at
            del parts[: parts.index("..") + 1]
        if not parts:
            return None
        files = self._listed()
        inside = "/".join(parts)
        for key in (inside, f"{video}/{inside}" if video else inside):
            if key in files:
                return Path(files[key])
        for key in (inside, f"{video}/{inside}" if video else inside):
            if ".." not in key.split("/") and os.path.isfile(place := self.folder / key):
                return place  # of another suffix than images have, or hidden
        parents = parts[:-1] or ([video] if video else [])
        for number in range(len(WAYS)):
            found = self._table(number).get(WAYS[number](parts[-1]))
            if found:
                return Path(files[self._nearest(name, parents, found)])
        return None

    def size(self, image: NamedImage | str) -> tuple[int, int]:
        """(height, width) of an image as it is shown.

        Raises:
            DataError: it is missing or broken, or several would do.
        """
        path = self.find(image)
        if path is None:
            name = image if isinstance(image, str) else image.name
            raise DataError(f"{printable(name)}: no such image below {printable(self.folder)}")
        return self.measure(path)

    def measure(self, path: str | os.PathLike) -> tuple[int, int]:
        """:func:`read_size` of an image of this folder, read once."""
        path = os.fspath(path)
        if path not in self._sizes:
            self._sizes[path] = read_size(path)
        return self._sizes[path]

    def all(self) -> list[Path]:
        """Every image below the folder, by name."""
        return sorted(map(Path, self._listed().values()))

    def names(self) -> list[str]:
        """Names relative to the folder, with ``/``, sorted."""
        return sorted(self._listed())

    def __len__(self) -> int:
        return len(self._listed())

    def _listed(self) -> dict[str, str]:
        """Relative name -> path. Each folder once, also where links lead to it again; hidden ones are left out."""
        if self._files is None:
            self._files = list_images(self.folder)
        return self._files

    def _table(self, number: int) -> dict[str, list[str]]:
        if number not in self._tables:
            table: dict[str, list[str]] = {}
            for key in self._listed():
                table.setdefault(WAYS[number](key.rpartition("/")[2]), []).append(key)
            self._tables[number] = table
        return self._tables[number]

    def _nearest(self, name: str, parents: list[str], found: list[str]) -> str:
        """The one of several files whose last parent folders are most like the name's."""
        if len(found) == 1:
            return found[0]
        common = [_common_end(key.split("/")[:-1], parents) for key in found]
        best = [key for key, number in zip(found, common, strict=True) if number == max(common)]
        if len(best) > 1:
            some = " and ".join(printable(self.folder / key) for key in sorted(best)[:2])
            raise DataError(
                f"{printable(name)}: {len(best)} images could be meant below {printable(self.folder)}, "
                f"e.g. {some}; name the folder, or remove one"
            )
        return best[0]


def list_images(folder: str | os.PathLike, suffixes: tuple[str, ...] = SUFFIXES) -> dict[str, str]:
    """Relative name (with ``/``) -> path of every file of these suffixes below a folder, in the order of names.

    Links to folders are followed, but no folder is listed twice; hidden files and folders are left out.

    Args:
        folder: looked at with all folders below it.
        suffixes: lower case, with the dot.

    Returns:
        Name relative to the folder -> path.
    """
    out: dict[str, str] = {}
    seen = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        state = os.stat(here)
        if (state.st_dev, state.st_ino) in seen:
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        # Real folders before links to them, so that a file keeps the name that it has without the link.
        folders[:] = sorted(
            (f for f in folders if not f.startswith(".")),
            key=lambda f: (os.path.islink(os.path.join(here, f)), f),
        )
        inner = os.path.relpath(here, folder).replace(os.sep, "/")
        for name in sorted(names):
            if name.lower().endswith(suffixes) and not name.startswith("."):
                out[name if inner == "." else f"{inner}/{name}"] = os.path.join(here, name)
    return out


def _common_end(first: list[str], second: list[str]) -> int:
    """How many last items two lists share, names compared loosely."""
    number = 0
    for one, other in zip(reversed(first), reversed(second)):
        if _decoded(one).casefold() != _decoded(other).casefold():
            break
        number += 1
    return number
