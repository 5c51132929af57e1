"""YOLO segmentation text (Ultralytics): ``labels/NAME.txt`` beside ``images/NAME.jpg``, classes in ``data.yaml``.

A line is ``class x1 y1 x2 y2 ...`` (one outline) or ``class cx cy w h`` (a box), all in parts of the image's width and height; the
format can therefore not be read without the images.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.base.regular_files import open_regular
from bdd_inst.config.yaml_files import parse
from bdd_inst.formats.encodings import as_utf8
from bdd_inst.formats.json_files import read_bytes, read_lines
from bdd_inst.formats.reading import label_set
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.sniff import FILES_LOOKED_AT, Found
from bdd_inst.images.finder import ImageFinder
from bdd_inst.images.size import read_size
from bdd_inst.masks.outlines import Outline

# Texts that stand beside the labels.
BESIDE = {"classes.txt", "train.txt", "val.txt", "test.txt", "README.txt"}


def find(path: Path) -> list[Path]:
    """The label files of a YOLO data set at ``path`` (its folder, its ``data.yaml``, its ``labels``, one file); none where it is none."""
    if path.suffix.lower() in (".yaml", ".yml") and path.is_file():
        below = path.parent
    elif path.is_dir():
        below = path
    elif path.suffix.lower() == ".txt" and path.is_file():
        return [path] if looks_like_yolo(_first_lines(path)) else []
    else:
        return []
    if not (below / "data.yaml").is_file() and "labels" not in below.parts:
        below = below / "labels"
    texts = sorted(f for f in below.rglob("*.txt") if f.name not in BESIDE)
    if "labels" not in below.parts:
        texts = [f for f in texts if "labels" in f.relative_to(below).parts] or texts
    sample = texts[:: max(1, len(texts) // FILES_LOOKED_AT)]
    alike = sum(looks_like_yolo(_first_lines(file)) for file in sample)
    # Beside a data.yaml even labels that are all broken are YOLO's, and their reader says what is wrong.
    named = path.is_file() or (path / "data.yaml").is_file()
    named = named and any("labels" in file.parts for file in texts)
    return texts if named or 2 * alike > len(sample) else []


def _first_lines(file: Path) -> list[str]:
    try:
        with open_regular(file) as stream:
            whole = b"".join(stream.readlines(1 << 16))
        return as_utf8(whole, file).decode().splitlines()
    except (OSError, DataError):
        return ["not text"]


def read(found: Found) -> LabelSet:
    """The label set of a data set's folder, its ``data.yaml``, or a folder of label files.

    Images are looked for in ``found.images``, else in the folder ``images`` that stands where ``labels`` stands in the path.
    """
    names = class_names(found.path)
    finders: dict[Path, ImageFinder] = {}
    times = Counter(file.stem for file in found.files)
    root = found.path if found.path.is_dir() else found.path.parent

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        seen = 0
        for file in found.files:
            folder = found.images or images_of(file.parent)
            finder = finders.setdefault(folder, ImageFinder(folder))
            try:
                image = finder.find(image_path(file).as_posix())
            except DataError as error:
                log.add("ambiguous-image", str(file), str(error))
                continue
            if image is None:
                log.add("missing-image", str(file), f"no image of that name below {folder}")
                continue
            try:
                height, width = read_size(image)
                lines = read_lines(file)
            except DataError as error:
                log.add("unreadable-file", str(file), str(error)[:200])
                continue
            seen += 1
            # Frames of several clips may have one name; each is then called by its folders too.
            base = root if image.is_relative_to(root) else folder
            name = image.name if times[file.stem] == 1 else image.relative_to(base).as_posix()
            yield _image(
                name, width, height=height, lines=lines, names=names, where=str(file), log=log
            )
        if not seen and log:
            raise DataError(f"{found.path}: no label file could be read, e.g. {log.lines()[0]}")

    numbers = tuple(range(1, len(names) + 1)) or None
    return label_set(found, generate, "coco", categories=names or None, category_ids=numbers)


def images_of(labels: Path) -> Path:
    """Where the images of a folder of label files are: ``images`` for ``labels`` in its path, else the folder itself."""
    parts = list(labels.parts)
    for place in reversed(range(len(parts))):
        if parts[place] == "labels":
            folder = Path(*parts[:place], "images", *parts[place + 1 :])
            return folder if folder.is_dir() else labels
    return labels


def image_path(file: Path) -> Path:
    """Where the image of a label file would be, by the folders of both; its suffix may be any."""
    parts = list(file.parent.parts)
    for place in reversed(range(len(parts))):
        if parts[place] == "labels":
            parts[place] = "images"
            break
    return Path(*parts, f"{file.stem}.jpg")


def class_names(path: Path) -> tuple[str, ...]:
    """The classes in order, from the ``data.yaml`` at or above ``path``, else ``classes.txt``; empty where neither is there."""
    folders = [path if path.is_dir() else path.parent]
    folders += list(folders[0].parents)[:2]
    given = [path] if path.suffix.lower() in (".yaml", ".yml") else []
    for file in [*given, *(f / "data.yaml" for f in folders)]:
        if file.is_file():
            return _yaml_names(file)
    for file in (f / "classes.txt" for f in folders):
        if file.is_file():
            return tuple(line.strip() for line in read_lines(file) if line.strip())
    return ()


def _yaml_names(file: Path) -> tuple[str, ...]:
    """``names`` of a ``data.yaml``, a list or numbers with names. DataError where there is none."""
    try:
        names = parse(read_bytes(file), str(file)).get("names")
        if isinstance(names, dict):
            # Numbers in quotes are numbers too.
            names = {int(k) if str(k).isdecimal() else k: name for k, name in names.items()}
            if sorted(names, key=str) != sorted(range(len(names)), key=str):
                raise ValueError("their numbers must go from 0 on, without a gap")
            names = [names[number] for number in range(len(names))]
        if not isinstance(names, list) or not names:
            raise ValueError("it must be a list, or numbers with names")
        if not all(isinstance(name, (str, int, float)) for name in names):
            raise ValueError("a name is a word")
        names = [str(name).strip() for name in names]
        twice = [name for name, times in Counter(names).items() if times > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} comes twice")
        return tuple(names)
    except ValueError as error:
        raise DataError(f"{file}: no classes under 'names' ({error})") from None


def _image(
    name: str,
    width: int,
    *,
    height: int,
    lines: list[str],
    names: tuple[str, ...],
    where: str,
    log: ProblemLog,
) -> ImageLabels:
    image = ImageLabels(name, width, height)
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        try:
            instance = _instance(words, width, height)
            own = int(float(words[0]))
            if names and not 0 <= own < len(names):
                raise ValueError(f"class {own}, there are 0 to {len(names) - 1}")
            instance.category = names[own] if names else str(own)
            instance.id = number
            image.instances.append(instance)
        except (ValueError, OverflowError) as error:
            log.add("bad-label", f"{where}: line {number}", f"{error}; left out")
    return image


def _instance(words: list[str], width: int, height: int) -> Instance:
    """A line as an object without its class. ValueError says what is wrong with it."""
    numbers = [float(word) for word in words[1:]]
    # Objects at the edge may reach a little beyond 0 and 1; pixels would be far beyond.
    if not all(math.isfinite(v) and -1 <= v <= 2 for v in numbers):
        raise ValueError("coordinates are parts of the image's sides, 0 to 1")
    # Four are a box, and a fifth its score; an outline has at least six.
    if len(numbers) in (4, 5):
        cx, cy, w, h = numbers[:4]
        if w <= 0 or h <= 0:
            raise ValueError("a box of no area")
        left, top = (cx - w / 2) * width, (cy - h / 2) * height
        score = numbers[4] if len(numbers) == 5 else None
        return Instance("", (left, top, left + w * width, top + h * height), score=score)
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError(f"{len(numbers)} numbers after the class: neither a box nor an outline")
    return Instance("", paths=[Outline(np.array(numbers).reshape(-1, 2) * (width, height))])


def looks_like_yolo(lines: list[str]) -> bool:
    """Whether the first lines of a text file are YOLO's."""
    words = [line.split() for line in lines if line.strip()][:5]
    try:
        return all(row[0].isdecimal() and _instance(row, 1, 1) is not None for row in words)
    except ValueError:
        return False


def as_number(value: Any) -> str:
    """A coordinate as YOLO writes it."""
    return f"{min(max(float(value), 0.0), 1.0):.6f}"
