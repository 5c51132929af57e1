"""What image files are called; the content, not the name, says what a file is."""

from __future__ import annotations

import re

HALF = re.compile("[\ud800-\udfff]")
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff",
    ".gif", ".avif", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm", ".pnm",
)  # fmt: skip
# Those of the images that we write; what else is read gets the first that fits.
WRITTEN = (".jpg", ".jpeg", ".png")


def is_image_name(name: str) -> bool:
    """Whether a file's name ends as an image's.

    Args:
        name: with or without its folder.

    Returns:
        True where its suffix is one of ``SUFFIXES``, in capitals or not.
    """
    return name.lower().endswith(SUFFIXES)


def image_stem(name: str) -> str:
    """A file's name without the suffix of an image; a dot that belongs to the name stays.

    Args:
        name: of a file, without its folder.

    Returns:
        ``1`` of ``1.jpg``, ``v1.2`` of ``v1.2``.
    """
    head, dot, tail = name.rpartition(".")
    return head if dot and head and f".{tail.lower()}" in SUFFIXES else name


def image_name(stem: str) -> str:
    """What the image is called that a label file of this name belongs to: a label file may keep its image's suffix.

    Args:
        stem: of the label file.

    Returns:
        The stem where it ends as an image's name; else with ``.jpg``, which stands for any suffix (:mod:`bdd_inst.images.finder`).
    """
    return stem if is_image_name(stem) else f"{stem}.jpg"


def as_text(name: str) -> str:
    """A file's name as label files can hold it: each byte that is no UTF-8 becomes U+FFFD, the sign of a lost character.

    Args:
        name: as Python has it from the system, such bytes as halves of characters.

    Returns:
        Text that every encoding of Unicode can say.
    """
    return name if name.isascii() else HALF.sub("\ufffd", name)
