"""The data sets that this project knows by name, each with its loader and what is fixed for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bdd_inst.base import vocabulary as classes
from bdd_inst.datasets.bdd100k import load_bdd100k
from bdd_inst.datasets.coco_panoptic import CLASSES as COCO_CLASSES
from bdd_inst.datasets.coco_panoptic import load_coco_2017_panoptic
from bdd_inst.datasets.coco_person import load_coco_2017
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.datasets.fashion import SPLITS, TARGETS, load_fashion
from bdd_inst.datasets.panoptic import BDD100K as BDD100K_CLASSES
from bdd_inst.datasets.panoptic import load_bdd100k_pan_seg
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
            jobs, desc="rendering street scenes", unit="picture", disable=None
        ),
    )


COCO = tuple(classes.COCO_INSTANCES.values())
TABLE: dict[str, tuple[Callable[..., DatasetRecords], dict]] = {
    **{
        f"bdd100k_{task}_{split}": (load_bdd100k, {"task": task, "split": split})
        for task in ("ins_seg", "det")
        for split in ("train", "val")
    },
    **{
        f"fashion_{target}_{split}": (load_fashion, {"target": target, "split": split})
        for target in TARGETS
        for split in SPLITS
    },
    **{
        f"coco_2017_person_{split}": (load_coco_2017, {"split": split, "categories": ("person",)})
        for split in ("train", "val")
    },
    **{
        f"coco_2017_{split}": (load_coco_2017, {"split": split, "categories": COCO})
        for split in ("train", "val")
    },
    **{
        f"bdd100k_sem_seg_{split}": (load_bdd100k_sem_seg, {"split": split})
        for split in ("train", "val")
    },
    **{
        f"bdd100k_pan_seg_{split}": (load_bdd100k_pan_seg, {"split": split})
        for split in ("train", "val")
    },
    **{
        f"coco_2017_{split}_panoptic_{kind}": (
            load_coco_2017_panoptic,
            {"split": split, "stuff_only": kind == "stuffonly"},
        )
        for split in ("train", "val")
        for kind in ("separated", "stuffonly")
    },
    **{
        f"synthetic_bdd_pan_seg_{split}": (load_synthetic_panoptic, {"split": split})
        for split in ("train", "val")
    },
    **{f"people_{split}": (load_people, {"split": split}) for split in ("train", "val", "test")},
    **{f"synthetic_bdd_{split}": (load_synthetic, {"split": split}) for split in ("train", "val")},
}

CLASSES: dict[str, tuple[str, ...]] = {
    **{f"bdd100k_ins_seg_{split}": classes.BDD100K_INS_SEG for split in ("train", "val")},
    **{f"bdd100k_det_{split}": classes.BDD100K_DET for split in ("train", "val")},
    **{f"fashion_{target}_{split}": names for target, names in TARGETS.items() for split in SPLITS},
    **{f"coco_2017_person_{split}": classes.COCO_PERSON for split in ("train", "val")},
    **{f"coco_2017_{split}": COCO for split in ("train", "val")},
    **{f"bdd100k_sem_seg_{split}": classes.BDD100K_SEM_SEG for split in ("train", "val")},
    **{f"people_{split}": ("person",) for split in ("train", "val", "test")},
    **{f"synthetic_bdd_{split}": classes.BDD100K_INS_SEG for split in ("train", "val")},
}

# Of data sets that are label maps: what their values 0, 1, ... mean.
STUFF: dict[str, tuple[str, ...]] = {
    **{f"bdd100k_sem_seg_{split}": classes.BDD100K_SEM_SEG for split in ("train", "val")},
    **{f"people_{split}": ("background", "person") for split in ("train", "val", "test")},
}

# Category ids, where they are not 1, 2, ...: predictions need them before anything is loaded.
IDS: dict[str, dict[int, int]] = {
    f"coco_2017_{split}": {number: n for n, number in enumerate(classes.COCO_INSTANCES)}
    for split in ("train", "val")
}

# Of panoptic data sets: things, stuff and their numbers.
PANOPTIC: dict[str, PanopticClasses] = {
    **{f"bdd100k_pan_seg_{split}": BDD100K_CLASSES for split in ("train", "val")},
    **{f"synthetic_bdd_pan_seg_{split}": BDD100K_CLASSES for split in ("train", "val")},
    **{
        f"coco_2017_{split}_panoptic_{kind}": COCO_CLASSES
        for split in ("train", "val")
        for kind in ("separated", "stuffonly")
    },
}
CLASSES |= {name: found.things for name, found in PANOPTIC.items()}


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
