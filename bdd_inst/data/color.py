"""Color jitter: brightness, contrast, saturation and hue of an image, each by a factor drawn around 1; and blur."""

from __future__ import annotations

import cv2
import numpy as np

GRAY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601 luma, as PIL's mode L


def jitter(
    image: np.ndarray,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """A copy of an RGB image (H,W,3 uint8) with jittered colors.

    Args:
        brightness, contrast, saturation: ``s`` draws a factor from 1 - s to 1 + s.
        hue: turns the color circle by up to this share of a whole turn either way.
    """
    # Every factor is drawn, that of a strength of 0 too: switching one off leaves the other draws as they are.
    washes, turns = bool(saturation), bool(hue)
    brightness, contrast, saturation = (
        rng.uniform(1 - s, 1 + s) for s in (brightness, contrast, saturation)
    )
    turn = rng.uniform(-hue, hue)
    # Contrast turns about the mean gray of the brightened image, so it leaves its brightness alone.
    mean = float((cv2.mean(image)[:3] * GRAY).sum()) * brightness
    # Brightness and contrast act on each value alone: one table of 256 entries does both.
    table = (np.arange(256) * brightness - mean) * contrast + mean
    out = cv2.LUT(image, np.clip(np.round(table), 0, 255).astype(np.uint8))
    if washes:
        gray = cv2.cvtColor(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        out = cv2.addWeighted(out, saturation, gray, 1 - saturation, 0)
    if turns:
        # FULL has 256 steps of hue a turn; without it OpenCV has 180, and uint8 would not wrap where the circle does.
        hsv = cv2.cvtColor(out, cv2.COLOR_RGB2HSV_FULL)
        hsv[..., 0] += np.uint8(round(turn * 256) % 256)  # uint8 wraps as the circle does
        out = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)
    return out


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """A copy of an RGB image (H,W,3 uint8) out of focus, by a Gaussian of ``sigma`` pixels."""
    # OpenCV takes the kernel's side from sigma.
    return cv2.GaussianBlur(image, (0, 0), sigma)
