"""Where the images of a label file lie, when nobody says it: beside it, in the folders that people use."""

from __future__ import annotations

import os
from pathlib import Path

from bdd_inst.base.errors import DataError
from bdd_inst.formats.records import LabelSet
from bdd_inst.images.finder import ImageFinder

# Where images lie as seen from their label file, in the order of looking.
NEAR = (".", "images", "../images", "img", "../img", "JPEGImages", "../JPEGImages")


def images_beside(path: str, labels: LabelSet) -> Path:
    """The folder beside the labels in which the first image is found.

    Args:
        path: of the labels.
        labels: what is in them.

    Returns:
        the folder.

    Raises:
        DataError: it is in none of them, or several could be meant in each.
    """
    place = Path(path)
    base = place if place.is_dir() else place.parent
    first = next(iter(labels.images), None)
    if first is None:
        raise DataError(f"{path}: no image in it that can be used")
    if os.path.isabs(first.name) and os.path.isfile(first.name):
        return Path(first.name).parent
    ambiguous = None
    for folder in (base / name for name in NEAR):
        try:
            if folder.is_dir() and ImageFinder(folder).find(first) is not None:
                return Path(os.path.realpath(folder))
        except (
            DataError
        ) as error:  # masks of the images' names beside them: the folder of images alone may tell
            ambiguous = ambiguous or error
    if ambiguous is not None:
        raise ambiguous
    raise DataError(
        f"{path}: its image {first.name} is not found beside it; name the folder of the images (--train-images, --val-images)"
    )
