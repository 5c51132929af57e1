"""The kinds of label files, and who reads and writes each."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator

from bdd_inst.errors import DataError, ProblemLog
from bdd_inst.formats.pictures import PictureFinder
from bdd_inst.formats.records import LabelSet, LazyPictures, Picture
from bdd_inst.formats.sniff import sniff

# kind -> the module whose ``read(found)`` reads it; modules are imported when they are needed.
READERS = {
    "scalabel": "scalabel",
    "bdd-v1": "bdd_v1",
    "coco": "coco",
    "coco-results": "coco_results",
    "dicts": "dicts",
    "supervisely": "supervisely",
    "labelme": "labelme",
    "via": "via",
    "bitmask": "png_folders",
    "label-map": "png_folders",
    "binary-masks": "png_folders",
}


def read(path: str | os.PathLike, kind: str | None = None, images: str | os.PathLike | None = None) -> LabelSet:
    """Read a label source of any kind; ``kind`` spares the look at its content, ``images`` fills in sizes that the labels lack."""
    if kind is not None and kind not in READERS:
        raise DataError(f"unknown label kind {kind!r}; known are {', '.join(READERS)}")
    found = sniff(path, kind)
    labels = _module(READERS[found.kind]).read(found)
    if images is not None:
        labels.pictures = with_sizes(labels, images)
    return labels


def _module(name: str):
    return importlib.import_module(f"bdd_inst.formats.{name}")


def with_sizes(labels: LabelSet, images: str | os.PathLike) -> LazyPictures:
    """The pictures of a label set with the sizes that it lacks read from the picture files; those that cannot be are counted."""
    finder = PictureFinder(images)
    pictures = labels.pictures

    def generate(log: ProblemLog) -> Iterator[Picture]:
        for picture in pictures:
            if picture.width is None or picture.height is None:
                try:
                    picture.width, picture.height = finder.size(picture)
                except DataError as error:
                    log.add("no-picture-size", labels.source, str(error))
            yield picture

    return LazyPictures(generate, labels.problems)


