"""From a dataset dict to what the model takes: picture read, transformed and turned into tensors, with its ground truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from fvcore.common.config import CfgNode
from PIL import Image

from bdd_inst.data import augment, color, ground_truth
from bdd_inst.data.pictures import read_picture, to_tensor
from bdd_inst.errors import ConfigError, DataError


class DatasetMapper:
    """Maps one dataset dict (Detectron2's standard form) to one model input.

    1. Read the picture, EXIF orientation applied; its size must be the dict's.
    2. Training: rotate, crop, resize or jitter, flip, recolour, as the config asks. Evaluation: resize.
    3. ``image``: uint8 C,H,W in INPUT.FORMAT. ``height``, ``width``: of the original picture.
    4. Training: ``instances`` with ``gt_boxes``, ``gt_classes``, ``gt_masks``, without crowds and without what the transforms left empty.
    5. Training: ``sample_seed``, an int for choices that the model makes at random.

    With the same transforms the picture equals Detectron2's pixel for pixel, and so do boxes and masks.
    """

    def __init__(self, cfg: CfgNode, is_train: bool, stage: dict | None = None):
        """``stage``: an entry of STAGES; its INPUT keys (dotted, ``INPUT.MIN_SIZE_TRAIN``), if any, hold instead of the config's."""
        if stage:
            cfg = cfg.clone()
            for key, value in stage.items():
                if str(key).startswith("INPUT."):
                    cfg.merge_from_list([key, value])
        if cfg.INPUT.MASK_FORMAT not in ("polygon", "bitmask"):
            raise ConfigError(f"INPUT.MASK_FORMAT {cfg.INPUT.MASK_FORMAT!r} is unknown; use polygon or bitmask")
        self.cfg, self.is_train = cfg, is_train
        self.mask_format = cfg.INPUT.MASK_FORMAT if cfg.MODEL.MASK_ON else None
        cut = cfg.INPUT.CROP.ENABLED or cfg.INPUT.LARGE_SCALE_JITTER.ENABLED or cfg.INPUT.ROTATION.ENABLED
        self.recompute_boxes = bool(cut and self.mask_format)

    def __call__(self, dataset_dict: dict, rng: np.random.Generator | None = None) -> dict:
        """One model input. ``rng`` makes every random choice of training; evaluation needs none.

        Raises:
            DataError: a picture that is missing, broken or of another size than its dict says, or a mask that does not fit it.
        """
        out = {key: value for key, value in dataset_dict.items() if key != "annotations"}
        image = read_picture(dataset_dict["file_name"])
        check_size(dataset_dict, image)
        out["width"], out["height"] = image.size
        size = (image.height, image.width)
        if not self.is_train:
            out["image"] = to_tensor(augment.test_chain(self.cfg, size).image(image), self.cfg.INPUT.FORMAT)
            return out
        if rng is None:
            raise ValueError("training samples need a random generator")
        out["sample_seed"] = int(rng.integers(2**31))
        annotations = ground_truth.usable(dataset_dict.get("annotations", ()))
        objects = augment.Objects(ground_truth.boxes_of(annotations), ground_truth.classes_of(annotations))
        chain = augment.train_chain(self.cfg, size, objects, rng)
        image = chain.image(image)
        if self.cfg.INPUT.COLOR_JITTER.ENABLED:
            image = color.jitter(np.asarray(image), self.cfg.INPUT.COLOR_JITTER, rng)
        out["image"] = to_tensor(image, self.cfg.INPUT.FORMAT)
        if "annotations" in dataset_dict:
            name = Path(dataset_dict["file_name"]).name
            out["instances"] = ground_truth.to_instances(annotations, chain, self.mask_format, self.recompute_boxes, name)
        return out


def check_size(dataset_dict: dict, image: Image.Image) -> None:
    """Raise DataError where the picture is not of the size its dict says (boxes and masks would land beside their objects)."""
    expected = (dataset_dict.get("width", image.width), dataset_dict.get("height", image.height))
    if image.size != expected:
        name = dataset_dict["file_name"]
        found = f"{image.width}x{image.height}"
        raise DataError(f"{name}: the picture is {found}, its labels say {expected[0]}x{expected[1]}; one of them is another version")


Mapper = Callable[[dict, np.random.Generator | None], dict]
