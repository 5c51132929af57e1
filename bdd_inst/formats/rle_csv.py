"""Run lengths in a CSV file, as Kaggle's segmentation contests have them: a row an object, ``ImageId,EncodedPixels`` and maybe a class.

Pairs of start and length count pixels from 1, down the first column, then the next. No pairs mean that nothing is there. The variants:
``Image_Label`` and ``ImageId_ClassId`` hold name and class with a ``_`` between; classes may carry attributes (``6_1_2``); sizes stand in
``Height`` and ``Width``, or the images must be at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import fields
from bdd_inst.formats.csv_files import head, is_csv, rows
from bdd_inst.formats.reading import label_set
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.sniff import Found
from bdd_inst.images.finder import ImageFinder
from bdd_inst.images.names import image_name, image_stem
from bdd_inst.masks import run_lengths
from bdd_inst.masks.rle_check import MAX_PIXELS

# Column names, small letters without underscores, by what they hold.
IMAGE = ("imageid", "img", "image", "id", "filename", "imagename", "imagelabel", "imageidclassid")
PIXELS = ("encodedpixels", "rlemask", "rle", "encoding")
CLASS = ("classid", "class", "classname", "label", "category", "categoryid")
SCORE = ("score", "confidence")
WITH_CLASS = ("imagelabel", "imageidclassid")  # image and class in one
NOTHING = ("", "-1", "nan", "none", "null")
BAD_PAIRS = "run lengths are pairs of start and length, whole numbers with blanks between"


def columns(names: list[str]) -> dict[str, str]:
    """Which column holds what, by the first line of a file; empty where it is no such file.

    Args:
        names: of the columns.

    Returns:
        ``image``, ``pixels``, and where they are there ``class``, ``score``, ``height``, ``width`` -> column name.
    """
    known = {name.lower().replace("_", "").replace(" ", ""): name for name in reversed(names)}
    table = {"image": IMAGE, "pixels": PIXELS, "class": CLASS, "score": SCORE, "height": ("height",), "width": ("width",)}  # fmt: skip
    found = {
        part: known[next(word for word in words if word in known)]
        for part, words in table.items()
        if any(word in known for word in words)
    }
    return found if "image" in found and "pixels" in found else {}


def find(path: Path) -> list[Path]:
    """The CSV file itself where its first line names images and run lengths."""
    return [path] if is_csv(path) and columns(head(path)) else []


def read(found: Found) -> LabelSet:
    """The label set of one CSV file. Sizes that it lacks are read from ``found.images``, else from images below its own folder."""
    file = found.files[0]
    names = columns(head(file))
    sized = "height" in names and "width" in names
    finder = None if sized else ImageFinder(found.images or file.parent)

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        images: dict[str, list[tuple[int, str | None, dict[str, str]]]] = {}
        for line, row in rows(file):
            name, word = _named(row[names["image"]].strip(), names, row)
            if not name:
                log.add("bad-record", f"{file}: line {line}", "no image's name; left out")
                continue
            images.setdefault(name, []).append((line, word, row))
        for name, objects in images.items():
            image = ImageLabels(image_name(name))
            try:
                image.height, image.width = _size(objects[0][2], names, image.name, finder)
            except DataError as error:
                log.add("no-image-size", str(file), str(error))
                continue
            for line, word, row in objects:
                try:
                    _add(image, word, row, names=names, line=line)
                except (DataError, ValueError) as error:
                    log.add("bad-rle", f"{file}: line {line} ({name})", f"{error}; left out")
            yield image

    return label_set(found, generate, "pixels")


def _named(text: str, names: dict[str, str], row: dict[str, str]) -> tuple[str, str | None]:
    """An image's name, and its class where the row has one."""
    if names["image"].lower().replace("_", "") in WITH_CLASS:
        # The image's ending tells where its name ends; names and classes may both have a "_" of their own.
        for place, sign in enumerate(text):
            if sign == "_" and image_stem(text[:place]) != text[:place]:
                return text[:place], text[place + 1 :]
        name, _, word = text.rpartition("_")
        return name, word or None
    if "class" not in names:
        return text, None
    word = row[names["class"]].strip()
    # A data frame with gaps writes whole numbers as 3.0.
    return text, word.removesuffix(".0") or None


def _size(
    row: dict[str, str], names: dict[str, str], name: str, finder: ImageFinder | None
) -> tuple[int, int]:
    """Height and width of an image. DataError where neither the row nor a file says them."""
    if finder is not None:
        return finder.size(name)
    sides = [fields.side(row[names[key]].strip().removesuffix(".0")) for key in ("height", "width")]
    if None in sides or sides[0] * sides[1] > MAX_PIXELS:
        raise DataError(
            f"{name}: {row[names['width']]!s:.20}x{row[names['height']]!s:.20} is no image's size"
        )
    return sides[0], sides[1]


def _add(
    image: ImageLabels, word: str | None, row: dict[str, str], *, names: dict[str, str], line: int
) -> None:
    """Add a row's object, if it has one."""
    text = row[names["pixels"]].strip()
    if text.lower() in NOTHING:
        return
    instance = Instance(word or "object", id=line, rle=decode(text, image.height, image.width))
    head_, _, others = instance.category.partition("_")
    if others and head_.isdecimal() and others.replace("_", "").isdecimal():
        instance.category, instance.attributes = head_, {"attributes": others}
    if "score" in names and (score := row[names["score"]].strip()):
        instance.score = fields.score_of(float(score))
    image.instances.append(instance)


def decode(text: str, height: int, width: int) -> dict:
    """``"start length start length"`` as an RLE.

    Args:
        text: of an object, starts counted from 1 down the columns.
        height, width: of its image, in pixels.

    Returns:
        An RLE of (height, width).

    Raises:
        ValueError: no such pairs, runs that overlap, or that pass the image's end.
    """
    words = text.split()
    if len(words) % 2 or not all(word.isdecimal() and len(word) < 12 for word in words):
        raise ValueError(BAD_PAIRS)
    pairs = np.array([int(word) for word in words], dtype=np.int64).reshape(-1, 2)
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    starts, ends = pairs[:, 0] - 1, pairs.sum(axis=1) - 1
    if starts[0] < 0 or ends.max() > height * width:
        raise ValueError(
            f"its runs reach pixel {int(ends.max())} of {height * width}: another image, or other sizes"
        )
    if (starts[1:] < ends[:-1]).any():
        raise ValueError("its runs overlap")
    counts = np.diff(np.stack([starts, ends], axis=1).reshape(-1), prepend=0, append=height * width)
    return run_lengths.normalize({"size": [height, width], "counts": counts})


def encode(rle: dict) -> str:
    """An RLE as ``"start length start length"``; empty for a mask without a pixel."""
    counts = run_lengths.counts_of(rle)
    starts = np.cumsum(counts)[:-1:2] + 1
    lengths = counts[1::2]
    pairs = np.stack([starts[: len(lengths)], lengths], axis=1)[lengths > 0]
    return " ".join(map(str, pairs.reshape(-1).tolist()))
