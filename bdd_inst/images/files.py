"""The pictures of a folder: which are there, how large they are, and whether they are whole, from headers and tails alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from bdd_inst.base.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
EXIF_ORIENTATION = 274
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
# How a whole file ends. Some cameras append bytes after it, so a tail without the mark is looked at again.
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
TAIL = 64


@contextlib.contextmanager
def readable(path: str | os.PathLike) -> Iterator[None]:
    """Turn whatever PIL raises on a bad file into one DataError that names it."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path}: no such picture; is the data set complete?") from None
    except UnidentifiedImageError:
        raise DataError(f"{path}: not a picture in a known format; fetch it again") from None
    except Image.DecompressionBombError:
        raise DataError(f"{path}: a picture of implausible size; remove it") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise DataError(f"{path}: a broken picture ({error}); fetch it again") from None


def read_size(path: str | os.PathLike) -> tuple[int, int]:
    """Width and height of the picture as it is shown (EXIF orientation applied), after a look at whether the file is whole.

    Raises:
        DataError: missing, truncated, or no picture.
    """
    with readable(path), open(path, "rb") as stream, Image.open(stream) as image:
        width, height = image.size
        orientation = None
        with contextlib.suppress(Exception):  # a damaged EXIF block says nothing about the pixels
            orientation = image.getexif().get(EXIF_ORIENTATION)
        mark = ENDS.get(image.format)
        if mark is not None:
            stream.seek(-min(TAIL, os.fstat(stream.fileno()).st_size), os.SEEK_END)
            if mark not in stream.read():
                image.load()
        return (height, width) if orientation in SIDEWAYS else (width, height)


class ImageFolder:
    """The picture files of a folder and of its subfolders, listed once.

    Raises:
        DataError: no such folder.
    """

    def __init__(self, root: str | os.PathLike):
        self.root = Path(root)
        if not self.root.is_dir():
            raise DataError(f"{root}: no such folder of pictures")
        self._paths: dict[str, str] = {}
        for folder, _, names in os.walk(self.root, followlinks=True):
            inner = os.path.relpath(folder, self.root)
            for name in names:
                if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                    self._paths[name if inner == "." else f"{inner}/{name}"] = os.path.join(
                        folder, name
                    )

    def find(self, name: str, video: str | None = None) -> str | None:
        """The path of a picture by its name in the labels, also one that lies in a folder named after its video."""
        for key in (name, f"{video}/{name}" if video else name):
            if key in self._paths:
                return self._paths[key]
        return None

    def names(self) -> list[str]:
        """Names relative to the root, sorted."""
        return sorted(self._paths)

    def __len__(self) -> int:
        return len(self._paths)
