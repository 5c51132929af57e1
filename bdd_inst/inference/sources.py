"""What to predict on: a picture, a folder of pictures or a video, as one stream of named frames."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.images import video
from bdd_inst.images.read import read_bgr

PICTURES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2", ".gif"}
)


@dataclass(slots=True)
class Frame:
    """One picture H,W,3 uint8 BGR. ``name`` is its path below the input folder, with ``/``; ``number`` counts from 1.

    Frames of a video are named as BDD100K names tracking frames: ``clip-0000001.jpg`` is the first.
    """

    name: str
    number: int
    image: np.ndarray


@dataclass
class Source:
    """Pictures (``paths`` below ``root``) or a video (``reader``); ``problems`` counts what could not be read."""

    root: Path
    paths: list[Path] = field(default_factory=list)
    reader: video.VideoReader | None = None
    problems: ProblemLog = field(default_factory=ProblemLog)

    @property
    def number(self) -> int | None:
        """How many frames there are, None where a video does not say."""
        return len(self.paths) if self.reader is None else self.reader.number or None

    def __iter__(self) -> Iterator[Frame]:
        return self._pictures() if self.reader is None else self._frames()

    def _pictures(self) -> Iterator[Frame]:
        for number, path in enumerate(self.paths, 1):
            name = path.relative_to(self.root).as_posix()
            try:
                image = read_bgr(path)
            except DataError as error:
                self.problems.add("unreadable-picture", name, str(error).removeprefix(f"{path}: "))
                continue
            yield Frame(name, number, image)

    def _frames(self) -> Iterator[Frame]:
        stem, number = self.reader.path.stem, 0
        for number, image in enumerate(self.reader, 1):
            yield Frame(f"{stem}-{number:07d}.jpg", number, image)
        missing = self.reader.number - number
        if missing > max(2, 0.02 * self.reader.number):  # headers round; this is more than rounding
            self.problems.add(
                "video-breaks-off",
                self.reader.path.name,
                f"{missing} of {self.reader.number} frames could not be decoded",
            )


def open_source(path: str | os.PathLike) -> Source:
    """Look at what ``path`` is. Folders are searched with their subfolders, in the order of names.

    Raises:
        DataError: nothing there, or nothing that is a picture or a video.
    """
    path = Path(path)
    if path.is_dir():
        found = find_pictures(path)
        if not found:
            raise DataError(
                f"{path}: no pictures in this folder or below ({', '.join(sorted(PICTURES))})"
            )
        return Source(path, found)
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder")
    if path.suffix.lower() in video.SUFFIXES:
        return Source(path.parent, reader=video.VideoReader(path))
    return Source(path.parent, [path])


def find_pictures(folder: str | os.PathLike) -> list[Path]:
    """Every picture file below ``folder`` by its suffix, sorted; hidden files and folders are left out."""
    found = []
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        found += [
            Path(here, n)
            for n in names
            if Path(n).suffix.lower() in PICTURES and not n.startswith(".")
        ]
    return sorted(found)
