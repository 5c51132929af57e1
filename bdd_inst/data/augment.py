"""The geometry of augmentations: sizes, crops and jitter at random. Every random number comes from the given generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from fvcore.common.config import CfgNode

from bdd_inst.data.transforms import Chain, Crop, Resize, Transform

# Gray around an image that is smaller than the jitter's canvas, as in Detectron2's FixedSizeCrop.
PADDING = 128


@dataclass(slots=True)
class ObjectBoxes:
    """What a crop may want to know of the image: boxes N,4 (x1, y1, x2, y2) and classes N."""

    boxes: np.ndarray
    classes: np.ndarray


def shortest_edge(size: tuple[int, int], edge: float, longest: float) -> tuple[int, int]:
    """Height and width with the shorter side ``edge``, unless the longer would pass ``longest``; halves are rounded up.

    Args:
        size: (height, width) in pixels.
        edge: the shorter side wanted.
        longest: what the longer side may be.

    Returns:
        (height, width), whole pixels, at least 1.
    """
    height, width = size
    # Detectron2's operations in its order: in another one some sizes round to the next pixel.
    scale = edge * 1.0 / min(height, width)
    new_h, new_w = (edge * 1.0, scale * width) if height < width else (scale * height, edge * 1.0)
    if max(new_h, new_w) > longest:
        scale = longest * 1.0 / max(new_h, new_w)
        new_h, new_w = new_h * scale, new_w * scale
    return max(1, int(new_h + 0.5)), max(1, int(new_w + 0.5))  # a strip keeps a pixel of its width


def test_chain(cfg: CfgNode, size: tuple[int, int]) -> Chain:
    """The resize of evaluation; none where TEST.AUG has the model see the image in sizes of its own.

    Args:
        cfg: INPUT.MIN_SIZE_TEST and MAX_SIZE_TEST.
        size: (height, width) of the image.

    Returns:
        Transforms of pixels, boxes and masks alike.
    """
    if cfg.TEST.AUG.ENABLED:
        return Chain(size)
    return Chain(size, resized(size, cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST))


def resized(size: tuple[int, int], edge: float, longest: float) -> list[Transform]:
    """The resize to a shortest edge; none where ``edge`` is 0 or nothing changes."""
    if not edge:
        return []
    out = shortest_edge(size, edge, longest)
    return [] if out == tuple(size) else [Resize(tuple(size), out)]


def sample_edge(
    sizes: int | list[int] | tuple[int, ...], style: str, rng: np.random.Generator
) -> int:
    """A shortest edge in pixels.

    Args:
        sizes: INPUT.MIN_SIZE_TRAIN.
        style: INPUT.MIN_SIZE_TRAIN_SAMPLING: ``choice``, one of them; ``range``, a whole number between two, both included.
        rng: of the choice.
    """
    sizes = [sizes] if isinstance(sizes, int) else list(sizes)
    if style == "choice":
        return int(sizes[rng.integers(len(sizes))])
    low, high = sizes
    return int(rng.integers(low, high + 1))


def random_crop(
    out: tuple[int, int],
    size: tuple[int, int],
    objects: ObjectBoxes,
    instance_prob: float,
    rng: np.random.Generator,
) -> Crop:
    """A window of random place; with ``instance_prob`` it holds the middle of an object, of a class drawn evenly among those there.

    Args:
        out: (height, width) of the window; ``size``: of the image.
    """
    low, high = np.zeros(2, int), np.subtract(size, out)
    if len(objects.boxes) and rng.random() < instance_prob:
        # The class first: among all objects at once a rare class would be as rare in the windows as in the data.
        label = rng.choice(np.unique(objects.classes))
        x1, y1, x2, y2 = objects.boxes[rng.choice(np.flatnonzero(objects.classes == label))]
        middle = np.array([(y1 + y2) / 2, (x1 + x2) / 2])
        # All starts from which the window holds the pixel of the middle and stays inside the image.
        low = np.clip(np.floor(middle).astype(int) - out + 1, low, high)
        high = np.clip(np.floor(middle).astype(int), low, high)
    y, x = (int(rng.integers(a, b + 1)) for a, b in zip(low, high))
    return Crop(tuple(size), x, y, out)


def crop_size(
    kind: str, wanted: Sequence[float], size: tuple[int, int], rng: np.random.Generator
) -> tuple[int, int]:
    """(height, width) of a crop, as Detectron2 defines the four kinds of INPUT.CROP.TYPE.

    Args:
        kind: ``relative``, ``relative_range``, ``absolute`` or ``absolute_range``.
        wanted: ``relative``: shares of the image's (height, width); ``relative_range``: the least of these shares; ``absolute``:
            (height, width) in pixels, cut to the image's; ``absolute_range``: the least and the greatest side in pixels, of either axis.
        size: (height, width) of the image.
    """
    height, width = size
    if kind in ("relative", "relative_range"):
        # float32, as in Detectron2: half a pixel decides which size comes out.
        share = np.asarray(wanted, np.float32)
        if kind == "relative_range":
            share = share + rng.random(2) * (1 - share)
        return int(height * share[0] + 0.5), int(width * share[1] + 0.5)
    if kind == "absolute":
        return min(int(wanted[0]), height), min(int(wanted[1]), width)
    # Here the two numbers are no height and width: they bound each of the two sides.
    return tuple(
        int(rng.integers(min(side, int(wanted[0])), min(side, int(wanted[1])) + 1)) for side in size
    )


def large_scale_jitter(
    size: tuple[int, int],
    wanted: Sequence[int],
    scales: Sequence[float],
    rng: np.random.Generator,
) -> list[Transform]:
    """Scale to fit ``wanted`` times a factor of the range ``scales``, then cut or pad to ``wanted`` (Ghiasi et al., arXiv 2012.07177)."""
    target = np.array(wanted, int)
    scale = rng.uniform(*scales)
    # The smaller of the two ratios: the scaled image fits, its sides in proportion.
    ratio = np.min(target * scale / size)
    out = tuple(int(v) for v in np.maximum(np.round(np.multiply(size, ratio)), 1))
    spare = np.maximum(np.subtract(out, target), 0)
    # One number for both axes, as in Detectron2's FixedSizeCrop.
    y, x = (int(v) for v in np.round(spare * rng.random()))
    steps: list[Transform] = [] if out == tuple(size) else [Resize(tuple(size), out)]
    return [*steps, Crop(out, x=x, y=y, out=tuple(int(v) for v in target), fill=PADDING)]
