"""COCO's panoptic segmentation, separated as Detectron2 has it: objects from the instances JSON, stuff from the panoptic PNGs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from bdd_inst.base import vocabulary as words
from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.datasets.cache import cached
from bdd_inst.datasets.coco_person import FOLDER, load_coco
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.datasets.dict_array import DictArray
from bdd_inst.datasets.layout import MissingDataError
from bdd_inst.datasets.panoptic_classes import PanopticClasses
from bdd_inst.formats import fields
from bdd_inst.formats.json_files import items, plain, top_level

THINGS, STUFF = tuple(words.COCO_INSTANCES.values()), tuple(words.COCO_STUFF.values())
CLASSES = PanopticClasses(
    THINGS, STUFF, {name: n for n, name in (words.COCO_STUFF | words.COCO_INSTANCES).items()}
)


def load_coco_2017_panoptic(
    root: str | os.PathLike, split: str, *, stuff_only: bool = False
) -> DatasetRecords:
    """One split of COCO 2017 below ``root/coco``: 80 things, 53 kinds of stuff.

    Args:
        stuff_only: without the objects' annotations, for pixel-wise models.

    Raises:
        MissingDataError: annotations, PNGs or images are not there.
    """
    base = Path(root) / FOLDER
    labels = base / "annotations" / f"panoptic_{split}2017.json"
    instances = base / "annotations" / f"instances_{split}2017.json"
    masks, images = base / f"panoptic_{split}2017", base / f"{split}2017"
    wanted = [labels, instances, masks, images]
    if not all(path.exists() for path in wanted):
        kind = "stuffonly" if stuff_only else "separated"
        raise MissingDataError(f"coco_2017_{split}_panoptic_{kind}", root, wanted, FOLDER)

    def build() -> DatasetRecords:
        return parse(labels, instances, masks=masks, images=images, stuff_only=stuff_only)

    options = {"loader": "coco_panoptic", "stuff_only": stuff_only}
    return cached([labels, instances, images], options, build)


def parse(
    labels: Path, instances: Path, masks: Path, images: Path, stuff_only: bool
) -> DatasetRecords:
    """The instances' dicts with their PNG and what its ids mean; images without are left out, counted."""
    objects = load_coco(instances, images, THINGS)
    problems = ProblemLog()
    segments = read_segments(labels, masks, problems)

    def merged() -> Iterator[dict]:
        for record in objects.dicts:
            found = segments.get(record["image_id"])
            if found is None:
                message = f"{labels} has no segments of it; left out"
                problems.add("image-without-labels", record["file_name"], message)
                continue
            if stuff_only:
                record.pop("annotations")
            yield record | found

    dicts = DictArray.from_dicts(merged())
    problems.merge(objects.problems)
    metadata = objects.metadata | CLASSES.metadata()
    metadata |= {"panoptic_json": str(labels), "panoptic_root": str(masks)}
    metadata |= {"evaluator_type": "sem_seg"} if stuff_only else {}
    return DatasetRecords(dicts, metadata, problems)


def read_segments(labels: Path, masks: Path, problems: ProblemLog) -> dict[int | str, dict]:
    """Image id -> ``pan_seg_file_name`` and ``segments_info`` with class numbers, from the JSON alone: no PNG is opened.

    Raises:
        DataError: no COCO panoptic JSON.
    """
    top = top_level(labels)
    rows = items(top.get("annotations")) if isinstance(top, dict) else None
    if rows is None:
        raise DataError(f"{labels}: no list of annotations in it; a COCO panoptic JSON has one")
    known = CLASSES.metadata()
    things, stuff = (known[f"{kind}_dataset_id_to_contiguous_id"] for kind in ("thing", "stuff"))
    out = {}
    for number, raw in enumerate(rows):
        where = f"{labels}: annotation #{number}"
        try:
            row = plain(raw)
            file = masks / PurePosixPath(str(row["file_name"])).name
            segments = [segment(one, things, stuff) for one in row["segments_info"]]
            out[fields.identity(row["image_id"])] = {
                "pan_seg_file_name": str(file),
                "segments_info": segments,
            }
        except (ValueError, TypeError, KeyError) as error:
            problems.add("bad-label", where, f"{error!r}; left out")
    return out


def segment(value: dict, things: dict[int, int], stuff: dict[int, int]) -> dict:
    """One segment with its class number. KeyError for a class that COCO does not have."""
    own = value["category_id"]
    isthing = own in things
    return {
        "id": int(value["id"]),
        "category_id": things[own] if isthing else stuff[own],
        "isthing": isthing,
        "iscrowd": int(fields.truth(value.get("iscrowd"))),
    }
