"""A label format of one's own: outlines in a CSV file, one line ``image,width,height,class,x1,y1,x2,y2,...`` an object.

bdd-inst check --import examples/extending/point_csv.py --input labels.csv --images images
bdd-inst convert --import examples/extending/point_csv.py --input labels.csv --to coco --output labels.json
bdd-inst convert --import examples/extending/point_csv.py --input labels.json --to point-csv --output labels.csv
bdd-inst train --import examples/extending/point_csv.py --config demo.yaml --train labels.csv --train-images images
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.base.files import atomic_write
from bdd_inst.formats import ImageLabels, Instance, shapes
from bdd_inst.formats.reading import label_set
from bdd_inst.formats.registry import register_format
from bdd_inst.formats.target import Target
from bdd_inst.masks.outlines import Outline

HEAD = ["image", "width", "height", "class"]


def find(path: Path) -> list[Path]:
    """The file itself where it is such a CSV, by its first line."""
    if path.suffix != ".csv" or not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as stream:
        return [path] if next(csv.reader(stream), [])[:4] == HEAD else []


def read(found):
    """One label set: a generator of images, parsed whenever they are asked for; what is wrong is counted in ``log``."""

    def generate(log):
        images: dict[str, ImageLabels] = {}
        with open(found.files[0], newline="", encoding="utf-8") as stream:
            for number, row in enumerate(csv.reader(stream), start=1):
                if row[:4] == HEAD:
                    continue
                try:
                    name, width, height, label = row[:4]
                    image = images.setdefault(name, ImageLabels(name, int(width), int(height)))
                    if label:  # an image in which nothing is has a line without class
                        points = np.array(row[4:], float).reshape(-1, 2)
                        image.instances.append(Instance(label, paths=[Outline.checked(points)]))
                except (ValueError, DataError) as error:
                    log.add("bad-label", f"{found.path}: line {number}", f"{error}; left out")
        yield from images.values()

    return label_set(found, generate, rule="coco")


@dataclass
class PointCsv(Target):
    """The writer: ``encode`` makes an image's rows, in any process, ``finish`` puts all of them into one file."""

    def encode(self, image: ImageLabels) -> list[list] | None:
        """A row for each outline of the image."""
        height, width = self.size(image)
        rows = []
        for instance in image.instances:
            found = self.category(instance.category)
            parts = shapes.flat_polygons(instance)[0] if instance.paths else []
            if found is not None and not parts:
                self.skipped.add(
                    "no-shape", shapes.instance_name(image, instance), "no outline; left out"
                )
            rows += [[image.name, width, height, found[0], *part] for part in parts if found]
        return rows or [[image.name, width, height, ""]]

    def finish(self, parts) -> None:
        """Written beside, then renamed: whole or not at all."""
        with atomic_write(self.path) as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow([*HEAD, "points"])
            writer.writerows(row for part in parts() for row in part)


# The one line: a name, and what reads, recognizes and writes it.
register_format("point-csv", read=read, find=find, write=PointCsv)
