"""The BDD100K instance segmentation protocol: bitmasks without overlaps, as the official evaluation defines it, its faults mended.

Source: the official toolkit's ``eval/ins_seg.py`` and ``common/bitmask.py`` (2024-03). Per image and class, detections in order of
score each take the ground truth object of largest IoU that is left, if that IoU reaches the threshold - even an ignored one, where
COCO would prefer one that counts. IoU comes from index maps, so a pixel belongs to one object only. Twelve figures are accumulated as
in COCO. Mended, and listed in ``MENDED``: see there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bdd_inst.evaluation.accumulate import RECALLS, accumulate
from bdd_inst.evaluation.coco import CocoScores
from bdd_inst.evaluation.ground_truth import GroundTruth, to_rle
from bdd_inst.evaluation.results import Results, group
from bdd_inst.masks import label_runs, run_lengths

MENDED = (
    "overlapping predictions: the higher score keeps the pixel, among equals the later one (the official RLE evaluation drops every "
    "prediction of such an image)",
    "more than 100 objects in an image are all scored (the official evaluation drops those beyond 100, then stops with IndexError)",
    "crowd objects are ignored, as the documentation says (the official code counts them as objects, and lets many detections match one)",
    "instances 255 and 256 of an image are kept (the official bitmask writer loses them)",
    "images without predictions count as missed (the official code stops with an assertion)",
)
THRESHOLDS = np.linspace(0.5, 0.95, 10)
AREAS = np.array([[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]])
LIMITS = (1, 10, 100)


@dataclass
class ImageMaps:
    """What matching needs of one image: G objects, D detections (best score first), their IoU and areas after overlaps are resolved."""

    ious: np.ndarray  # D,G
    truth_class: np.ndarray
    truth_area: np.ndarray
    ignored: np.ndarray  # G bool
    many: np.ndarray  # G bool: may be matched by any number of detections
    found_class: np.ndarray
    found_area: np.ndarray
    scores: np.ndarray


def evaluate(truth: GroundTruth, results: Results, *, official_crowds: bool = False) -> CocoScores:
    """Score masks by the bitmask protocol.

    Args:
        official_crowds: count crowd objects as the official code does (as objects that many detections may match) instead of
            ignoring them.
    """
    images = [
        image_maps(truth, results, image=i, own=own, found=found, official_crowds=official_crowds)
        for i, own, found in by_image(truth, results)
    ]
    classes = len(truth.class_names)
    precision = np.full((len(THRESHOLDS), len(RECALLS), classes, len(AREAS), len(LIMITS)), -1.0)
    recall = np.full((len(THRESHOLDS), classes, len(AREAS), len(LIMITS)), -1.0)
    scores = np.full_like(precision, -1.0)
    for k in range(classes):
        for a, limits in enumerate(AREAS):
            matched = [
                match(p, k, limits)
                for p in images
                if (p.truth_class == k).any() or (p.found_class == k).any()
            ]
            for m, most in enumerate(LIMITS):
                found = summed(matched, most)
                if found is not None:
                    precision[:, :, k, a, m], recall[:, k, a, m], scores[:, :, k, a, m] = found
    return CocoScores(
        precision,
        recall=recall,
        scores=scores,
        class_names=list(truth.class_names),
        max_detections=LIMITS,
    )


def without_overlaps(truth: GroundTruth, results: Results) -> tuple[Results, int]:
    """The detections with overlaps resolved by score (those painted over wholly are gone), and the number of images it changed."""
    masks, changed = list(results.masks), 0
    for _, _, found in by_image(truth, results):
        before = [masks[n] for n in found]
        after = label_runs.resolve_overlaps(before, results.scores[found].tolist())
        changed += any(a["counts"] != b["counts"] for a, b in zip(before, after, strict=True))
        for n, mask in zip(found, after, strict=True):
            masks[n] = mask
    kept = np.array([run_lengths.area(mask) > 0 for mask in masks], bool)
    return replace(results, masks=masks).take(kept), changed


def by_image(truth: GroundTruth, results: Results):
    """Yields (image, positions of its objects, positions of its detections) for every image of the ground truth."""
    owned, found = (
        group(truth.image, len(truth.image_ids)),
        group(results.image, len(truth.image_ids)),
    )
    yield from zip(range(len(truth.image_ids)), owned, found, strict=True)


def image_maps(
    truth: GroundTruth,
    results: Results,
    image: int,
    own: np.ndarray,
    found: np.ndarray,
    official_crowds: bool,
) -> ImageMaps:
    """Paint objects and detections of one image into two index maps and measure every pair.

    Args:
        truth, results: of all images.
        image: the image's position.
        own, found: G and D int64, positions of its objects and detections.
        official_crowds: as :func:`evaluate` has it.
    """
    own = np.array([n for n in own if truth.masks[n] is not None], np.int64)
    # Best score first, for that is the order in which they choose; equals stay as in the file.
    found = found[np.argsort(-results.scores[found], kind="stable")]
    height, width = image_size(truth, results, image=image, own=own, found=found)
    g, d = len(own), len(found)
    truth_map = label_runs.paint(
        [to_rle(truth.masks[n], height, width) for n in own],
        range(1, g + 1),
        height=height,
        width=width,
        dtype=np.int64,
    )
    # Painted from the lowest score up: the last to be painted keeps a pixel.
    layers = sorted(range(d), key=lambda n: (results.scores[found[n]], found[n]))
    found_map = label_runs.paint(
        [results.masks[found[n]] for n in layers],
        [n + 1 for n in layers],
        height=height,
        width=width,
        dtype=np.int64,
    )
    # Every pair's shared pixels from one pass over the image, where mask by mask would be D x G passes.
    table = np.bincount(
        (found_map * (g + 1) + truth_map).ravel(), minlength=(d + 1) * (g + 1)
    ).reshape(d + 1, g + 1)
    truth_area, found_area = table.sum(axis=0)[1:], table.sum(axis=1)[1:]
    shared = table[1:, 1:]
    union = found_area[:, None] + truth_area[None] - shared
    ious = np.divide(shared, union, out=np.zeros((d, g)), where=union > 0)
    # An object or detection without a pixel left is not in the bitmask.
    there, kept = truth_area > 0, found_area > 0
    crowd, ignored = truth.crowd[own][there], truth.ignored[own][there]
    return ImageMaps(
        ious=ious[kept][:, there],
        truth_class=truth.category[own][there],
        truth_area=truth_area[there],
        ignored=ignored if official_crowds else ignored | crowd,
        many=crowd,
        found_class=results.category[found][kept],
        found_area=found_area[kept],
        scores=results.scores[found][kept],
    )


def image_size(
    truth: GroundTruth, results: Results, image: int, own: np.ndarray, found: np.ndarray
) -> tuple[int, int]:
    """The image's (height, width), from the masks of its objects and detections where the file does not say.

    Args:
        truth, results: of all images.
        image: the image's position.
        own, found: G and D int64, positions of its objects and detections.
    """
    height, width = (int(v) for v in truth.sizes[image])
    if height and width:
        return height, width
    masks = [truth.masks[n] for n in own if isinstance(truth.masks[n], dict)] + [
        results.masks[n] for n in found
    ]
    return tuple(masks[0]["size"]) if masks else (1, 1)


def match(
    image: ImageMaps, category: int, limits: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Match one class of one image within an area range.

    Returns:
        scores d, matched T,d bool, ignored T,d bool, and the number of objects to find.
    """
    rows, columns = image.found_class == category, image.truth_class == category
    ious = image.ious[rows][:, columns]
    area, found_area = image.truth_area[columns], image.found_area[rows]
    ignored = image.ignored[columns] | (area < limits[0]) | (area > limits[1])
    many = image.many[columns]
    d, g = ious.shape
    matched, excused = np.zeros((len(THRESHOLDS), d), bool), np.zeros((len(THRESHOLDS), d), bool)
    for t, threshold in enumerate(THRESHOLDS):
        if not g:
            break
        left = ious.copy()
        # The others cannot match: a threshold of 0.5 and more leaves few.
        for n in np.flatnonzero((ious >= threshold).any(axis=1)).tolist():
            best = int(left[n].argmax())
            if left[n, best] < threshold:
                continue
            matched[t, n], excused[t, n] = True, ignored[best]
            # A matched object is out of reach for the detections that follow: their overlap with it becomes 0.
            if not many[best]:
                left[:, best] = 0
    # As in COCO: an unmatched detection of another size is not held against this range.
    outside = (found_area < limits[0]) | (found_area > limits[1])
    return image.scores[rows], matched, excused | (~matched & outside), int((~ignored).sum())


def summed(matched: list[tuple], most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """One class, area range and limit over all images: precision T,R, recall T, scores T,R, all float64; None where
    nothing is to be found."""
    wanted = sum(m[3] for m in matched)
    if not wanted:
        return None
    # The limit holds for each image and class, whose detections come best first.
    scores = np.concatenate([m[0][:most] for m in matched])
    hit = np.concatenate([m[1][:, :most] for m in matched], axis=1)
    out = np.concatenate([m[2][:, :most] for m in matched], axis=1)
    return accumulate(scores, hit, out, wanted)
