"""An augmentation of one's own: now and then an image without color.

bdd-inst train --import examples/extending/gray.py --config demo.yaml INPUT.AUGMENTATIONS "['resize', 'flip', 'gray']"
"""

import numpy as np

from bdd_inst.data.augmentations import AUGMENTATIONS, Augmentation


class Gray(Augmentation):
    """``recolor`` changes pixels; a step that moves them overrides ``transforms``, and boxes and masks move along."""

    def __init__(self, prob: float):
        self.prob = prob

    def recolor(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """H,W,3 uint8 RGB; whatever is drawn from ``rng`` is the same in every repetition of the run."""
        if rng.random() >= self.prob:
            return image
        gray = image @ np.array([0.299, 0.587, 0.114])
        return np.repeat(gray.round().astype(np.uint8)[:, :, None], 3, axis=2)


# The one line: from a cfg to the step (None would switch it off).
AUGMENTATIONS["gray"] = lambda cfg: Gray(prob=0.2)
