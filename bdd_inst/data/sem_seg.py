"""The label map of an image: read from its file or painted from its objects, and moved with the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.data import panoptic
from bdd_inst.data.transforms import Chain
from bdd_inst.formats.label_map import read_encoded
from bdd_inst.masks import run_lengths
from bdd_inst.masks.label_runs import paint

ARCHITECTURE = "SemanticSegmentor"
BACKGROUND = "background"


def is_pixelwise(cfg: CfgNode) -> bool:
    """Whether the model labels pixels instead of objects.

    Args:
        cfg: MODEL.META_ARCHITECTURE.

    Returns:
        True for SemanticSegmentor.
    """
    return cfg.MODEL.META_ARCHITECTURE == ARCHITECTURE


def class_names(metadata: Mapping) -> list[str]:
    """What the values 0, 1, ... of the label maps mean: ``stuff_classes``, else background and then the classes of the objects.

    Args:
        metadata: of a data set.

    Returns:
        Names by value, from 0.
    """
    own = metadata.get("stuff_classes")
    return list(own) if own else [BACKGROUND, *metadata["thing_classes"]]


def layers(names: Sequence[str], priority: Sequence[str]) -> dict[int, int]:
    """Class index (of ``thing_classes``) -> how far up its objects lie; classes that ``priority`` does not name lie below all of it.

    Args:
        names: ``thing_classes``.
        priority: class names, the topmost first.

    Returns:
        Class index -> layer, higher on top.

    Raises:
        ConfigError: DATASETS.PRIORITY names no class.
    """
    unknown = [name for name in priority if name not in names]
    if unknown:
        raise ConfigError(
            f"DATASETS.PRIORITY: {unknown[0]} is no class here; there are {', '.join(names)}"
        )
    return {names.index(name): len(priority) - i for i, name in enumerate(priority)}


def label_map_of(
    record: dict, ignore: int = 255, priority: Mapping[int, int] | None = None
) -> np.ndarray:
    """The label map of a dataset dict, H,W uint8 (uint16 where a file has 16 bits), on the image as it is.

    A dict of a panoptic data set has its stuff (:func:`bdd_inst.data.panoptic.stuff_map_of`).
    A dict with ``sem_seg_file_name`` has it in that file; ``sem_seg_values`` says what the file's values mean where they are not
    class numbers. Without one the objects are painted: object of class k as k + 1, background 0. Where they overlap the class of higher
    ``priority`` (:func:`layers`) lies on top; within one the higher ``score``; without scores the smaller object. Crowds and ignored
    regions become ``ignore`` where no object lies over them.

    Args:
        record: Detectron2's standard dict.
        ignore: the value of pixels that count nowhere.
        priority: class index -> layer.

    Returns:
        H,W of the image as its file is.

    Raises:
        DataError: a label map of another size than the image, or a file that is none.
    """
    size = record["height"], record["width"]
    path = record.get("sem_seg_file_name")
    if path is None and panoptic.has_segments(record):
        return panoptic.stuff_map_of(record, ignore)
    if path is None:
        return painted(record.get("annotations", ()), *size, ignore, priority or {})
    values = read_encoded(path, record.get("sem_seg_values"))
    if record.get("sem_seg_scaled"):
        # EXACT picks the pixels that PIL picks; OpenCV's plain nearest picks others for nearly every pair of sizes.
        values = cv2.resize(values, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    panoptic.check_size(values, size, path)
    band = record.get("sem_seg_ignore_file")
    if band is not None:
        # A second file says which pixels count nowhere, whatever the label map has there.
        unknown = read_encoded(band, "binary")
        unknown = cv2.resize(unknown, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        values = np.where(unknown > 0, ignore, values).astype(values.dtype)
    return values


def painted(
    annotations: Sequence[dict], height: int, width: int, ignore: int, priority: Mapping[int, int]
) -> np.ndarray:
    """Objects as one label map (H,W uint8), by the rules of :func:`label_map_of`."""
    rows = []
    for item in annotations:
        mask = item.get("segmentation")
        if mask is None or (not isinstance(mask, dict) and not len(mask)):
            continue
        rle = panoptic.as_rle(mask, height, width)
        unclear = bool(item.get("iscrowd", 0)) or bool(
            (item.get("attributes") or {}).get("ignored")
        )
        label = item["category_id"]
        # From the lowest layer to the topmost. Equal ranks stay in the order of the labels, for the sort keeps it.
        rank = (
            not unclear,
            priority.get(label, 0),
            item.get("score", 0.0),
            -run_lengths.area(rle),
        )
        rows.append((rank, ignore if unclear else label + 1, rle))
    rows.sort(key=lambda row: row[0])
    largest = max([ignore, *(value for _, value, _ in rows)])
    return paint(
        [rle for _, _, rle in rows],
        [value for _, value, _ in rows],
        height=height,
        width=width,
        dtype=np.uint8 if largest < 256 else np.uint16,
    )


def moved(values: np.ndarray, chain: Chain, ignore: int, classes: int, where: str) -> torch.Tensor:
    """A label map after the transforms of its image: H,W int64, ``ignore`` where the image is padded.

    Args:
        classes: values from ``classes`` on, other than ``ignore``, are refused: the loss would fail on them without a name.

    Raises:
        DataError: a value that is no class.
    """
    highest = int(np.where(values == ignore, 0, values).max(initial=0))
    if highest >= classes:
        raise DataError(
            f"{where}: value {highest} in the label map, but the classes are 0 to {classes - 1} and {ignore} (ignored); "
            "set MODEL.SEM_SEG_HEAD.NUM_CLASSES, or correct the map"
        )
    return torch.from_numpy(chain.labels(values, ignore).astype(np.int64))
