"""Find the picture file that a label means, and read its size without decoding it."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from PIL import Image

from bdd_inst.base.errors import DataError
from bdd_inst.formats.records import Picture

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


class PictureFinder:
    """Pictures below one folder, by the names that label files use for them.

    A name is looked for as it stands, below its video's folder, by its base name anywhere below (if that is unique), and by its stem with
    another ending.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise DataError(f"{folder}: no such folder of pictures")
        self._by_name: dict[str, list[Path]] | None = None
        self._by_stem: dict[str, list[Path]] = {}

    def find(self, picture: Picture | str) -> Path | None:
        """The file of a picture (or name), None where there is none; DataError where several would do."""
        name, video = (picture, None) if isinstance(picture, str) else (picture.name, picture.video)
        for place in ((self.folder / name), *((self.folder / video / name,) if video else ())):
            # Names come from files: one that climbs out of the folder is not followed.
            if ".." not in Path(name).parts and place.is_file():
                return place
        self._index()
        base = name.replace("\\", "/").rsplit("/", 1)[-1]
        stem = base.rsplit(".", 1)[0] if base.lower().endswith(ENDINGS) else base
        found = self._by_name.get(base) or self._by_stem.get(stem) or []
        if len(found) > 1 and video:
            found = [f for f in found if f.parent.name == video] or found
        if len(found) > 1:
            some = f"{found[0]} and {found[1]}"
            raise DataError(
                f"{name}: {len(found)} pictures of this name below {self.folder}, e.g. {some}; name their folder"
            )
        return found[0] if found else None

    def size(self, picture: Picture | str) -> tuple[int, int]:
        """Width and height of a picture. DataError where it is missing or broken."""
        path = self.find(picture)
        if path is None:
            name = picture if isinstance(picture, str) else picture.name
            raise DataError(f"{name}: no such picture below {self.folder}")
        return picture_size(path)

    def all(self) -> list[Path]:
        """Every picture below the folder, by name."""
        self._index()
        return sorted(path for paths in self._by_name.values() for path in paths)

    def _index(self) -> None:
        if self._by_name is not None:
            return
        self._by_name = {}
        for folder, folders, names in os.walk(self.folder):
            folders[:] = sorted(d for d in folders if not d.startswith("."))
            for name in sorted(names):
                if name.lower().endswith(ENDINGS) and not name.startswith("."):
                    path = Path(folder, name)
                    self._by_name.setdefault(name, []).append(path)
                    self._by_stem.setdefault(path.stem, []).append(path)


def picture_size(path: str | os.PathLike) -> tuple[int, int]:
    """Width and height of a picture file, from its header. DataError where it is no picture."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                return picture.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: not a picture that can be read ({str(error)[:80]})") from None
