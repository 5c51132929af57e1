"""Where each data set lies below $DETECTRON2_DATASETS and where its archives come from; the screen that says so when they are missing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bdd_inst.base.errors import DataError, printable

BDD100K = """\
  {root}/bdd100k/
    images/10k/{{train,val}}/*.jpg                      "10K Images" (1.1 GB), for ins_seg
    images/100k/{{train,val}}/*.jpg                     "100K Images" (5.3 GB), for det
    labels/ins_seg/polygons/ins_seg_{{train,val}}.json  "Instance Segmentation"
    labels/ins_seg/rles/ins_seg_{{train,val}}.json        (any one of the three kinds
    labels/ins_seg/bitmasks/{{train,val}}/*.png            will do)
    labels/det_20/det_{{train,val}}.json                "Detection 2020 Labels"
    labels/sem_seg/masks/{{train,val}}/*.png            "Semantic Segmentation"
    labels/pan_seg/bitmasks/{{train,val}}/*.png         "Panoptic Segmentation" (or its polygons)
  Register at http://bdd-data.berkeley.edu, download the archives named above and unpack them side by side."""

FASHION = """\
  {root}/fashion/
    images/0001.jpg ... 0600.jpg
    labels/0001_person.png ... 0600_person.png          0 background, 1 person
    labels/0001_clothes.png ... 0600_clothes.png        0 background, 1 skin ... 6 dress
  The folders images and labels of https://github.com/Garykn/CSC420-Image_Processing_Course_Project
  (600 samples made from Fashionista). Split by number: 0001-0300 train, 0301-0360 val, 0361-0600 test."""

COCO = """\
  {root}/coco/
    annotations/instances_{{train,val}}2017.json        "2017 Train/Val annotations" (241 MB)
    annotations/panoptic_{{train,val}}2017.json         "2017 Panoptic Train/Val annotations" (821 MB)
    panoptic_{{train,val}}2017/*.png                    (the archives inside it, unpacked)
    train2017/*.jpg                                   "2017 Train images" (18 GB)
    val2017/*.jpg                                     "2017 Val images" (1 GB)
  Download from https://cocodataset.org/#download and unpack below coco/."""

PEOPLE = """\
  {root}/people/
    <source>/images/*.jpg                             images, and one of
    <source>/masks/*.png                                masks of the same names, 0/255
    <source>/ann/*.json, <source>/meta.json             Supervisely
    <source>/instances.json                             COCO notation
    backgrounds/*.jpg                                 images without a person
  Any number of sources; train.txt, val.txt and test.txt list the splits, else shares are sampled."""

TREES = {"bdd100k": BDD100K, "fashion": FASHION, "coco": COCO, "people": PEOPLE}


class MissingDataError(DataError):
    """A data set that is not where it should be. The message is one screen: what is missing, the tree, where to get it."""

    def __init__(
        self, name: str, root: str | os.PathLike, paths: Sequence[str | os.PathLike], family: str
    ):
        missing = [Path(path) for path in paths if not Path(path).exists()]
        set_by = (
            "$DETECTRON2_DATASETS"
            if os.environ.get("DETECTRON2_DATASETS")
            else "$DETECTRON2_DATASETS is not set; the default"
        )
        lines = [f"data set {name} is not there. Missing:"]
        lines += [f"  {path}" for path in missing]
        lines += [f"Data sets are looked for below {Path(root).absolute()} ({set_by})."]
        if family in TREES:
            lines += ["Lay it out like this:", TREES[family].format(root=root)]
        lines += [
            "Elsewhere already? export DETECTRON2_DATASETS=/folder/that/holds/it. No data? A small street set is rendered for"
        ]
        lines += [
            "DATASETS.TRAIN \"['synthetic_bdd_train']\" DATASETS.TEST \"['synthetic_bdd_val']\". datasets/README.md tells more."
        ]
        self.paths = missing
        super().__init__("\n".join(lines))

    def __str__(self) -> str:
        # A screen, not a line: each of its own is as safe to print as any other message.
        return "\n".join(map(printable, str(self.args[0]).splitlines()))
