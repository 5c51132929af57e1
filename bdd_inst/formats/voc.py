"""Pascal VOC: masks of objects in ``SegmentationObject``, their classes in ``SegmentationClass``, boxes and flags in ``Annotations``.

A data set is its folder, a list of names in it (``ImageSets/Segmentation/val.txt``), a folder of annotations, or one of them. Pixels of
255, the border that VOC leaves undecided, belong to no object. Boxes count pixels from 1, their last one included.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats.json_files import read_lines
from bdd_inst.formats.label_map import class_colors, class_instances, read_encoded
from bdd_inst.formats.reading import label_set
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.sniff import Found
from bdd_inst.formats.voc_annotation import read_annotation
from bdd_inst.formats.xml_files import root_tag
from bdd_inst.images import png_kinds

OBJECTS, CLASSES, BOXES = "SegmentationObject", "SegmentationClass", "Annotations"
VOID = 255
# VOC's classes by the numbers that the masks have, from 1.
NAMES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog", "horse", "motorbike",
    "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
BORDER = "pixels of 255, VOC's undecided border, belong to no object"


def find(path: Path) -> list[Path]:
    """The annotations and masks of a VOC data set, of those that a list of it names, or the annotations of a folder; else none."""
    if path.is_file():
        if path.suffix.lower() == ".txt" and path.parent.parent.name == "ImageSets":
            names = [line.split()[0] for line in read_lines(path) if line.strip()]
            return _files(path.parent.parent.parent, names)
        return [path] if path.suffix.lower() == ".xml" and root_tag(path) == "annotation" else []
    if not path.is_dir():
        return []
    if (path / OBJECTS).is_dir() or (path / BOXES).is_dir():
        files = _files(path, None)
        boxes = [file for file in files if file.suffix == ".xml"]
        masks = len(files) > len(boxes)
        return files if masks or (boxes and root_tag(boxes[0]) == "annotation") else []
    files = sorted(path.glob("*.xml"))
    return files if files and root_tag(files[0]) == "annotation" else []


def _files(root: Path, names: list[str] | None) -> list[Path]:
    """The files of a data set: of the names given, else of all images whose objects are masks, else of all annotations."""
    if names is None:
        pngs = sorted((root / OBJECTS).glob("*.png"))
        names = [file.stem for file in pngs or sorted((root / BOXES).glob("*.xml"))]
    places = ((BOXES, ".xml"), (CLASSES, ".png"), (OBJECTS, ".png"))
    files = [root / folder / f"{name}{ending}" for name in names for folder, ending in places]
    return [file for file in files if file.is_file()]


def read(found: Found) -> LabelSet:
    """The label set; classes keep the order of ``labelmap.txt`` where an export has it, else of VOC where its masks have numbers."""
    images: dict[tuple[Path, str], dict[str, Path]] = {}
    for file in found.files:
        kind = file.parent.name if file.suffix.lower() == ".png" else BOXES
        images.setdefault((file.parent.parent, file.stem), {})[kind] = file
    masked = any(CLASSES in files for files in images.values())
    table = color_table(next(iter(images))[0]) if masked else {}

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        for (_, stem), files in images.items():
            try:
                yield _image(stem, files, table, log)
            except DataError as error:
                log.add("unreadable-file", stem, str(error)[:300])

    categories = tuple(table) or (NAMES if masked else None)
    notes = (BORDER,) if masked else ()
    return label_set(
        found, generate, "pixels" if masked else "coco", categories=categories, notes=notes
    )


def color_table(root: Path) -> dict[str, tuple[int, int, int]]:
    """The colors of classes of ``labelmap.txt`` (``name:r,g,b:parts:actions``), background left out; empty where there is none."""
    file = root / "labelmap.txt"
    if not file.is_file():
        return {}
    table = {}
    for line in read_lines(file):
        name, _, rest = line.strip().partition(":")
        color = rest.partition(":")[0].split(",")
        if name.startswith("#") or not all(c.strip().isdecimal() for c in color) or len(color) != 3:
            continue
        if name.strip().lower() != "background":
            table[name.strip()] = tuple(min(int(c), 255) for c in color)
    return table


def _image(stem: str, files: dict[str, Path], table: dict, log: ProblemLog) -> ImageLabels:
    """One image from what there is of it. DataError where a file cannot be read."""
    image = ImageLabels(f"{stem}.jpg")
    if BOXES in files:
        image = read_annotation(files[BOXES], image.name, log)
    if CLASSES not in files:
        return image
    classes = _numbers(files[CLASSES], table)
    image.height, image.width = classes.shape
    listed, image.instances = image.instances, []
    names = tuple(table) or NAMES
    if OBJECTS not in files:
        found = [(number, rle, 0) for number, rle in class_instances(classes, 0, VOID)]
    else:
        objects = _numbers(files[OBJECTS], {})
        if objects.shape != classes.shape:
            raise DataError(f"{files[OBJECTS]}: of another size than {files[CLASSES]}")
        found = [
            (_class_of(classes[objects == own]), rle, own)
            for own, rle in class_instances(objects, 0, VOID)
        ]
    taken = set()
    for number, rle, own in found:
        if not 0 < number <= len(names):
            message = f"object {own} is of class {number}, there are 1 to {len(names)}; left out"
            log.add("bad-label", str(files[CLASSES]), message)
            continue
        instance = Instance(names[number - 1], rle=rle, id=own or None)
        # Objects are numbered in the order of the annotation.
        if 0 < own <= len(listed) and listed[own - 1].category == instance.category:
            taken.add(own - 1)
            other = listed[own - 1]
            instance.box, instance.attributes = other.box, other.attributes
            instance.ignored, instance.truncated = other.ignored, other.truncated
            instance.occluded = other.occluded
        image.instances.append(instance)
    if OBJECTS in files:
        image.instances += [one for place, one in enumerate(listed) if place not in taken]
    return image


def _class_of(values: np.ndarray) -> int:
    """The class of most of an object's pixels, 0 where none has one."""
    values = values[(values != 0) & (values != VOID)]
    return int(np.bincount(values).argmax()) if len(values) else 0


def _numbers(file: Path, table: dict[str, tuple[int, int, int]]) -> np.ndarray:
    """H,W uint8 numbers of a mask: by the colors of the table, by VOC's own colors in color PNGs, else as they are stored."""
    color = png_kinds.header(file)[3]
    if color == png_kinds.GRAY or (color == png_kinds.PALETTE and not table):
        return read_encoded(file).astype(np.uint8)
    given = {rgb: number for number, rgb in enumerate(table.values(), 1)}
    if not table:
        given = {tuple(rgb): number for number, rgb in enumerate(class_colors().tolist())}
    return read_encoded(file, {(0, 0, 0): 0} | given)
