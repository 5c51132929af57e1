"""Panoptic data sets as Detectron2's dicts: things are annotations, stuff are segments of the image (``segments_info``).

Both carry run lengths and share no pixel. Where a data set numbers its segments in PNGs that are cheap to read, a dict names the PNG
instead (``pan_seg_file_name``), and ``segments_info`` says what its ids mean, things included.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bdd_inst import formats
from bdd_inst.base import vocabulary as words
from bdd_inst.base.errors import ProblemLog
from bdd_inst.config.checking import check_value
from bdd_inst.datasets.cache import cached
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.datasets.dict_array import DictArray
from bdd_inst.datasets.layout import MissingDataError
from bdd_inst.datasets.panoptic_classes import PanopticClasses
from bdd_inst.datasets.to_dicts import Options, records
from bdd_inst.formats.records import LabelSet
from bdd_inst.images.finder import ImageFinder
from bdd_inst.masks import coco_fill, run_lengths
from bdd_inst.masks.label_runs import label_rles, paint
from bdd_inst.structures import BoxMode

FOLDER = "bdd100k"


PAN_SEG = words.BDD100K_PAN_SEG
BDD100K = PanopticClasses(
    words.BDD100K_PAN_THINGS,
    words.BDD100K_PAN_STUFF,
    {name: n for n, name in enumerate(PAN_SEG, 1)},
    words.BDD100K_PAN_ALIASES,
)


def load_bdd100k_pan_seg(
    root: str | os.PathLike, split: str, *, raster: str = "official", folder: str = FOLDER
) -> DatasetRecords:
    """BDD100K's panoptic segmentation (10 things, 30 kinds of stuff) from ``root/bdd100k``: bitmasks, else polygons.

    Outlines become masks in file order, later ones on top, and all stuff of one class is one segment, as in the official bitmasks.

    Raises:
        MissingDataError: labels or images are not there.
        DataError: labels that cannot be read.
        ConfigError: an unknown raster.
    """
    check_value("DATASETS.RASTER", raster)
    base = Path(root) / folder
    place, images = base / "labels" / "pan_seg", base / "images" / "10k" / split
    found = [place / "bitmasks" / split, place / "polygons" / f"pan_seg_{split}.json"]
    labels = next((path for path in found if path.exists()), found[0])
    if not labels.exists() or not images.is_dir():
        raise MissingDataError(f"{folder}_pan_seg_{split}", root, [labels, images], folder)

    def build() -> DatasetRecords:
        return parse(formats.read(labels), images, BDD100K, raster)

    return cached([labels, images], {"loader": "pan_seg", "raster": raster}, build)


def parse(
    labels: LabelSet, images: str | os.PathLike, classes: PanopticClasses, raster: str = "coco"
) -> DatasetRecords:
    """Any label set of things and stuff. ``raster``: the rule for outlines of BDD100K's labels; others go by COCO's."""
    rule = raster if labels.rule == "official" else "coco"
    known = words.ClassVocabulary((*classes.things, *classes.stuff), classes.aliases)
    problems = ProblemLog()
    found = records(
        labels.images,
        ImageFinder(images),
        categories=known,
        options=Options(True, rule),
        problems=problems,
    )
    dicts = DictArray.from_dicts(separated(found, len(classes.things), problems))
    if not dicts.has_ids():
        dicts.number()
    problems.merge(labels.problems)
    metadata = classes.metadata() | {
        "image_root": str(images),
        "label_root": labels.source,
        "mask_rule": rule if labels.rule == "official" else labels.rule,
    }
    return DatasetRecords(dicts, metadata, problems)


def separated(found: Iterator[dict], things: int, problems: ProblemLog) -> Iterator[dict]:
    """Dicts whose annotations are things (classes below ``things``) and stuff, with stuff as ``segments_info`` and no pixel shared."""
    for record in found:
        items = flat(record["annotations"], record["height"], record["width"], things)
        hidden = len(record["annotations"]) - sum(count for _, _, count in items)
        if hidden:
            words_ = f"{hidden} objects have no pixel left under others"
            problems.add("hidden-objects", record["file_name"], words_, count=hidden)
        annotations, segments = [], []
        for item, rle, _ in items:
            if item["category_id"] < things:
                box = [float(v) for v in run_lengths.to_bbox(rle)]
                annotations.append(
                    {**item, "segmentation": rle, "bbox": box, "bbox_mode": BoxMode.XYXY_ABS}
                )
                continue
            label = item["category_id"] - things + 1
            segments.append(
                {
                    "id": label,
                    "category_id": label,
                    "isthing": False,
                    "iscrowd": item["iscrowd"],
                    "segmentation": rle,
                }
            )
        yield {**record, "annotations": annotations, "segments_info": segments}


def flat(
    annotations: Sequence[dict], height: int, width: int, things: int
) -> list[tuple[dict, dict, int]]:
    """Annotations without shared pixels, later ones on top, those without a pixel left out: ``(annotation, RLE, how many it stands for)``.

    Stuff of one class is one: its first annotation stands for all, and is a crowd only where all are.
    """
    rles = [_as_rle(item["segmentation"], height, width) for item in annotations]
    # Areas add up to the union's only where no pixel is shared: then nothing has to be painted.
    if rles and sum(map(run_lengths.area, rles)) > run_lengths.area(run_lengths.union(rles)):
        numbers = paint(rles, range(1, len(rles) + 1), height=height, width=width, dtype="<u4")
        visible = {int(n): rle for n, rle in zip(*label_rles(numbers), strict=True)}
        rles = [visible.get(n) for n in range(1, len(rles) + 1)]
    groups: dict[object, list[int]] = {}
    for place, (item, rle) in enumerate(zip(annotations, rles, strict=True)):
        if rle is not None:
            label = item["category_id"]
            groups.setdefault(("thing", place) if label < things else label, []).append(place)
    out = []
    for places in groups.values():
        parts = [rles[p] for p in places]
        rle = parts[0] if len(parts) == 1 else run_lengths.union(parts)
        crowd = min(annotations[p]["iscrowd"] for p in places)
        out.append(({**annotations[places[0]], "iscrowd": crowd}, rle, len(places)))
    return out


def _as_rle(segmentation: list | dict, height: int, width: int) -> dict:
    if isinstance(segmentation, dict):
        return segmentation
    return coco_fill.from_polygons_coco(segmentation, height, width)
