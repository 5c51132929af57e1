"""Made-up ground truth and detections that visit the protocols' corners: crowds, ties, crowded and empty images, sizes at the limits."""

from __future__ import annotations

import numpy as np

from bdd_inst.evaluation.ground_truth import GroundTruth, GroundTruthBuilder
from bdd_inst.evaluation.results import Results, ResultsBuilder
from bdd_inst.masks import run_lengths

SIDE = 120
# Squares whose areas lie on and beside COCO's limits 32^2 and 96^2.
SIDES = (1, 2, 5, 9, 16, 31, 32, 33, 50, 95, 96, 97)


def random_case(
    seed: int, *, images: int = 6, classes: int = 3, detections: int = 12, crowds: bool = True
) -> tuple[GroundTruth, Results]:
    """A small data set and detections that copy, shift, confuse and invent objects; scores are coarse, so ties abound."""
    rng = np.random.default_rng(seed)
    builder = GroundTruthBuilder(
        [f"class {k}" for k in range(classes)], [k + 1 for k in range(classes)], "made up"
    )
    found = ResultsBuilder()
    for i in range(images):
        builder.image(i + 1, f"{i}.png", SIDE, SIDE)
        objects = [random_box(rng) for _ in range(rng.integers(0, 6))]
        for box in objects:
            mask = blob(box, rng)
            crowd = bool(crowds and rng.random() < 0.2)
            builder.add(
                int(rng.integers(classes)),
                box=box,
                mask=mask,
                area=None,
                crowd=crowd,
                ignored=False,
                attributes={},
            )
        number = int(rng.integers(0, detections + 1))
        copies = [bool(objects) and rng.random() < 0.7 for _ in range(number)]
        boxes = [
            shifted(objects[rng.integers(len(objects))], rng) if copied else random_box(rng)
            for copied in copies
        ]
        scores = rng.integers(0, 8, number) / 8
        masks = [blob(box, rng) for box in boxes]
        found.add(
            i,
            rng.integers(0, classes, number),
            scores,
            np.asarray(boxes, float).reshape(-1, 4),
            masks,
        )
    return builder.build(), found.build()


def random_box(rng: np.random.Generator) -> list[float]:
    """x, y, w, h inside the image, with sides that meet the area limits often."""
    w, h = rng.choice(SIDES, 2) if rng.random() < 0.5 else [rng.choice(SIDES)] * 2
    return [
        float(rng.integers(0, SIDE - w + 1)),
        float(rng.integers(0, SIDE - h + 1)),
        float(w),
        float(h),
    ]


def shifted(box: list[float], rng: np.random.Generator) -> list[float]:
    """The box moved and stretched a little (or not at all), kept inside the image."""
    if rng.random() < 0.3:
        return list(box)
    x, y, w, h = np.asarray(box) + rng.integers(-3, 4, 4)
    w, h = min(max(w, 1.0), SIDE), min(max(h, 1.0), SIDE)
    return [float(min(max(x, 0), SIDE - w)), float(min(max(y, 0), SIDE - h)), float(w), float(h)]


def blob(box: list[float], rng: np.random.Generator) -> dict:
    """A mask inside the box: the box itself, or the box with a corner cut off."""
    x, y, w, h = (int(v) for v in box)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[y : y + h, x : x + w] = True
    if rng.random() < 0.5 and w > 2 and h > 2:
        mask[y : y + h // 3, x : x + w // 3] = False
    return run_lengths.encode(mask)
