"""The data sets that this project knows by name, each with its loader and what is fixed for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bdd_inst.base import vocabulary as words
from bdd_inst.base.vocabulary import BDD100K_SEM_SEG as SEM_SEG
from bdd_inst.datasets.bdd100k import load_bdd100k
from bdd_inst.datasets.coco_panoptic import CLASSES as COCO_ALL
from bdd_inst.datasets.coco_panoptic import load_coco_2017_panoptic
from bdd_inst.datasets.coco_person import load_coco_2017
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.datasets.fashion import SPLITS, TARGETS, load_fashion
from bdd_inst.datasets.panoptic import BDD100K, load_bdd100k_pan_seg
from bdd_inst.datasets.panoptic_classes import PanopticClasses
from bdd_inst.datasets.people import load_people
from bdd_inst.datasets.semantic import load_bdd100k_sem_seg
from bdd_inst.synthetic import FOLDER as SYNTHETIC
from bdd_inst.synthetic import render


def load_synthetic(
    root: str | os.PathLike, split: str, *, raster: str = "official"
) -> DatasetRecords:
    """The rendered street set, rendered first where it is not there."""
    rendered(root)
    return load_bdd100k(root, "ins_seg", split, raster=raster, folder=SYNTHETIC)


def load_synthetic_panoptic(root: str | os.PathLike, split: str) -> DatasetRecords:
    """As :func:`load_synthetic`, with its roads, skies and houses."""
    rendered(root)
    return load_bdd100k_pan_seg(root, split, folder=SYNTHETIC)


def rendered(root: str | os.PathLike) -> None:
    """Render the street set, with a progress bar, where it is not there."""
    from tqdm import tqdm

    render(
        root,
        progress=lambda jobs: tqdm(
            jobs, desc="rendering street scenes", unit="image", disable=None
        ),
    )


@dataclass(frozen=True)
class KnownSet:
    """One split of a data set, and what is known of it before anything is loaded: prediction needs the names alone.

    Attributes:
        loader: takes the folder of all data sets, then ``options``.
        options: what is fixed for this one.
        classes: of its objects, in the order of class numbers.
        stuff: where it is label maps, what their values 0, 1, ... mean.
        ids: category ids of its files to class numbers, where they are not 1, 2, ...
        panoptic: where it is panoptic, its things, stuff and their numbers.
    """

    loader: Callable[..., DatasetRecords]
    options: dict[str, Any]
    classes: tuple[str, ...]
    stuff: tuple[str, ...] = ()
    ids: dict[int, int] = field(default_factory=dict)
    panoptic: PanopticClasses | None = None

    def metadata(self) -> dict[str, Any]:
        """What the catalog's entry says from the start, in Detectron2's words."""
        if self.panoptic is not None:
            return {"thing_classes": list(self.classes)} | self.panoptic.metadata()
        known: dict[str, Any] = {"thing_classes": list(self.classes)}
        known |= {"thing_dataset_id_to_contiguous_id": dict(self.ids)} if self.ids else {}
        return known | ({"stuff_classes": list(self.stuff)} if self.stuff else {})


def known(
    name: str,
    loader: Callable[..., DatasetRecords],
    names: Sequence[str] = (),
    splits: Sequence[str] = ("train", "val"),
    *,
    stuff: Sequence[str] = (),
    ids: dict[int, int] | None = None,
    panoptic: PanopticClasses | None = None,
    **options: Any,
) -> dict[str, KnownSet]:
    """The entries of one data set's splits.

    Args:
        name: with ``{split}`` where the split's name stands.
        loader: takes root and split.
        names: the classes of its objects; a panoptic one's are its things.
        splits: there are.
        stuff, ids, panoptic: as :class:`KnownSet` has them.
        options: fixed for the loader.

    Returns:
        Name to entry.
    """
    classes = tuple(panoptic.things if panoptic else names)
    return {
        name.format(split=split): KnownSet(
            loader,
            options=options | {"split": split},
            classes=classes,
            stuff=tuple(stuff),
            ids=ids or {},
            panoptic=panoptic,
        )
        for split in splits
    }


COCO = tuple(words.COCO_INSTANCES.values())
COCO_IDS = {number: n for n, number in enumerate(words.COCO_INSTANCES)}
COCO_PANOPTIC = "coco_2017_{split}_panoptic_"
PEOPLE = ("train", "val", "test")

# Every data set that has a name: an entry is one line.
DATASETS: dict[str, KnownSet] = {
    **known("bdd100k_ins_seg_{split}", load_bdd100k, words.BDD100K_INS_SEG, task="ins_seg"),
    **known("bdd100k_det_{split}", load_bdd100k, words.BDD100K_DET, task="det"),
    **known("fashion_person_{split}", load_fashion, TARGETS["person"], SPLITS, target="person"),
    **known("fashion_clothes_{split}", load_fashion, TARGETS["clothes"], SPLITS, target="clothes"),
    **known("coco_2017_person_{split}", load_coco_2017, words.COCO_PERSON, categories=("person",)),
    **known("coco_2017_{split}", load_coco_2017, COCO, ids=COCO_IDS, categories=COCO),
    **known("bdd100k_sem_seg_{split}", load_bdd100k_sem_seg, SEM_SEG, stuff=SEM_SEG),
    **known("bdd100k_pan_seg_{split}", load_bdd100k_pan_seg, panoptic=BDD100K),
    **known(
        f"{COCO_PANOPTIC}separated", load_coco_2017_panoptic, panoptic=COCO_ALL, stuff_only=False
    ),
    **known(
        f"{COCO_PANOPTIC}stuffonly", load_coco_2017_panoptic, panoptic=COCO_ALL, stuff_only=True
    ),
    **known("synthetic_bdd_pan_seg_{split}", load_synthetic_panoptic, panoptic=BDD100K),
    **known("people_{split}", load_people, ("person",), PEOPLE, stuff=("background", "person")),
    **known("synthetic_bdd_{split}", load_synthetic, words.BDD100K_INS_SEG),
}


class AtRoot:
    """A loader bound to a root, or to whatever ``find_root`` says at the time of loading; its signature is the loader's without
    ``root``."""

    def __init__(
        self,
        loader: Callable[..., DatasetRecords],
        root: str | os.PathLike | None,
        find_root: Callable[[], Path],
    ):
        import inspect

        self.loader, self.root, self.find_root = loader, root, find_root
        parameters = list(inspect.signature(loader).parameters.values())[1:]
        self.__signature__ = inspect.Signature(parameters)

    def __call__(self, **options: object) -> DatasetRecords:
        return self.loader(self.find_root() if self.root is None else self.root, **options)
