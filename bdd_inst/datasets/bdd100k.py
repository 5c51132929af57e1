"""BDD100K: instance segmentation (7 000 / 1 000 images of the 10K set) and detection (70 000 / 10 000), from any of its label kinds."""

from __future__ import annotations

import os
from pathlib import Path

from bdd_inst import formats
from bdd_inst.base import vocabulary as classes
from bdd_inst.base.errors import ConfigError, ProblemLog
from bdd_inst.config.checking import check_value
from bdd_inst.datasets.cache import cached
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.datasets.layout import MissingDataError
from bdd_inst.datasets.to_dicts import Options, to_dicts
from bdd_inst.images.finder import ImageFinder

FOLDER = "bdd100k"
TASKS = {
    "ins_seg": (classes.BDD100K_INS_SEG, "images/10k"),
    "det": (classes.BDD100K_DET, "images/100k"),
}


def label_paths(root: Path, task: str, split: str) -> dict[str, Path]:
    """Where each kind of label lies below the folder ``bdd100k``, in the order of preference.

    Polygons are what the annotators drew; run lengths and bitmasks were made from them.
    """
    if task == "det":
        return {"polygons": root / "labels" / "det_20" / f"det_{split}.json"}
    folder = root / "labels" / "ins_seg"
    files = {kind: folder / kind / f"ins_seg_{split}.json" for kind in ("polygons", "rles")}
    return {**files, "bitmasks": folder / "bitmasks" / split}


def load_bdd100k(
    root: str | os.PathLike,
    task: str = "ins_seg",
    split: str = "train",
    *,
    source: str = "auto",
    raster: str = "official",
    folder: str = FOLDER,
) -> DatasetRecords:
    """Load one split from ``root/bdd100k``.

    Args:
        root: the folder that $DETECTRON2_DATASETS names.
        task: ``ins_seg`` (8 classes, masks) or ``det`` (10 classes, boxes).
        source: ``polygons``, ``rles``, ``bitmasks``, or ``auto``: the first of them that is there.
        raster: how outlines become masks: ``official`` (BDD100K's rule, run lengths) or ``coco`` (polygons, COCO's fill).
        folder: another folder of the same tree.

    Crowds and ignored regions both become ``iscrowd`` 1, as in the official COCO conversion; ``attributes`` say which it was.

    Raises:
        MissingDataError: labels or images are not there.
        DataError: a label file that cannot be read.
        ConfigError: an unknown task, source or rule.
    """
    check_value("DATASETS.SOURCE", source)
    check_value("DATASETS.RASTER", raster)
    if task not in TASKS:
        raise ConfigError(f"BDD100K has tasks {', '.join(TASKS)}; not {task}")
    images = TASKS[task][1]
    base = Path(root) / folder
    kind, labels = find_labels(base, task, split, source)
    image_root = base / images / split
    if not image_root.is_dir():
        raise MissingDataError(f"{folder}_{task}_{split}", root, [labels, image_root], folder)
    options = {"loader": FOLDER, "task": task, "kind": kind, "raster": raster}
    return cached(
        [labels, image_root],
        options,
        lambda: parse(labels, image_root, task=task, kind=kind, raster=raster),
    )


def parse(labels: Path, image_root: Path, task: str, kind: str, raster: str) -> DatasetRecords:
    """Read the labels and draw their masks."""
    names = TASKS[task][0]
    problems = ProblemLog()
    label_set = formats.read(labels)
    known = frozenset(classes.BDD100K_DET) - frozenset(names)
    categories = classes.ClassVocabulary(
        names, classes.BDD100K_ALIASES, classes.BDD100K_IGNORED, known
    )
    options = Options(task == "ins_seg", raster, "rle" if kind == "rles" else "paths")
    dicts = to_dicts(
        label_set.images,
        ImageFinder(image_root),
        categories=categories,
        options=options,
        problems=problems,
    )
    problems.merge(label_set.problems)
    metadata = {
        "thing_classes": list(names),
        "thing_dataset_id_to_contiguous_id": {i + 1: i for i in range(len(names))},
        "image_root": str(image_root),
        "json_file": str(labels),
        "evaluator_type": "coco",
        "mask_rule": raster if kind == "polygons" else label_set.rule,
        "source": kind,
    }
    return DatasetRecords(dicts, metadata, problems)


def find_labels(base: Path, task: str, split: str, source: str) -> tuple[str, Path]:
    """The kind and the path of the labels to read.

    Raises:
        MissingDataError: none of them is there.
    """
    paths = label_paths(base, task, split)
    wanted = [source] if source != "auto" and task == "ins_seg" else list(paths)
    for kind in wanted:
        if paths[kind].exists():
            return kind, paths[kind]
    images = base / TASKS[task][1] / split
    raise MissingDataError(
        f"{base.name}_{task}_{split}", base.parent, [paths[wanted[0]], images], base.name
    )
