"""Folders of PNGs as label sets: BDD100K bitmasks, label maps (one instance a class), 0/255 masks (one instance an image).

A mask belongs to the image of its stem, ``NAME.png`` to ``NAME.jpg``; a label map's ``_person`` or ``_clothes`` ending names its classes
(the fashion set) and is no part of the stem. Where we wrote the folder ourselves, ``.conversion.json`` in it has the class names, their
numbers and the name of the file of scores; folders in it are then parts of the images' names, as they are where stems repeat.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec
import numpy as np

from bdd_inst.base import vocabulary as classes
from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import bitmask, label_map
from bdd_inst.formats.json_files import decode
from bdd_inst.formats.names import cityscapes_image
from bdd_inst.formats.reading import label_set
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.score_files import Scores
from bdd_inst.formats.sniff import NOTE_FILE, Found
from bdd_inst.formats.value_names import CITYSCAPES_ENDINGS, ENDINGS, NO_OBJECTS, ending_of
from bdd_inst.images import png_kinds
from bdd_inst.images.names import as_text, image_name
from bdd_inst.masks import run_lengths

# From half of 255 on a pixel of a smoothed mask belongs to the object.
HALF = 128
AHEAD = 32


def read(found: Found) -> LabelSet:
    """The label set of PNG masks, or of one."""
    note = _note(found.path)
    if found.kind in ("bitmask", "pan-seg"):
        known = classes.BDD100K_PAN_SEG if found.kind == "pan-seg" else classes.BDD100K_DET
        names, ids = _numbered(note, known)
        numbers, scores = dict(zip(ids, names, strict=True)), _scores(found, note)
        labels = png_label_set(
            found,
            lambda file, log: _bitmask(file, numbers, scores, log),
            names=names,
            note=note,
            notes=(),
            ids=ids,
        )
        if found.kind == "pan-seg":
            labels.things = tuple(name for name in names if name not in classes.BDD100K_PAN_STUFF)
        return labels
    if found.kind == "label-map":
        ending = ending_of(found.files, found.path)
        numbers = found.values or ENDINGS.get(ending, {})
        if note.get("categories") and not found.values:
            numbers = dict(zip(*_numbered(note, ())[::-1], strict=True))
        notes = ("value 255 is void",) if 0 in numbers else ("value 0 is background, 255 is void",)
        if not numbers and png_kinds.numbers_of(found.files) != "classes":
            notes += (
                "the values are taken for classes; they count on from 1 in each image, one region each, as numbers of objects do",
            )
        return png_label_set(
            found,
            lambda file, log: _label_map(file, numbers, ending, log),
            names=tuple(numbers.values()) or None,
            note=note,
            notes=notes,
            # Ids of categories count from 1.
            ids=None if 0 in numbers else tuple(numbers) or None,
        )
    # Of several classes the pixels no longer tell which.
    name = note["categories"][0] if len(note.get("categories") or ()) == 1 else "foreground"
    notes = (f"values from {HALF} on are the object, called {name!r}",)
    return png_label_set(
        found, lambda file, log: _binary(file, name), names=(name,), note=note, notes=notes
    )


def png_label_set(
    found: Found,
    parse: Callable[[Path, ProblemLog], ImageLabels],
    names: tuple[str, ...] | None,
    note: dict,
    notes: tuple[str, ...],
    ids: tuple[int, ...] | None = None,
) -> LabelSet:
    """The label set of PNGs, each read by ``parse``; ``nested`` folders are parts of the images' names."""
    nested = bool(note) or len({file.stem for file in found.files}) < len(found.files)

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        read = 0
        for file, image in _in_threads(found.files, lambda file: _parsed(file, parse, log)):
            if isinstance(image, DataError):
                if len(found.files) == 1:
                    raise image
                log.add("unreadable-file", str(file), str(image).removeprefix(f"{file}: "))
                continue
            read += 1
            if nested and image.video is None and found.path in file.parents:
                image.name = as_text(file.relative_to(found.path).with_name(image.name).as_posix())
            yield image
        if not read:
            raise DataError(
                f"{found.path}: none of its {len(found.files)} PNGs could be read, e.g. {log.lines()[0]}"
            )

    return label_set(
        found,
        generate,
        note.get("mask_rule", "pixels"),
        categories=names,
        category_ids=ids,
        notes=notes,
    )


def _parsed(
    file: Path, parse: Callable[[Path, ProblemLog], ImageLabels], log: ProblemLog
) -> ImageLabels | DataError:
    try:
        return parse(file, log)
    except DataError as error:
        return error


def _in_threads(
    files: list[Path], work: Callable[[Path], ImageLabels | DataError]
) -> Iterator[tuple[Path, ImageLabels | DataError]]:
    """``work`` on every file, a few ahead of the reader; decoding PNGs leaves Python's lock alone."""
    if len(files) < 4:
        for file in files:
            yield file, work(file)
        return
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(files), AHEAD):
            block = files[start : start + AHEAD]
            yield from zip(block, pool.map(work, block), strict=True)


def _note(path: Path) -> dict:
    """What we noted when we wrote this folder; empty where it is not ours."""
    file = (path if path.is_dir() else path.parent) / NOTE_FILE
    if not file.is_file():
        return {}
    note = decode(file, Note, "the note of a conversion, mend or remove it")
    return {key: value for key in Note.__struct_fields__ if (value := getattr(note, key))}


class Note(msgspec.Struct):
    """What stands in a note: class names with their numbers in the pixels, what drew the masks, the name of the file of scores."""

    categories: list[str] = []
    ids: list[int] = []
    mask_rule: Literal["official", "coco", "pixels"] | None = None
    scores: str | None = None

    def __post_init__(self) -> None:
        # 0/255 masks have one number for all classes.
        if self.ids and len(set(self.ids)) not in (1, len(self.categories)):
            raise ValueError(f"{len(self.categories)} categories and {len(set(self.ids))} ids")


def _numbered(note: dict, default: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Class names and their numbers in the pixels, as noted; ``default`` from 1 where nothing is."""
    names = tuple(note.get("categories") or default)
    return names, tuple(note.get("ids") or range(1, len(names) + 1))


def _scores(found: Found, note: dict) -> Scores | None:
    """The scores in the file beside the folder that its note names; None where there is none."""
    folder = found.path if found.path.is_dir() else found.path.parent
    name = PurePosixPath(str(note.get("scores") or "")).name
    file = folder.with_name(name) if name else None
    return Scores(file) if file is not None and file.is_file() else None


def image_labels(file: Path, height: int, width: int, ending: str = "") -> ImageLabels:
    """The image that a PNG of labels belongs to: of its stem, less an ending that names classes; a frame knows its video."""
    stem = file.stem.removesuffix(ending)
    if ending in CITYSCAPES_ENDINGS:
        return ImageLabels(cityscapes_image(stem), width, height)
    image = ImageLabels(image_name(stem), width, height)
    # Tracking: frames lie in a folder of their video's name and are numbered from 1.
    frame = re.fullmatch(re.escape(file.parent.name) + r"-(\d+)", stem)
    if frame:
        image.video, image.frame_index = file.parent.name, int(frame[1]) - 1
    return image


def instance_of(name: str, rle: dict, **fields) -> Instance:
    """An instance of a mask, its box tight."""
    return Instance(name, run_lengths.to_bbox(rle), rle=rle, **fields)


def _bitmask(
    file: Path, names: dict[int, str], scores: Scores | None, log: ProblemLog
) -> ImageLabels:
    (height, width), found = bitmask.read_bitmask(file)
    image = image_labels(file, height, width)
    shared = bitmask.shared_numbers(found)
    if shared:
        log.add(
            "shared-number",
            f"{file}: instance {shared[0]}",
            "one number with several classes or flags; taken for several instances",
        )
    own = scores.of(f"{file.parent.name}/{image.name}") if scores is not None else {}
    for item in found:
        name = names.get(item.category)
        if name is None:
            log.add(
                "unknown-category",
                f"{file}: instance {item.number}",
                f"class {item.category} is none of {', '.join(map(str, names))}",
            )
            name = str(item.category)
        flags = {
            flag: getattr(item, flag) for flag in ("truncated", "occluded", "crowd", "ignored")
        }
        image.instances.append(
            instance_of(name, item.rle, id=item.number, score=own.get(str(item.number)), **flags)
        )
    return image


def _label_map(file: Path, numbers: dict[int, str], ending: str, log: ProblemLog) -> ImageLabels:
    values = label_map.read_label_map(file)
    image = image_labels(file, *values.shape, ending)
    for value, rle in label_map.class_instances(values, background=-1 if 0 in numbers else 0):
        if value in NO_OBJECTS.get(ending, ()):
            log.add("category-left-out", str(file), f"value {value} is no object")
            continue
        if numbers and value not in numbers:
            log.add(
                "unknown-category",
                str(file),
                f"value {value} is none of {', '.join(map(str, numbers))}; left out",
            )
            continue
        image.instances.append(instance_of(numbers.get(value, str(value)), rle, id=value))
    return image


def _binary(file: Path, name: str) -> ImageLabels:
    values = png_kinds.pixels(file)
    if values.ndim == 3:
        values = values[..., 0]
    highest = np.iinfo(values.dtype).max if values.max(initial=0) > 1 else 1
    mask = values >= (HALF if highest == 255 else (highest + 1) // 2)
    image = image_labels(file, *mask.shape)
    if mask.any():
        image.instances.append(instance_of(name, run_lengths.encode(mask), id=1))
    return image
