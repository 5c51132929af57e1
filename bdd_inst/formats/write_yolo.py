"""Writes YOLO segmentation text: ``labels/NAME.txt`` and ``data.yaml``; objects of several parts become one outline, joined by lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from bdd_inst.base.files import atomic_write
from bdd_inst.formats import shapes
from bdd_inst.formats.records import ImageLabels, Instance
from bdd_inst.formats.target import Parts, Target
from bdd_inst.formats.yolo import as_number
from bdd_inst.masks import run_lengths

# A mask is traced at so many times its size: its outline then lies an eighth of a pixel inside its edge.
FINER = 4
# Points of an object up to which its parts are joined where they are nearest.
MOST_COMPARED = 3000


@dataclass
class YoloTarget(Target):
    """One text file an image below ``path/labels``; crowds are left out, for YOLO would train on them as objects."""

    folder, suffix = True, ".txt"
    keeps_endings = False

    def encode(self, image: ImageLabels) -> Any:
        size = self.size_to_draw(image, "file")
        if size is None:
            return None
        height, width = size
        lines = []
        for instance, rle in self.drawn(image, height, width):
            line = self._line(instance, rle, image, np.array([width, height]))
            if line is not None:
                lines.append(line)
        file = self.path / self.file_of(image)
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as stream:
            stream.write("".join(f"{line}\n" for line in lines))
        return [image.name, str(file.relative_to(self.path))]

    def _line(
        self, instance: Instance, rle: dict | None, image: ImageLabels, sides: np.ndarray
    ) -> str | None:
        found = self.category(instance.category)
        if found is None:
            return None
        where = shapes.instance_name(image, instance)
        if instance.crowd or instance.ignored or found[1]:
            self.skipped.add("crowd-left-out", where, "YOLO has no crowds and no ignored regions")
            return None
        if instance.score is not None:
            self.lost.add("lost-scores", image.name, "label files have none")
        number = self.plan.categories.index(found[0])
        parts = self._parts(instance, rle)
        if parts:
            if len(parts) > 1:
                self.lost.add("joined-parts", where, f"{len(parts)} parts became one outline")
            points = (joined(parts) / sides).reshape(-1)
        else:
            box = shapes.box_of(instance, rle)
            if box is None:
                self.skipped.add("no-shape", where, "neither a box nor a mask; left out")
                return None
            x1, y1, x2, y2 = np.array(box) / np.tile(sides, 2)
            points = ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
        return " ".join([str(number), *map(as_number, points)])

    def _parts(self, instance: Instance, rle: dict | None) -> list[np.ndarray]:
        """The object's outlines, V,2 each: its own, or those of its mask."""
        if instance.paths and not (self.prefer == "rle" and instance.rle is not None):
            flat, curved, left_out = shapes.flat_polygons(instance)
            if curved or left_out:
                self.lost.add(
                    "lost-curves", instance.category, "curves became straight, open lines went"
                )
            return [np.array(part).reshape(-1, 2) for part in flat]
        return [] if rle is None else traced(rle)

    def files_of(self, part: Any) -> list[Path]:
        return [self.path / part[1]]

    def file_of(self, image: ImageLabels) -> Path:
        """Where an image's text goes, relative to the folder and inside it."""
        return Path("labels", self.name_of(image))

    def finish(self, parts: Parts) -> None:
        names = dict(enumerate(self.plan.categories))
        with atomic_write(self.path / "data.yaml") as stream:
            yaml.safe_dump(
                {"train": "images", "val": "images", "names": names}, stream, allow_unicode=True
            )


def traced(rle: dict) -> list[np.ndarray]:
    """The outer outlines of a mask, V,2 float64 each in pixels; holes are filled."""
    x1, y1, x2, y2 = (int(v) for v in run_lengths.to_bbox(rle))
    if x2 <= x1 or y2 <= y1:
        return []
    crop = run_lengths.decode(rle)[y1:y2, x1:x2].astype(np.uint8)
    # OpenCV's outlines run through pixel centers, half a pixel inside the edge; of finer pixels that is less.
    finer = np.repeat(np.repeat(crop, FINER, axis=0), FINER, axis=1)
    outlines, _ = cv2.findContours(finer, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [(o[:, 0] + 0.5) / FINER + (x1, y1) for o in outlines if len(o) >= 3]


def joined(parts: list[np.ndarray]) -> np.ndarray:
    """Outlines (V,2 float64 each) as one, joined by lines there and back, which enclose nothing: between their nearest points, or of
    thousands of points, where each would be compared with all, from the first one's first to each one's first."""
    whole = parts[0]
    if sum(map(len, parts)) > MOST_COMPARED:
        hub = whole[:1]
        loops = [piece for part in parts[1:] for piece in (part, part[:1], hub)]
        return np.concatenate([whole, hub, *loops])
    for part in parts[1:]:
        # The nearest points: the line between them crosses the least of what is not the object.
        apart = ((whole[:, None] - part[None]) ** 2).sum(axis=2)
        here, there = np.unravel_index(apart.argmin(), apart.shape)
        loop = np.concatenate([part[there:], part[: there + 1]])
        whole = np.concatenate([whole[: here + 1], loop, whole[here:]])
    return whole
