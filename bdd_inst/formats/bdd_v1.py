"""BDD100K before August 2018: one JSON file an image, ``{"name", "attributes", "frames": [{"objects": [...]}]}``.

Outlines are rows of ``[x, y, "L" or "C"]`` (``poly2d``), or lists of such (``seg2d``); those of lanes are lines, which nothing but their
category ``lane/...`` says. Names come without ``.jpg``, which is added. Boxes
end at ``x2, y2``, as that release's own tools have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bdd_inst.base.errors import ProblemLog
from bdd_inst.formats import fields
from bdd_inst.formats.json_files import describe, json_stem, plain
from bdd_inst.formats.reading import contents, label_set
from bdd_inst.formats.records import ImageLabels, LabelSet
from bdd_inst.formats.scalabel_careful import careful_label
from bdd_inst.formats.signs import Glimpse
from bdd_inst.formats.sniff import Found
from bdd_inst.images.names import image_name


def signs(glimpse: Glimpse) -> bool:
    """Whether a JSON object is a video of frames with objects; in a list its name and its frames are enough."""
    if glimpse.listed or not glimpse.has("frames"):
        return glimpse.listed and glimpse.has("frames", "name")
    frames = glimpse.objects("frames")
    return any("objects" in frame for frame in frames) or (
        glimpse.has("name") and not any("name" in frame for frame in frames)
    )


def read(found: Found) -> LabelSet:
    """The label set of a v1 file, or of a folder of them (one an image)."""

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        for file, top in contents(found, log):
            raws = top if isinstance(top, list) else [msgspec.Raw(msgspec.json.encode(top))]
            for raw in raws:
                yield from _record(raw, str(file), log)

    return label_set(
        found, generate, "official", notes=("before August 2018: boxes end at x2, y2",)
    )


def _record(raw: msgspec.Raw, where: str, log: ProblemLog) -> Iterator[ImageLabels]:
    """The images of one record: one, or one for each frame of a video."""
    try:
        record = plain(raw)
    except ValueError as error:
        log.add("bad-record", where, f"{error}; left out")
        return
    frames = record.get("frames") if isinstance(record, dict) else None
    if not isinstance(frames, list):
        log.add("bad-record", where, f"{describe(record)} without a list of frames; left out")
        return
    name = record.get("name")
    if not isinstance(name, str) or not name.strip():
        # One file an image: where the record forgot its name, the file still has it.
        name = json_stem(Path(where))
        log.add("no-file-name", where, f"a record without a name; taken from the file: {name}")
    attributes = fields.split_flags(record.get("attributes"))[1]
    if not frames:
        yield ImageLabels(image_name(name), attributes=attributes, labeled=False)
    for number, frame in enumerate(frames):
        yield _frame(
            frame,
            name,
            attributes=attributes,
            number=number if len(frames) > 1 else None,
            where=where,
            log=log,
        )


def _frame(
    frame: Any, name: str, attributes: dict, number: int | None, where: str, log: ProblemLog
) -> ImageLabels:
    image = ImageLabels(image_name(name), attributes=dict(attributes), labeled=False)
    if number is not None:
        index = frame.get("index") if isinstance(frame, dict) else None
        image.video, image.frame_index = name, index if isinstance(index, int) else number
        image.name = f"{name}-{image.frame_index + 1:07d}.jpg"
    where = f"{where} ({image.name})"
    objects = frame.get("objects") if isinstance(frame, dict) else None
    if objects is None:
        return image
    if not isinstance(objects, list):
        log.add(
            "bad-labels",
            where,
            f"objects is {describe(objects)}, not a list; the image counts as unlabeled",
        )
        return image
    image.labeled = True
    for place, label in enumerate(objects):
        own = fields.identity(label.get("id")) if isinstance(label, dict) else None
        name_of_it = repr(own) if own is not None else f"#{place}"
        instance = careful_label(
            _lane_opened(label),
            f"{where}, object {name_of_it}",
            log=log,
            inclusive=False,
            size=(None, None),
        )
        if instance is not None:
            image.instances.append(instance)
    return image


def _lane_opened(label: Any) -> Any:
    """A lane's label with its rows of vertices as open parts; any other label as it is."""
    if not isinstance(label, dict) or not str(label.get("category", "")).startswith("lane"):
        return label
    rows = label.get("poly2d")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) for row in rows):
        return label
    lines = [rows] if not isinstance(rows[0][0] if rows[0] else None, list) else rows
    return label | {"poly2d": [{"vertices": line, "closed": False} for line in lines]}
