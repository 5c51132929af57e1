"""Colour jitter: brightness, contrast, saturation and hue of a picture, each by a factor drawn around 1; and blur."""

from __future__ import annotations

import cv2
import numpy as np
from fvcore.common.config import CfgNode

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601 luma, as PIL's mode L


def jitter(image: np.ndarray, spec: CfgNode, rng: np.random.Generator) -> np.ndarray:
    """A copy of an RGB picture (H,W,3 uint8) with jittered colours.

    ``spec`` is INPUT.COLOR_JITTER: BRIGHTNESS, CONTRAST and SATURATION ``s`` draw a factor from 1 - s to 1 + s; HUE ``s`` turns the colour
    circle by up to ``s`` of a whole turn either way.
    """
    brightness, contrast, saturation = (
        rng.uniform(1 - s, 1 + s) for s in (spec.BRIGHTNESS, spec.CONTRAST, spec.SATURATION)
    )
    turn = rng.uniform(-spec.HUE, spec.HUE)
    mean = float((cv2.mean(image)[:3] * GREY).sum()) * brightness
    # Brightness and contrast act on each value alone: one table of 256 entries does both.
    table = (np.arange(256) * brightness - mean) * contrast + mean
    out = cv2.LUT(image, np.clip(np.round(table), 0, 255).astype(np.uint8))
    if spec.SATURATION:
        grey = cv2.cvtColor(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        out = cv2.addWeighted(out, saturation, grey, 1 - saturation, 0)
    if spec.HUE:
        hsv = cv2.cvtColor(out, cv2.COLOR_RGB2HSV_FULL)
        hsv[..., 0] += np.uint8(round(turn * 256) % 256)  # uint8 wraps as the circle does
        out = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)
    return out


def blur(image: np.ndarray, spec: CfgNode, rng: np.random.Generator) -> np.ndarray:
    """With probability PROB a copy of an RGB picture (H,W,3 uint8) out of focus: a Gaussian of SIGMA (range) pixels (INPUT.BLUR)."""
    if rng.random() >= spec.PROB:
        return image
    return cv2.GaussianBlur(image, (0, 0), float(rng.uniform(*spec.SIGMA)))
