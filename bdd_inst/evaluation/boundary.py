"""Boundary AP: AP with IoU replaced by the smaller of mask IoU and Boundary IoU, which sees how well outlines are cut.

Source: Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation", CVPR 2021. The boundary of a mask is its
pixels within d of its edge, d being 2 % of the image's diagonal; the image's border counts as an edge.
"""

from __future__ import annotations

import cv2
import numpy as np

from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.matching import Pairs
from bdd_inst.evaluation.results import Results
from bdd_inst.masks import run_lengths

RATIO = 0.02


def boundary(mask: np.ndarray, distance: int) -> np.ndarray:
    """H,W bool -> its pixels within ``distance`` (chessboard) of a pixel outside the mask, or outside the image."""
    # A ring of nothing around the image: its border then erodes as any edge.
    padded = np.pad(mask.astype(np.uint8), 1)
    # The authors' code erodes by this square d times, which is a chessboard distance of d.
    kernel = np.ones((3, 3), np.uint8)
    inner = cv2.erode(
        padded, kernel, iterations=distance, borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    return mask & ~inner[1:-1, 1:-1].astype(bool)


def width_of(height: int, width: int, ratio: float = RATIO) -> int:
    """The boundary's width in pixels, at least 1."""
    return max(1, round(ratio * float(np.hypot(height, width))))


class Boundaries:
    """Boundaries of one side's masks as crops, computed when first asked for and kept while one image is looked at."""

    def __init__(self, rles: list[dict]):
        self.rles, self.kept, self.image = rles, {}, -1

    def get(self, n: int, image: int) -> tuple[np.ndarray, int, int]:
        """The boundary of mask n as a crop h,w bool, with the crop's x and y."""
        # Pairs come image by image: boundaries of the last one are not asked for again.
        if image != self.image:
            self.kept, self.image = {}, image
        if n not in self.kept:
            self.kept[n] = self.make(self.rles[n])
        return self.kept[n]

    def make(self, rle: dict) -> tuple[np.ndarray, int, int]:
        """Cut the mask's box out, h,w bool, and find its boundary there; outside the box is outside the mask, so nothing is lost."""
        x1, y1, x2, y2 = (int(v) for v in run_lengths.to_bbox(rle))
        crop = np.ascontiguousarray(run_lengths.decode(rle)[y1:y2, x1:x2])
        # By the whole image's diagonal, whatever the object's size.
        return boundary(crop, width_of(*rle["size"])) if crop.size else crop, x1, y1


def boundary_pairs(truth: GroundTruth, results: Results, pairs: Pairs, least: float = 0.5) -> Pairs:
    """The pairs of one class with their IoU replaced by min(mask IoU, Boundary IoU).

    Pairs under ``least`` stay as they are: the minimum cannot lift them, and nothing is matched there. So do crowds.
    """
    same = results.category[pairs.found] == truth.category[pairs.object]
    crowd = (truth.crowd | truth.ignored)[pairs.object]
    iou = pairs.iou.copy()
    objects = Boundaries(
        [
            truth.masks[n] if isinstance(truth.masks[n], dict) else truth.rle(n)
            for n in range(len(truth))
        ]
    )
    found = Boundaries(results.masks)
    for n in np.flatnonzero(same & ~crowd & (pairs.iou >= least)).tolist():
        image = int(results.image[pairs.found[n]])
        a, b = found.get(int(pairs.found[n]), image), objects.get(int(pairs.object[n]), image)
        shared = intersection(a, b)
        union = int(a[0].sum()) + int(b[0].sum()) - shared
        iou[n] = min(iou[n], shared / union if union else 0.0)
    return Pairs(pairs.found, pairs.object, iou)


def intersection(a: tuple[np.ndarray, int, int], b: tuple[np.ndarray, int, int]) -> int:
    """Pixels that two crops h,w bool share, each with its x and y in the image."""
    (first, ax, ay), (second, bx, by) = a, b
    x1, y1 = max(ax, bx), max(ay, by)
    x2 = min(ax + first.shape[1], bx + second.shape[1])
    y2 = min(ay + first.shape[0], by + second.shape[0])
    if x1 >= x2 or y1 >= y2:
        return 0
    return int(
        (
            first[y1 - ay : y2 - ay, x1 - ax : x2 - ax]
            & second[y1 - by : y2 - by, x1 - bx : x2 - bx]
        ).sum()
    )
