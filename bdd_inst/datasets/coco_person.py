"""Persons, or any other choice of categories, from a COCO instances JSON: ids made contiguous, crowds kept as crowds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bdd_inst import formats
from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.base.vocabulary import ClassVocabulary
from bdd_inst.datasets.cache import cached
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.datasets.layout import MissingDataError
from bdd_inst.datasets.to_dicts import Options, to_dicts
from bdd_inst.images.finder import ImageFinder

FOLDER = "coco"


def load_coco_2017(
    root: str | os.PathLike, split: str, *, categories: Sequence[str] = ("person",)
) -> DatasetRecords:
    """One split of COCO 2017 below ``root/coco``.

    Raises:
        MissingDataError: annotations or images are not there.
    """
    base = Path(root) / FOLDER
    labels, images = base / "annotations" / f"instances_{split}2017.json", base / f"{split}2017"
    if not labels.is_file() or not images.is_dir():
        raise MissingDataError(
            f"coco_2017_{'_'.join(categories)}_{split}", root, [labels, images], FOLDER
        )
    return load_coco(labels, images, categories)


def load_coco(
    labels: str | os.PathLike, images: str | os.PathLike, categories: Sequence[str] = ("person",)
) -> DatasetRecords:
    """Any COCO instances JSON, only the named categories.

    Class indices follow the order of ``categories``; image ids and annotation ids are the file's own. Boxes are the file's. Polygons
    stay polygons (COCO's fill); crowds are run lengths with ``iscrowd`` 1. Images without any of the categories stay, without objects.

    Args:
        labels: the JSON file.
        images: the folder of its images.
        categories: names as in the file.

    Returns:
        The dicts with ``thing_classes`` = ``categories``.

    Raises:
        DataError: the file cannot be read, or has no category of one of the names.
    """
    options = {"loader": FOLDER, "categories": list(categories)}
    return cached([labels, images], options, lambda: parse(labels, images, categories))


def parse(
    labels: str | os.PathLike, images: str | os.PathLike, categories: Sequence[str]
) -> DatasetRecords:
    """Read the file and take what is of the categories."""
    label_set = formats.read(labels, kind="coco")
    names = label_set.categories or ()
    absent = [name for name in categories if name not in names]
    if absent:
        raise DataError(f"{labels}: has no category {', '.join(absent)}; it has {', '.join(names)}")
    problems = ProblemLog()
    others = frozenset(name.lower() for name in names if name not in categories)
    options = Options(masks=True, rule="coco", prefer="paths", box="file")
    dicts = to_dicts(
        label_set.images,
        ImageFinder(images),
        categories=ClassVocabulary(tuple(categories), known=others),
        options=options,
        problems=problems,
    )
    problems.merge(label_set.problems)
    ids = dict(zip(names, label_set.category_ids or range(1, len(names) + 1)))
    metadata = {
        "thing_classes": list(categories),
        "thing_dataset_id_to_contiguous_id": {ids[name]: i for i, name in enumerate(categories)},
        "image_root": str(images),
        "json_file": str(labels),
        "evaluator_type": "coco",
        "mask_rule": "coco",
    }
    return DatasetRecords(dicts, metadata, problems)
