"""COCO panoptic JSON from any label set: ``NAME.json``, and ``NAME/`` with a PNG an image whose colors number its segments.

Every labeled pixel belongs to one segment: of overlapping objects the higher score's, without scores the later label's. All stuff of a
class is one segment of an image; crowds and ignored objects are segments with ``iscrowd``, which are neither found nor missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np

from bdd_inst.base.files import atomic_write
from bdd_inst.formats import shapes
from bdd_inst.formats.panoptic_png import write_ids
from bdd_inst.formats.records import ImageLabels
from bdd_inst.formats.target import Parts, Target
from bdd_inst.masks import run_lengths
from bdd_inst.masks.label_runs import drawing_order, label_rles, paint


def category_rows(ids: Mapping[str, int], things: Sequence[str] | None) -> list[dict]:
    """The ``categories`` of a COCO panoptic JSON.

    Args:
        ids: name to number.
        things: which of them are countable objects; None for all.

    Returns:
        ``id``, ``name``, ``supercategory`` and ``isthing`` of each.
    """
    return [
        {
            "id": number,
            "name": name,
            "supercategory": "",
            "isthing": int(things is None or name in things),
        }
        for name, number in ids.items()
    ]


def segment_rows(ids: np.ndarray, segments: Sequence[Mapping]) -> list[dict]:
    """The ``segments_info`` of one image.

    Args:
        ids: H,W segment ids of any integer dtype, 0 where there is none.
        segments: ``id``, ``category_id`` (the data set's own number) and perhaps ``iscrowd`` of each.

    Returns:
        ``id``, ``category_id``, ``area`` in pixels, ``bbox`` x,y,width,height and ``iscrowd`` of those that have a pixel, by rising id.
    """
    known = {segment["id"]: segment for segment in segments}
    out = []
    for number, rle in zip(*label_rles(np.ascontiguousarray(ids, np.uint32)), strict=True):
        segment = known[int(number)]
        x1, y1, x2, y2 = (int(v) for v in run_lengths.to_bbox(rle))
        out.append(
            {
                "id": int(number),
                "category_id": segment["category_id"],
                "area": int(run_lengths.area(rle)),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "iscrowd": int(segment.get("iscrowd", 0)),
            }
        )
    return out


@dataclass
class PanopticTarget(Target):
    """A JSON file and, in the folder of its name beside it, a PNG an image."""

    suffix: ClassVar[str] = ".png"

    def __post_init__(self) -> None:
        if self.path.suffix != ".json":  # the folder's name was given
            self.path = self.path.with_name(f"{self.path.name}.json")

    @property
    def image_folder(self) -> Path:
        return self.path.with_suffix("")

    def file_of(self, image: ImageLabels) -> Path:
        """Where an image's PNG goes, relative to its folder and inside it."""
        return Path(self.name_of(image))

    def files_of(self, part: dict) -> list[Path]:
        return [self.image_folder / part["file"]]

    def encode(self, image: ImageLabels) -> dict | None:
        size = self.size_to_draw(image, "PNG")
        if size is None:
            return None
        groups = self._segments(image, *size)
        ids = paint(
            [rle for _, rle in groups], range(1, len(groups) + 1), *size, np.dtype(np.uint32)
        )
        segments = [segment | {"id": n} for n, (segment, _) in enumerate(groups, 1)]
        rows = segment_rows(ids, segments)
        if len(rows) < len(groups):
            hidden = len(groups) - len(rows)
            message = f"{hidden} objects have no pixel left under others"
            self.lost.add("hidden-objects", image.name, message, count=hidden)
        file = self.file_of(image)
        write_ids(self.image_folder / file, ids)
        entry = {"file_name": image.name, "width": size[1], "height": size[0]}
        return {
            "id": image.image_id,
            "image": entry,
            "file": file.as_posix(),
            "segments": rows,
        }

    def _segments(self, image: ImageLabels, height: int, width: int) -> list[tuple[dict, dict]]:
        """Segments and their RLEs, those that lie on top last; stuff of one class is one, a crowd only where all of it is."""
        found: list[tuple[dict, dict, float | None]] = []
        stuff: dict[str, int] = {}
        for instance, rle in self.drawn(image, height, width):
            category = self.category(instance.category)
            if category is None:
                continue
            if rle is None:
                where = shapes.instance_name(image, instance)
                self.skipped.add("no-mask", where, "a label without outline or mask; left out")
                continue
            name, ignored = category
            crowd = int(instance.crowd or instance.ignored or ignored)
            place = stuff.get(name)
            if place is not None:
                segment, before, score = found[place]
                # Joined stuff is a crowd only where each part is one.
                segment["iscrowd"] = min(segment["iscrowd"], crowd)
                found[place] = segment, run_lengths.union([before, rle]), score
                continue
            if self.plan.things is not None and name not in self.plan.things:
                stuff[name] = len(found)
            segment = {"category_id": self.plan.number[name], "iscrowd": crowd}
            found.append((segment, rle, instance.score))
        order = drawing_order([score for _, _, score in found], len(found))
        return [found[i][:2] for i in order]

    def finish(self, parts: Parts) -> None:
        plan = self.plan
        with atomic_write(self.path, "wb") as stream:
            stream.write(b'{"info": ')
            info = {
                "description": f"converted from {plan.kind} by bdd_inst",
                "mask_rule": plan.made_by,
            }
            stream.write(msgspec.json.encode(info) + b',\n"categories": ')
            stream.write(msgspec.json.encode(category_rows(plan.number, plan.things)))
            for key, row in (("images", self._image), ("annotations", self._annotation)):
                stream.write(f',\n"{key}": ['.encode())
                for number, part in enumerate(parts(), 1):
                    image_id = part["id"] if plan.keep_image_ids else number
                    text = msgspec.json.encode(row(part, image_id))
                    stream.write((b",\n" if number > 1 else b"\n") + text)
                stream.write(b"\n]")
            stream.write(b"}\n")

    @staticmethod
    def _image(part: dict, image_id: Any) -> dict:
        return {"id": image_id, **part["image"]}

    @staticmethod
    def _annotation(part: dict, image_id: Any) -> dict:
        return {
            "image_id": image_id,
            "file_name": part["file"],
            "segments_info": part["segments"],
        }
