"""How steady masks of a video are: what changes where nothing moved, and how far they trail behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from bdd_inst.live.pyramid import Pyramid, fitting_size

LONG_SIDE = 428  # pixels of the images and masks that are compared
STILL = 4.0  # gray values (0..255), mean over 5x5 pixels: what changed less is still


@dataclass(frozen=True)
class Steadiness:
    """Figures of one video, in 0..1.

    Attributes:
        flicker: pixels that changed sides although image and truth stayed as they were, a frame, as a share of the
            person's area.
        iou: mean over frames of the IoU with the truth; NaN without truth.
        lag: mean IoU with the truth of the frame before minus that with the present one: the nearer to 0 from below, or
            above it, the more the masks trail; NaN without truth. Compare it with that of unsmoothed masks.
    """

    flicker: float
    iou: float
    lag: float


def measure(
    masks: Sequence[np.ndarray],
    images: Sequence[np.ndarray],
    truth: Sequence[np.ndarray] | None = None,
) -> Steadiness:
    """Compare consecutive frames.

    Args:
        masks: h,w float32 in 0..1 each, of any size; above 0.5 is the person.
        images: H,W,3 uint8 each.
        truth: H,W bool each. Without it every still pixel counts, and the person's area is that of the masks.

    Returns:
        Flicker, IoU and lag of the video.
    """
    size = fitting_size(*images[0].shape[:2], LONG_SIDE)
    found = [cv2.resize(mask, size[::-1], interpolation=cv2.INTER_LINEAR) > 0.5 for mask in masks]
    grays = [cv2.cvtColor(Pyramid(p).at(size), cv2.COLOR_BGR2GRAY) for p in images]
    right = [
        cv2.resize(t.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA) > 0.5
        for t in truth or ()
    ]
    area = np.mean([mask.sum() for mask in right or found])
    changes, late = [], []
    for step in range(1, len(found)):
        still = cv2.boxFilter(cv2.absdiff(*grays[step - 1 : step + 1]), cv2.CV_32F, (5, 5)) < STILL
        if right:
            still &= right[step] == right[step - 1]
            late.append(_iou(found[step], right[step - 1]) - _iou(found[step], right[step]))
        changes.append(((found[step] != found[step - 1]) & still).sum())
    return Steadiness(
        flicker=float(np.mean(changes) / max(area, 1)) if changes else 0.0,
        iou=float(np.mean([_iou(*pair) for pair in zip(found, right, strict=True)]))
        if right
        else np.nan,
        lag=float(np.mean(late)) if late else np.nan,
    )


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    union = (one | other).sum()
    return float((one & other).sum() / union) if union else 1.0
