"""AP by what BDD100K knows beyond the class: weather, scene and time of day of images; occlusion, truncation and size of objects.

Slices of images are evaluations of those images alone. In slices of objects, the other objects count neither way (as objects outside
an area range do in COCO's protocol), while every false detection counts in full, for it belongs to no slice; their recall is the fairer
figure to compare, and stands beside. Sizes are COCO's APs, APm and APl.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.matching import Pairs, match, precision, recall
from bdd_inst.evaluation.results import Results

MOST_VALUES = 20  # an attribute of more values is a name or a number, not a kind
OBJECT_FLAGS = ("occluded", "truncated")


@dataclass(frozen=True)
class Slice:
    """One row: the attribute, its value, images and objects in it, and AP, AP50, AR in percent (None where undefined)."""

    attribute: str
    value: str
    images: int
    objects: int
    ap: float | None
    ap50: float | None
    ar: float | None


def slices(truth: GroundTruth, results: Results, pairs: Pairs) -> list[Slice]:
    """Every slice that the data set's attributes offer; attributes with a single value say nothing and are left out."""
    matches = match(truth, results, pairs)
    out = []
    for name, value, chosen in image_slices(truth):
        p, r = precision(truth, results, matches, chosen), recall(truth, matches, chosen)
        objects = int((chosen[truth.image] & ~matches.ignored).sum())
        out.append(row(name, value, images=int(chosen.sum()), objects=objects, p=p, r=r))
    for name, value, chosen in object_slices(truth):
        # Matched anew: an object that does not count may still excuse a detection.
        own = match(truth, results, pairs, ignored=~chosen)
        objects = int((~own.ignored).sum())
        images = len(np.unique(truth.image[~own.ignored]))
        out.append(
            row(
                name,
                value,
                images=images,
                objects=objects,
                p=precision(truth, results, own),
                r=recall(truth, own),
            )
        )
    return out


def row(name: str, value: str, images: int, objects: int, p: np.ndarray, r: np.ndarray) -> Slice:
    """A slice from its precision T,R,K and recall T,K, float64."""
    return Slice(
        name,
        value=value,
        images=images,
        objects=objects,
        ap=percent(p),
        ap50=percent(p[:1]),
        ar=percent(r),
    )


def percent(values: np.ndarray) -> float | None:
    """100 x the mean of the defined entries of a float array of any shape."""
    kept = values[values > -1]
    return 100 * float(kept.mean()) if kept.size else None


def image_slices(truth: GroundTruth) -> Iterator[tuple[str, str, np.ndarray]]:
    """Attribute, value and N bool for every attribute of images with a few values."""
    names = sorted({name for attributes in truth.image_attributes for name in attributes})
    for name in names:
        values = [attributes.get(name) for attributes in truth.image_attributes]
        if any(isinstance(v, (dict, list, float)) for v in values):
            continue
        texts = np.array(["unknown" if v is None else str(v) for v in values])
        kinds = sorted(set(texts.tolist()))
        if 1 < len(kinds) <= MOST_VALUES:
            for kind in kinds:
                yield name, kind, texts == kind


def object_slices(truth: GroundTruth) -> Iterator[tuple[str, str, np.ndarray]]:
    """``occluded`` and ``truncated`` with yes and no, where both occur; M bool each."""
    for name in OBJECT_FLAGS:
        flags = np.array([bool(attributes.get(name)) for attributes in truth.attributes], bool)
        if flags.any() and not flags.all():
            yield name, "yes", flags
            yield name, "no", ~flags
