"""COCO panoptic JSON with its folder of PNGs, whose colors number the segments: ``id = R + 256 G + 65536 B``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.base.output_paths import output_name
from bdd_inst.formats import coco_entries as entries
from bdd_inst.formats import fields
from bdd_inst.formats.coco import is_panoptic
from bdd_inst.formats.json_files import describe, items, plain, top_level
from bdd_inst.formats.panoptic_png import read_ids
from bdd_inst.formats.reading import label_set
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.signs import Glimpse
from bdd_inst.formats.sniff import Found
from bdd_inst.masks import run_lengths
from bdd_inst.masks.label_runs import label_rles


def signs(glimpse: Glimpse) -> bool:
    """Whether a JSON object has a list of images whose annotations are panoptic segments."""
    return glimpse.is_list("images") and is_panoptic(glimpse)


def read(found: Found) -> LabelSet:
    """The label set of one file; its PNGs lie in the folder of its name, or beside it. Things and stuff are instances alike; ``things`` tells them apart."""
    file = found.files[0]
    top = found.top if found.top is not None else top_level(file)
    where = str(file)
    if not isinstance(top, dict) or items(top.get("images")) is None:
        raise DataError(f"{where}: a COCO panoptic file needs a list 'images'")
    names = entries.categories(items(top.get("categories")) or [], where)
    folder = next(f for f in (file.with_suffix(""), file.parent) if f.is_dir())

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        images = {}
        for number, raw in enumerate(items(top.get("images")) or []):
            image = entries.image(raw, f"{where}: image #{number}", log)
            if image is not None:
                key = entries.key_of(image.id)
                size = image.width, image.height
                # Until an annotation says what its segments are; an image without one is not an empty image.
                images[key] = ImageLabels(image.file_name, *size, image_id=image.id, labeled=False)
        for number, raw in enumerate(items(top.get("annotations")) or []):
            try:
                _fill(plain(raw), images, folder=folder, names=names, log=log)
            except (DataError, ValueError, TypeError, KeyError) as error:
                log.add("bad-label", f"{where}: annotation #{number}", f"{error}; left out")
        yield from images.values()

    labels = label_set(
        found,
        generate,
        "pixels",
        categories=tuple(names.values()) or None,
        category_ids=tuple(names) or None,
    )
    labels.things = tuple(names[key] for key in _things(top) if key in names)
    return labels


def _things(top: Any) -> list[int]:
    """The ids of the categories that are things: all that are not said to be stuff."""
    rows = [plain(raw) for raw in items(top.get("categories")) or []]
    return [row["id"] for row in rows if fields.truth(row.get("isthing", 1))]


def _png(folder: Path, name: str) -> Path:
    """An image's PNG inside the folder: under its whole name where that is there, else under its last part."""
    whole = folder / output_name(name)
    return whole if os.path.isfile(whole) else folder / PurePosixPath(name).name


def _fill(
    value: Any,
    images: dict[Any, ImageLabels],
    folder: Path,
    names: dict[int, str],
    log: ProblemLog,
) -> None:
    """Give an image the segments of its PNG."""
    image = images.get(entries.key_of(fields.identity(value["image_id"])))
    if image is None:
        raise ValueError(f"image_id {value['image_id']!r} is no image of this file")
    file = _png(folder, str(value["file_name"]))
    numbers = read_ids(file)
    # All segments from one pass over the PNG.
    found = dict(zip(*(list(column) for column in label_rles(numbers)), strict=True))
    found = {int(number): rle for number, rle in found.items()}
    image.labeled = True
    for number, segment in enumerate(value["segments_info"] or ()):
        if not isinstance(segment, dict):
            message = f"{describe(segment)} where a segment should be; left out"
            log.add("bad-label", f"{file}: segment #{number}", message)
            continue
        own, category = (fields.identity(segment.get(key)) for key in ("id", "category_id"))
        where, category = f"{file}: segment {own}", names.get(category)
        if category is None:
            told = str(segment.get("category_id"))[:30]
            log.add("unknown-category", where, f"category_id {told} is not among the categories")
        elif own not in found:
            log.add("empty-object", where, "no pixel of the PNG has its number; left out")
        else:
            rle = found[own]
            crowd = fields.truth(segment.get("iscrowd"))
            box = run_lengths.to_bbox(rle)
            image.instances.append(Instance(category, box, rle=rle, crowd=crowd, id=own))
