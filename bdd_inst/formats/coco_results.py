"""COCO results: a list of ``image_id, category_id, bbox, score, segmentation``, in ours with ``file_name`` and ``category_name``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats.coco import CocoInstances, read_annotations
from bdd_inst.formats.coco_entries import Annotation, Id, key_of
from bdd_inst.formats.json_files import top_level
from bdd_inst.formats.reading import label_set
from bdd_inst.formats.records import ImageLabels, LabelSet
from bdd_inst.formats.signs import Glimpse, seen
from bdd_inst.formats.sniff import Found


def signs(glimpse: Glimpse) -> bool:
    """Whether an item of a JSON list is a detection."""
    return (
        glimpse.listed and glimpse.has("image_id", "category_id") and not glimpse.has("annotations")
    )


def read(found: Found) -> LabelSet:
    """The label set of one results file: an image for each image id, in order of first appearance.

    Results know neither names nor sizes. Where they carry no ``file_name`` an image is called by its id, where no ``category_name`` a
    category by its number (``attributes["category_id"]`` holds it in any case).
    """
    where = str(found.files[0])
    top = found.top if found.top is not None else top_level(where)
    if not isinstance(top, list):
        raise DataError(f"{where}: results are a list, this is {seen(top)}")

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        groups: dict[Id, list[Annotation]] = defaultdict(list)
        for annotation in read_annotations(top, where, log):
            groups[key_of(annotation.image_id)].append(annotation)
        reader = CocoInstances(None, log)
        for found_here in groups.values():
            name = next(
                (a.file_name for a in found_here if a.file_name),
                str(found_here[0].image_id).strip() or "unnamed",
            )
            image = ImageLabels(name, image_id=found_here[0].image_id)
            image.instances = reader.instances(found_here, image, where)
            size = next((i.rle["size"] for i in image.instances if i.rle), None)
            if size:
                image.height, image.width = size
            yield image

    return label_set(found, generate, "pixels")
