"""Logits of a pixel-wise model as label maps, probabilities and cut-outs, and the names that their values have."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

import numpy as np
import torch
from fvcore.common.config import CfgNode
from PIL import Image

from bdd_inst.base.errors import DataError
from bdd_inst.base.files import atomic_write
from bdd_inst.data.sem_seg import BACKGROUND, class_names
from bdd_inst.datasets import catalog
from bdd_inst.datasets.class_view import seen_metadata
from bdd_inst.formats.label_map import write_gray
from bdd_inst.inference.results import OutputClasses

THRESHOLD = 0.5  # of the probability from which a pixel is of the class, where there is one


def labels_of(
    logits: torch.Tensor,
    image_id: object = "",
    threshold: float | None = None,
    ignore: int = 255,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Class numbers of a pixel-wise model's output.

    Args:
        logits: K,H,W.
        image_id: named where something is wrong.
        threshold: with one plane, or two classes, label 1 from this probability on (0.5); with more the best class, and ``ignore``
            where its probability is lower.
        ignore: the number of pixels that are of no class.

    Returns:
        H,W int64 class numbers; and of one class against background its probability, H,W float32, else None.

    Raises:
        DataError: not finite.
    """
    logits = logits.detach().to("cpu", torch.float32)
    if not torch.isfinite(logits).all():
        raise DataError(
            f"image {image_id}: a predicted score is not finite; the model has diverged"
        )
    if len(logits) == 1:
        scores = logits[0].sigmoid().numpy()
        return (scores >= (THRESHOLD if threshold is None else threshold)).astype(np.int64), scores
    # Of equal logits the lower class.
    labels = logits.argmax(dim=0).numpy()
    if len(logits) == 2:
        scores = logits.softmax(dim=0)[1].numpy()
        return (labels if threshold is None else (scores >= threshold).astype(np.int64)), scores
    if threshold is not None:
        labels = np.where(probability_of(logits) >= threshold, labels, ignore)
    return labels, None


def probability_of(logits: torch.Tensor) -> np.ndarray:
    """K,H,W logits -> H,W float32: of label 1 with one plane or two classes, of the best class with more.

    Args:
        logits: K,H,W.

    Returns:
        H,W float32, 0 to 1.
    """
    logits = logits.detach().to("cpu", torch.float32)
    if len(logits) == 1:
        return logits[0].sigmoid().numpy()
    shares = logits.softmax(dim=0)
    return (shares[1] if len(logits) == 2 else shares.amax(dim=0)).numpy()


def cut_out(image: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """H,W,3 uint8 with H,W probabilities as alpha: H,W,4 uint8, channels in the order they came.

    Args:
        image: H,W,3 uint8.
        probability: H,W, 0 to 1.

    Returns:
        H,W,4 uint8.
    """
    return np.dstack([image, as_bytes(probability)])


def as_bytes(probability: np.ndarray) -> np.ndarray:
    """0..1 to uint8 0..255, rounded.

    Args:
        probability: of any shape, 0 to 1.

    Returns:
        uint8 of that shape.
    """
    return np.rint(probability * 255).astype(np.uint8)


def write_labels(path: str | os.PathLike, values: np.ndarray, classes: int) -> None:
    """Class numbers H,W as a gray PNG, 16 bits a pixel where there are more than 255 classes; whole or not at all.

    Args:
        path: of the PNG.
        values: H,W class numbers of any integer dtype.
        classes: how many there are.

    Raises:
        DataError or OSError: it could not be written.
    """
    if classes <= 255:
        write_gray(path, values)
        return
    with atomic_write(path, "wb") as stream:
        Image.fromarray(np.ascontiguousarray(values, dtype=np.uint16)).save(stream, "PNG")


def png_names(names: Iterable[str]) -> dict[str, str]:
    """Image name (``a/b.jpg``) -> that of its PNG (``a/b.png``); images that share a stem keep their suffix before it.

    Args:
        names: of images, with ``/``.

    Returns:
        each name to that of its PNG; no two are the same.
    """
    plain = {name: PurePosixPath(name).with_suffix(".png").as_posix() for name in names}
    shared = {png for png, number in Counter(plain.values()).items() if number > 1}
    return {name: f"{name}.png" if png in shared else png for name, png in plain.items()}


def label_names(cfg: CfgNode, metadata: Mapping) -> OutputClasses:
    """What label values mean, by value: those of the weights, else of the first data set of the config that has as many classes.

    Args:
        cfg: of a pixel-wise model.
        metadata: what the weights say of themselves; may be empty.

    Returns:
        names and colors by value, background first where there is one.
    """
    number = max(cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES, 2)
    known = [
        seen_metadata(name, cfg.DATASETS)
        for name in (*cfg.DATASETS.TEST, *cfg.DATASETS.TRAIN)
        if name in catalog.DatasetCatalog
    ]
    for found in (metadata, *known):
        if not (found.get("stuff_classes") or found.get("thing_classes")):
            continue
        names = class_names(found)
        if len(names) == number:
            colors = found.get("stuff_colors") or found.get("thing_colors")
            if colors and len(colors) == number - 1 and names[0] == BACKGROUND:
                colors = [[0, 0, 0], *colors]
            return OutputClasses(names, list(range(number)), colors)
    return OutputClasses(
        [BACKGROUND, *(f"class {i}" for i in range(1, number))], list(range(number))
    )
