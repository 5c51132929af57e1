"""A data set of one's own: a loader under a name, for data that no file of labels describes.

bdd-inst check --import examples/extending/stripes.py --dataset stripes_val
bdd-inst train --import examples/extending/stripes.py --config demo.yaml DATASETS.TRAIN "['stripes_train']" DATASETS.TEST "['stripes_val']" MODEL.ROI_HEADS.NUM_CLASSES 1
"""

from functools import partial

import cv2
import numpy as np

from bdd_inst.datasets.catalog import DatasetCatalog, MetadataCatalog, data_root


def load(split: str) -> list[dict]:
    """Detectron2's standard dicts: file, size, and for each object its box, class and outline (or RLE)."""
    folder = data_root() / "stripes" / split
    folder.mkdir(parents=True, exist_ok=True)
    dicts = []
    for number in range(8 if split == "train" else 2):
        x, file = 5.0 + 4 * number, folder / f"{number}.png"
        image = np.full((64, 80, 3), 60, np.uint8)
        cv2.rectangle(image, (int(x), 10), (int(x) + 20, 50), (40, 160, 220), -1)
        cv2.imwrite(str(file), image)
        outline = [x, 10, x + 20, 10, x + 20, 50, x, 50]
        annotation = {"bbox": [x, 10, x + 20, 50], "bbox_mode": 0, "category_id": 0}
        annotation |= {"segmentation": [outline], "iscrowd": 0}
        record = {"file_name": str(file), "height": 64, "width": 80, "image_id": number}
        dicts.append(record | {"annotations": [annotation]})
    return dicts


for split in ("train", "val"):
    DatasetCatalog.register(f"stripes_{split}", partial(load, split))
    MetadataCatalog.get(f"stripes_{split}").set(thing_classes=["stripe"])
