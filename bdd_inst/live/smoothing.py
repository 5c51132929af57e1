"""A steady mask from frame to frame: the last one carried along by optical flow, and the new one mixed in."""

from __future__ import annotations

import cv2
import numpy as np

from bdd_inst.live.pyramid import Pyramid

FLOW_LONG_SIDE = 192  # pixels of the images between which motion is found
NEW = 0.15  # share of the new mask where something moves and the motion explains the image
STILL = 0.04  # share of the new mask where nothing moves at all
SURER = 0.4  # share of the rest that also goes to the new mask where it is certain and the carried one is not
MOVED = 8.0  # gray values (0..255) by which a place of the image has changed that does not count as still
# Gray values (0..255): where the carried image is off by this much, the new mask counts alone. Twice as much costs
# exact masks of fast dancers 1 to 3 points of IoU, no limit 22 to 24; 0.2 to 0.7 points at 11.
MISFIT = 11.0
# Mean misfit of the whole image that means another scene: 4 to 11 in a fast pan, 35 to 117 between unrelated photographs.
CUT = 20.0


class MaskSmoother:
    """Calms masks of consecutive frames. Where the motion found does not explain the image, the new mask counts alone,
    so nothing trails behind what moves.

    >>> smoother = MaskSmoother()
    >>> steady = [smoother(mask, frame) for mask, frame in zip(masks, frames)]
    """

    def __init__(self, new: float = NEW, still: float = STILL):
        """Shares of the new mask, in 0..1, where things move and where they do not; 1 smooths nothing."""
        self.new, self.still = new, still
        preset = cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST
        self._flow = cv2.DISOpticalFlow_create(preset)
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next mask is taken as it is."""
        self._gray: np.ndarray | None = None
        self._mask: np.ndarray | None = None
        self._seen = 0  # masks since then

    def __call__(self, mask: np.ndarray, image: np.ndarray | Pyramid) -> np.ndarray:
        """The steadied mask.

        Args:
            mask: h,w float32 in 0..1, any size; a size unlike the last one starts anew.
            image: H,W,3 uint8 BGR, the frame that it belongs to.

        Returns:
            h,w float32 in 0..1.
        """
        gray = self._small(Pyramid.of(image))
        known = self._mask is not None
        if known and self._mask.shape == mask.shape and self._gray.shape == gray.shape:
            mask = self._mix(mask, gray)
        else:
            self._seen = 0
        self._gray, self._mask, self._seen = gray, mask, self._seen + 1
        return mask

    @staticmethod
    def _small(frame: Pyramid) -> np.ndarray:
        height, width = frame.image.shape[:2]
        factor = FLOW_LONG_SIDE / max(height, width)
        # DIS needs some twenty pixels each way; narrower images are stretched.
        size = max(32, round(height * factor)), max(32, round(width * factor))
        return cv2.cvtColor(frame.at(size), cv2.COLOR_BGR2GRAY)

    def _mix(self, mask: np.ndarray, gray: np.ndarray) -> np.ndarray:
        flow = self._flow.calc(gray, self._gray, None)  # from this frame back to the last one
        height, width = gray.shape
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        at = np.dstack([x, y]) + flow
        carried_gray = cv2.remap(
            self._gray, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        off, changed = _difference(gray, carried_gray), _difference(gray, self._gray)
        if off.mean() > CUT:
            self._seen = 0
            return mask
        h, w = mask.shape
        scale = np.float32([w / width, h / height])
        at = cv2.resize(at, (w, h), interpolation=cv2.INTER_LINEAR) * scale
        carried = cv2.remap(self._mask, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        share = self.still + (self.new - self.still) * np.minimum(
            changed * np.float32(1 / MOVED), 1
        )
        # The first masks all count alike: a bad first one would stay for seconds otherwise.
        share = np.maximum(share, np.float32(1 / (self._seen + 1)))
        # Squared: a small misfit is noise, a large one leaves nothing of the carried mask.
        share += (1 - share) * np.minimum(off * np.float32(1 / MISFIT), 1) ** 2
        share = cv2.resize(share, (w, h), interpolation=cv2.INTER_LINEAR)
        surer = np.maximum(np.abs(mask - np.float32(0.5)) - np.abs(carried - np.float32(0.5)), 0)
        share += (1 - share) * surer * np.float32(2 * SURER)
        return carried + share * (mask - carried)


def _difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Mean absolute difference around each pixel, float32: sensor noise averages out."""
    return cv2.boxFilter(cv2.absdiff(one, other), cv2.CV_32F, (5, 5))
