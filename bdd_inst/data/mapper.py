"""From a dataset dict to what the model takes: image read, transformed and turned into tensors, with its ground truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from fvcore.common.config import CfgNode
from PIL import Image

from bdd_inst.base.errors import DataError
from bdd_inst.data import augment, copy_paste, ground_truth, panoptic, sem_seg
from bdd_inst.data.augmentations import Augmentation, build_augmentations, sample_chain
from bdd_inst.data.transforms import Chain
from bdd_inst.datasets.catalog import MetadataCatalog
from bdd_inst.images.read import read_image, to_tensor
from bdd_inst.structures import Instances

LABELS = (
    "annotations",
    "sem_seg_file_name",
    "sem_seg_values",
    "sem_seg_scaled",
    "sem_seg_ignore_file",
    "pan_seg_file_name",
    "segments_info",
)  # of a dict, not of a model input


class DatasetMapper:
    """Maps one dataset dict (Detectron2's standard form) to one model input.

    1. Read the image, EXIF orientation applied; its size must be the dict's.
    2. Training: the steps of INPUT.AUGMENTATIONS; between those that move and those that recolor, objects of another image are
       pasted where the config asks for it. Evaluation: resize.
    3. ``image``: uint8 C,H,W in INPUT.FORMAT. ``height``, ``width``: of the original image.
    4. Training: ``instances`` with ``gt_boxes``, ``gt_classes``, ``gt_masks``, without crowds and without what the transforms left empty.
    5. Training of a SemanticSegmentor: ``sem_seg`` instead, H,W int64, IGNORE_VALUE where unknown or padded; of a PanopticFPN: both.
    6. Training: ``sample_seed``, an int for choices that the model makes at random.

    With the same transforms the image equals Detectron2's pixel for pixel, and so do boxes and masks.
    """

    def __init__(self, cfg: CfgNode, is_train: bool, stage: dict | None = None):
        """``stage``: an entry of STAGES; its INPUT keys (dotted, ``INPUT.MIN_SIZE_TRAIN``), if any, hold instead of the config's."""
        if stage:
            cfg = cfg.clone()
            for key, value in stage.items():
                if str(key).startswith("INPUT."):
                    cfg.merge_from_list([key, value])
        self.cfg, self.is_train = cfg, is_train
        self.mask_format = cfg.INPUT.MASK_FORMAT if cfg.MODEL.MASK_ON else None
        self.augmentations = build_augmentations(cfg)
        # Those that leave the pixels alone do not cost a copy of them.
        self.recoloring = [
            step for step in self.augmentations if type(step).recolor is not Augmentation.recolor
        ]
        cut = any(step.cuts for step in self.augmentations)
        self.recompute_boxes = bool(cut and self.mask_format)
        self.pastes = is_train and cfg.INPUT.COPY_PASTE.ENABLED
        self.onto_backgrounds = cfg.INPUT.COPY_PASTE.BACKGROUNDS
        self.pixelwise, self.panoptic = sem_seg.is_pixelwise(cfg), panoptic.is_panoptic(cfg)
        self.priority: dict[int, int] = {}
        if self.pixelwise and cfg.DATASETS.PRIORITY:
            names = MetadataCatalog.get(cfg.DATASETS.TRAIN[0]).thing_classes
            self.priority = sem_seg.layers(names, cfg.DATASETS.PRIORITY)

    def __call__(
        self,
        dataset_dict: dict,
        rng: np.random.Generator | None = None,
        another: Callable[[], dict] | None = None,
    ) -> dict:
        """One model input. ``rng`` makes every random choice of training; evaluation needs none. ``another`` gives the dict of an image
        drawn at random, from which copy-paste takes objects; without it nothing is pasted.

        Raises:
            DataError: an image that is missing, broken or of another size than its dict says, or a mask that does not fit it.
        """
        out = {key: value for key, value in dataset_dict.items() if key not in LABELS}
        image = read(dataset_dict)
        out["width"], out["height"] = image.size
        if not self.is_train:
            chain = augment.test_chain(self.cfg, (image.height, image.width))
            out["image"] = to_tensor(chain.image(image), self.cfg.INPUT.FORMAT)
            return out
        if rng is None:
            raise ValueError("training samples need a random generator")
        # The first draw: it stays the same whatever augmentations are switched on.
        out["sample_seed"] = int(rng.integers(2**31))
        chain = self.chain(image, dataset_dict, rng)
        # One chain for both: whatever happens to pixels happens to masks.
        image, target = chain.image(image), self.target(dataset_dict, chain)
        if self.pastes and another is not None and rng.random() < self.cfg.INPUT.COPY_PASTE.PROB:
            image, target = self.pasted((image, target), another(), rng)
        # Last, so that objects from another image are seen in the same light as the one they are in.
        for step in self.recoloring:
            image = step.recolor(np.asarray(image), rng)
        out["image"] = to_tensor(image, self.cfg.INPUT.FORMAT)
        if target is not None:
            out["sem_seg" if self.pixelwise else "instances"] = target
        if self.panoptic:
            out["sem_seg"] = self.label_map(dataset_dict, chain)
        return out

    def chain(self, image: Image.Image, dataset_dict: dict, rng: np.random.Generator) -> Chain:
        """Random transforms for an image."""
        annotations = ground_truth.usable(dataset_dict.get("annotations", ()))
        objects = augment.ObjectBoxes(
            ground_truth.boxes_of(annotations), ground_truth.classes_of(annotations)
        )
        return sample_chain(self.augmentations, (image.height, image.width), objects, rng)

    def target(self, dataset_dict: dict, chain: Chain) -> Instances | torch.Tensor | None:
        """The objects of a dict (or its label map, H,W int64) after the transforms; None for a dict without any."""
        if self.pixelwise:
            return self.label_map(dataset_dict, chain)
        if "annotations" not in dataset_dict:
            return None
        annotations = ground_truth.usable(dataset_dict["annotations"])
        name = Path(dataset_dict["file_name"]).name
        return ground_truth.to_instances(
            annotations,
            chain,
            mask_format=self.mask_format,
            recompute_boxes=self.recompute_boxes,
            where=name,
        )

    def pasted(self, sample: tuple, other: dict, rng: np.random.Generator) -> tuple:
        """A transformed sample with objects of another image in it; or its own on the other, where that is a background."""
        options = self.cfg.INPUT.COPY_PASTE
        image = read(other)
        chain = self.chain(image, other, rng)
        second = chain.image(image), self.target(other, chain)
        if not self.pixelwise:
            return copy_paste.paste(sample, second, options.MAX_INSTANCES, rng)
        target, source = (second, sample) if options.BACKGROUNDS else (sample, second)
        return copy_paste.paste_labels(target, source, self.cfg.MODEL.SEM_SEG_HEAD.IGNORE_VALUE)

    def label_map(self, dataset_dict: dict, chain: Chain) -> torch.Tensor | None:
        """H,W int64 after the transforms; None for a dict without labels."""
        known = ("annotations", "sem_seg_file_name", "segments_info")
        if not any(key in dataset_dict for key in known):
            return None
        head = self.cfg.MODEL.SEM_SEG_HEAD
        values = sem_seg.label_map_of(dataset_dict, head.IGNORE_VALUE, self.priority)
        # One class is one plane: its label is 1, background 0.
        return sem_seg.moved(
            values,
            chain,
            ignore=head.IGNORE_VALUE,
            classes=max(head.NUM_CLASSES, 2),
            where=dataset_dict["file_name"],
        )


def read(dataset_dict: dict) -> Image.Image:
    """The image of a dict.

    Raises:
        DataError: missing, broken, or of another size than the dict says.
    """
    image = read_image(dataset_dict["file_name"])
    check_size(dataset_dict, image)
    return image


def check_size(dataset_dict: dict, image: Image.Image) -> None:
    """Raise DataError where the image is not of the size its dict says (boxes and masks would land beside their objects)."""
    expected = (dataset_dict.get("width", image.width), dataset_dict.get("height", image.height))
    if image.size != expected:
        name = dataset_dict["file_name"]
        found = f"{image.width}x{image.height}"
        raise DataError(
            f"{name}: the image is {found}, its labels say {expected[0]}x{expected[1]}; one of them is another version"
        )


Mapper = Callable[..., dict]
