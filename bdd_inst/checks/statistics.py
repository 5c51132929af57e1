"""What a data set consists of: classes, objects an image, sizes by COCO's area ranges, attributes, crowds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bdd_inst.formats.records import ImageLabels
from bdd_inst.masks import run_lengths

# COCO's area ranges, in pixels: small below the first, large from the second on.
SMALL, LARGE = 32**2, 96**2
SIZES = ("small", "medium", "large")
FLAGS = ("crowd", "ignored", "occluded", "truncated")


@dataclass
class ClassCounts:
    """Counts of one class."""

    objects: int = 0
    images: int = 0
    masks: int = 0
    sizes: Counter = field(default_factory=Counter)
    flags: Counter = field(default_factory=Counter)


@dataclass
class Statistics:
    """Counts over one label set, filled image by image. Crowds and ignored objects are among the objects, and in ``flags``."""

    images: int = 0
    labeled: int = 0
    objects: int = 0
    classes: dict[str, ClassCounts] = field(default_factory=lambda: defaultdict(ClassCounts))
    per_image: Counter = field(default_factory=Counter)
    image_sizes: Counter = field(default_factory=Counter)
    attributes: dict[str, Counter] = field(default_factory=lambda: defaultdict(Counter))
    areas: list[float] = field(default_factory=list)
    vertices: Counter = field(default_factory=Counter)
    curved: int = 0
    videos: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    def add(
        self, image: ImageLabels, rles: Sequence[dict | None], size: tuple[int, int] | None
    ) -> None:
        """Count one image. ``rles``: the masks of its instances, in order, where they have one."""
        self.images += 1
        self.names.add(image.name)
        self.labeled += image.labeled
        if image.labeled:
            self.per_image[len(image.instances)] += 1
        if size is not None:
            self.image_sizes[size[1], size[0]] += 1
        if image.video is not None:
            self.videos.add(image.video)
        for key, value in image.attributes.items():
            if isinstance(value, str | bool | int):
                self.attributes[key][str(value)] += 1
        for instance, rle in zip(image.instances, rles, strict=True):
            self.objects += 1
            counts = self.classes[instance.category]
            counts.objects += 1
            counts.masks += rle is not None
            area = self._area(instance, rle)
            if area is not None:
                self.areas.append(area)
                counts.sizes[SIZES[(area >= SMALL) + (area >= LARGE)]] += 1
            for flag in FLAGS:
                counts.flags[flag] += bool(getattr(instance, flag))
            for path in instance.paths or ():
                self.vertices[len(path)] += 1
                self.curved += path.curved
        for name in {instance.category for instance in image.instances}:
            self.classes[name].images += 1

    @staticmethod
    def _area(instance, rle: dict | None) -> float | None:
        if rle is not None:
            return float(run_lengths.area(rle))
        if instance.box is not None:
            x1, y1, x2, y2 = instance.box
            return (x2 - x1) * (y2 - y1)
        return None

    @property
    def mean_objects(self) -> float:
        """Objects a labeled image, NaN where there is none."""
        return self.objects / self.labeled if self.labeled else float("nan")

    def flag_total(self, flag: str) -> int:
        return sum(counts.flags[flag] for counts in self.classes.values())

    def size_total(self, size: str) -> int:
        return sum(counts.sizes[size] for counts in self.classes.values())

    def by_frequency(self) -> list[tuple[str, ClassCounts]]:
        """Classes, most frequent first."""
        return sorted(self.classes.items(), key=lambda item: (-item[1].objects, item[0]))

    def area_histogram(self, bins: int = 24) -> tuple[list[int], list[float]]:
        """Counts and edges (pixels, logarithmic) of object areas; both empty where there is none."""
        values = np.asarray([a for a in self.areas if a > 0])
        if not len(values):
            return [], []
        edges = np.geomspace(max(values.min(), 1.0), max(values.max(), 2.0) * 1.0001, bins + 1)
        return np.histogram(np.maximum(values, edges[0]), edges)[0].tolist(), edges.tolist()
