"""Reads a picture as Detectron2 does: PIL's decoder, EXIF orientation applied, three channels; bad files named in one line."""

from __future__ import annotations

import contextlib
import os

import cv2
import numpy as np
import torch
from PIL import Image

from bdd_inst.base.errors import ConfigError
from bdd_inst.images.files import EXIF_ORIENTATION, readable

# EXIF 2.32, table 6 (orientation): what turns the stored picture upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_picture(path: str | os.PathLike) -> Image.Image:
    """The picture, upright, in mode RGB.

    Raises:
        DataError: missing, truncated, or no picture.
    """
    with readable(path), Image.open(path) as image:
        with contextlib.suppress(Exception):  # a damaged EXIF block says nothing about the pixels
            turn = UPRIGHT.get(image.getexif().get(EXIF_ORIENTATION))
            if turn is not None:
                return to_rgb(image.transpose(turn))
        image.load()
        return to_rgb(image)


def to_rgb(image: Image.Image) -> Image.Image:
    """Mode RGB; 16-bit grey keeps its upper byte, where PIL's own conversion would turn everything above 255 white."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.getextrema()[1] > 255):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def to_tensor(image: Image.Image | np.ndarray, channels: str) -> torch.Tensor:
    """An RGB picture as a contiguous uint8 tensor C,H,W in the order ``channels`` (``BGR`` or ``RGB``).

    Raises:
        ConfigError: another INPUT.FORMAT.
    """
    if channels not in ("BGR", "RGB"):
        raise ConfigError(f"INPUT.FORMAT {channels} is not supported; use BGR or RGB")
    # PIL keeps four bytes a pixel: as they are they come out in one copy, where "RGB" would be packed first.
    packed = isinstance(image, Image.Image) and image.mode == "RGB"
    array = (
        np.frombuffer(image.tobytes("raw", "RGBX"), np.uint8).reshape(image.height, image.width, 4)
        if packed
        else np.asarray(image)
    )
    out = np.empty((3, *array.shape[:2]), np.uint8)
    order = (2, 1, 0) if channels == "BGR" else (0, 1, 2)
    cv2.mixChannels([array], list(out), [index for pair in zip(order, range(3)) for index in pair])
    return torch.from_numpy(out)
