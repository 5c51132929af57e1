"""Augmentations by name, the steps of a training sample; a new one is a class and a line in the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from fvcore.common.config import CfgNode

from bdd_inst.base.registry import Registry
from bdd_inst.data import augment, color
from bdd_inst.data.augment import ObjectBoxes
from bdd_inst.data.transforms import Chain, Flip, Rotate, Transform

Size = tuple[int, int]  # (height, width)


class Augmentation:
    """One step. A subclass overrides what it needs; this one changes nothing.

    Attributes:
        cuts: whether it may cut or turn objects; their boxes are then taken anew from their masks.
    """

    cuts = False

    def transforms(
        self, size: Size, objects: ObjectBoxes, rng: np.random.Generator
    ) -> Sequence[Transform]:
        """How image, boxes and masks move together.

        Args:
            size: of the image as the steps before have left it.
            objects: its boxes and classes there.
            rng: the only source of randomness, so that a sample is the same whenever it is made.
        """
        return ()

    def recolor(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The image H,W,3 uint8 RGB with other pixels, everything at its place; not changed in place."""
        return image


class Rotation(Augmentation):
    """With probability ``prob`` turned by an angle of the range ``angle``, degrees."""

    cuts = True

    def __init__(self, angle: Sequence[float], prob: float):
        self.angle, self.prob = tuple(angle), prob

    @classmethod
    def from_config(cls, cfg: CfgNode) -> Rotation | None:
        """By INPUT.ROTATION."""
        options = cfg.INPUT.ROTATION
        return cls(options.ANGLE, options.PROB) if options.ENABLED else None

    def transforms(self, size, objects, rng):
        if rng.random() >= self.prob:
            return ()
        angle = float(rng.uniform(*self.angle))
        # Without a turn masks move by index tables, which is exact and cheap.
        return (Rotate(size, angle),) if angle % 360 else ()


class RandomCrop(Augmentation):
    """A window of random place, its size by Detectron2's four kinds (:func:`bdd_inst.data.augment.crop_size`).

    Args:
        kind: INPUT.CROP.TYPE; size: (height, width), shares or pixels by kind.
        instance_prob: how often it must hold the middle of an object.
    """

    cuts = True

    def __init__(self, kind: str, size: Sequence[float], instance_prob: float = 0.0):
        self.kind, self.size, self.instance_prob = kind, tuple(size), instance_prob

    @classmethod
    def from_config(cls, cfg: CfgNode) -> RandomCrop | None:
        """By INPUT.CROP."""
        options = cfg.INPUT.CROP
        return cls(options.TYPE, options.SIZE, options.INSTANCE_PROB) if options.ENABLED else None

    def transforms(self, size, objects, rng):
        out = augment.crop_size(self.kind, self.size, size, rng)
        return (
            augment.random_crop(
                out, size, objects=objects, instance_prob=self.instance_prob, rng=rng
            ),
        )


class RandomResize(Augmentation):
    """The shorter side to one of ``edges`` pixels (``choice``) or one between two (``range``), the longer to ``longest`` at most."""

    def __init__(self, edges: int | Sequence[int], sampling: str, longest: int):
        self.edges, self.sampling, self.longest = edges, sampling, longest

    def transforms(self, size, objects, rng):
        edge = augment.sample_edge(self.edges, self.sampling, rng)
        return augment.resized(size, edge, self.longest)


class LargeScaleJitter(Augmentation):
    """Scaled to fit ``size`` (height, width) times a factor of the range ``scale``, then cut or padded to ``size``."""

    cuts = True

    def __init__(self, size: Sequence[int], scale: Sequence[float]):
        self.size, self.scale = tuple(size), tuple(scale)

    def transforms(self, size, objects, rng):
        return augment.large_scale_jitter(size, self.size, self.scale, rng)


def build_resize(cfg: CfgNode) -> Augmentation:
    """Large-scale jitter where INPUT.LARGE_SCALE_JITTER asks for it, else by INPUT.MIN_SIZE_TRAIN and MAX_SIZE_TRAIN."""
    options, jitter = cfg.INPUT, cfg.INPUT.LARGE_SCALE_JITTER
    if jitter.ENABLED:
        return LargeScaleJitter(jitter.SIZE, jitter.SCALE)
    return RandomResize(
        options.MIN_SIZE_TRAIN, options.MIN_SIZE_TRAIN_SAMPLING, options.MAX_SIZE_TRAIN
    )


class RandomFlip(Augmentation):
    """Every second image mirrored, left and right or (``vertical``) top and bottom."""

    def __init__(self, vertical: bool):
        self.vertical = vertical

    @classmethod
    def from_config(cls, cfg: CfgNode) -> RandomFlip | None:
        """By INPUT.RANDOM_FLIP."""
        kind = cfg.INPUT.RANDOM_FLIP
        return None if kind == "none" else cls(kind == "vertical")

    def transforms(self, size, objects, rng):
        return (Flip(size, self.vertical),) if rng.random() < 0.5 else ()


class ColorJitter(Augmentation):
    """Brightness, contrast, saturation and hue, each by a factor around 1 (:func:`bdd_inst.data.color.jitter`)."""

    def __init__(self, brightness: float, contrast: float, saturation: float, hue: float):
        self.strengths = (brightness, contrast, saturation, hue)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> ColorJitter | None:
        """By INPUT.COLOR_JITTER."""
        options = cfg.INPUT.COLOR_JITTER
        if not options.ENABLED:
            return None
        return cls(options.BRIGHTNESS, options.CONTRAST, options.SATURATION, options.HUE)

    def recolor(self, image, rng):
        return color.jitter(image, *self.strengths, rng)


class RandomBlur(Augmentation):
    """With probability ``prob`` out of focus, by a Gaussian of a sigma of the range ``sigma``, pixels."""

    def __init__(self, sigma: Sequence[float], prob: float):
        self.sigma, self.prob = tuple(sigma), prob

    @classmethod
    def from_config(cls, cfg: CfgNode) -> RandomBlur | None:
        """By INPUT.BLUR."""
        options = cfg.INPUT.BLUR
        return cls(options.SIGMA, options.PROB) if options.ENABLED else None

    def recolor(self, image, rng):
        if rng.random() >= self.prob:
            return image
        return color.blur(image, float(rng.uniform(*self.sigma)))


# From a cfg to the step, None where its own keys switch it off.
AUGMENTATIONS: Registry[Callable[[CfgNode], Augmentation | None]] = Registry(
    "INPUT.AUGMENTATIONS",
    {
        "rotation": Rotation.from_config,
        "crop": RandomCrop.from_config,
        "resize": build_resize,
        "flip": RandomFlip.from_config,
        "color_jitter": ColorJitter.from_config,
        "blur": RandomBlur.from_config,
    },
)


def build_augmentations(cfg: CfgNode) -> list[Augmentation]:
    """The steps of INPUT.AUGMENTATIONS that are on, in its order.

    Raises:
        ConfigError: a name that the table does not have.
    """
    made = [AUGMENTATIONS.pick(name)(cfg) for name in cfg.INPUT.AUGMENTATIONS]
    return [step for step in made if step is not None]


def sample_chain(
    steps: Sequence[Augmentation], size: Size, objects: ObjectBoxes, rng: np.random.Generator
) -> Chain:
    """The transforms of one training sample, every step given the image and the objects as the ones before have left them.

    Args:
        steps: in their order.
        size: (height, width) of the image.
        objects: boxes N,4 (x1, y1, x2, y2 in pixels) and classes N.
        rng: of every random choice.

    Returns:
        Transforms of pixels, boxes and masks alike.
    """
    done: list[Transform] = []
    for step in steps:
        # A crop looks for objects where the steps before have put them.
        here = Chain(size, done)
        moved = ObjectBoxes(here.boxes(objects.boxes), objects.classes)
        done += step.transforms(tuple(here.out), moved, rng)
    return Chain(size, done)
