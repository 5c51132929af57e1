"""Images inside a page: as data URIs, so that the page is one file."""

from __future__ import annotations

import base64

import cv2
import numpy as np


def as_jpeg(image: np.ndarray, *, scale: float = 1.0, quality: int = 80) -> str:
    """An image as the data URI of a JPEG.

    Args:
        image: H,W,3 uint8 BGR.
        scale: below 1 it is made smaller by this factor.
        quality: of the JPEG, 0 to 100.

    Returns:
        ``data:image/jpeg;base64,...``.
    """
    if scale < 1:
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return _uri(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], "jpeg")


def as_png(image: np.ndarray) -> str:
    """An image H,W,3 uint8 BGR as the data URI of a PNG, pixel for pixel."""
    return _uri(cv2.imencode(".png", image)[1], "png")


def _uri(data: np.ndarray, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data.tobytes()).decode('ascii')}"
