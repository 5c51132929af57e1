"""A CSV file of run lengths, a row an object, as Kaggle's contests read it; with sizes and classes, so that it can be read without images."""

from __future__ import annotations

import csv
from dataclasses import dataclass

from bdd_inst.base.files import atomic_write
from bdd_inst.formats import shapes
from bdd_inst.formats.names import full_name
from bdd_inst.formats.records import ImageLabels
from bdd_inst.formats.rle_csv import encode
from bdd_inst.formats.target import Parts, Target

COLUMNS = ("ImageId", "EncodedPixels", "Height", "Width", "ClassId", "Score")


@dataclass
class RleCsvTarget(Target):
    """An image without objects has one row without pixels; ``Score`` is there where a score is."""

    def encode(self, image: ImageLabels) -> list | None:
        size = self.size_to_draw(image, "row")
        if size is None:
            return None
        height, width = size
        name, rows = full_name(image), []
        for instance, rle in self.drawn(image, height, width):
            found = self.category(instance.category)
            if found is None:
                continue
            where = shapes.instance_name(image, instance)
            text = "" if rle is None else encode(rle)
            if instance.crowd or instance.ignored or found[1]:
                self.skipped.add("crowd-left-out", where, "run lengths in CSV have no crowds")
                continue
            if not text:
                self.skipped.add("no-mask", where, "run lengths need a mask; left out")
                continue
            if instance.paths:
                self.lost.add("lost-outlines", where, "became run lengths of whole pixels")
            if instance.attributes or instance.occluded or instance.truncated:
                self.lost.add("lost-attributes", where, "run lengths in CSV have none")
            rows.append([name, text, height, width, found[0], instance.score])
        if image.attributes:
            self.lost.add("lost-image-attributes", image.name, "run lengths in CSV have none")
        return rows or [[name, "", height, width, "", None]]

    def finish(self, parts: Parts) -> None:
        scored = any(row[-1] is not None for part in parts() for row in part)
        width = len(COLUMNS) if scored else len(COLUMNS) - 1
        with atomic_write(self.path) as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(COLUMNS[:width])
            for part in parts():
                writer.writerows(["" if v is None else v for v in row[:width]] for row in part)
