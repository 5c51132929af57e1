"""Reads an image as Detectron2 does: PIL's decoder, EXIF orientation applied, three channels of 8 bits; bad files named in one line."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from typing import IO

import cv2
import numpy as np
import torch
from PIL import Image, ImageCms

from bdd_inst.base.errors import printable
from bdd_inst.images.opening import open_image, open_image_file
from bdd_inst.images.size import orientation

# EXIF 2.32, table 6 (orientation): what turns the stored image upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
DEPTHS = (8, 10, 12, 14, 16)  # bits a channel that cameras and scanners write
# Where the tensor's channels come from in R, G, B, by INPUT.FORMAT.
CHANNEL_ORDER = {"BGR": (2, 1, 0), "RGB": (0, 1, 2)}

log = logging.getLogger(__name__)


def read_image(source: str | os.PathLike | IO[bytes]) -> Image.Image:
    """The image, upright, in mode RGB; of an animated one the first frame.

    Args:
        source: a path, or an open stream of bytes.

    Returns:
        A PIL image, H x W as it is shown.

    Raises:
        DataError: missing, truncated, or no image.
    """
    with open_image(source) as image:
        deep = any(";16" in str(tile[-1]) for tile in getattr(image, "tile", ()))
        image.load()
        turn = orientation(image)
        if image.mode == "RGB" and deep:
            image = _deep_rgb(source, image)
        return upright(image, source, turn)


def upright(
    image: Image.Image, name: str | os.PathLike | IO[bytes] = "image", turn: int | None = None
) -> Image.Image:
    """An open image turned as its EXIF says, in mode RGB.

    Args:
        image: of any mode.
        name: what the log calls it.
        turn: its EXIF orientation, 1 to 8, where that is known; None: it is asked.

    Returns:
        H x W as it is shown.
    """
    turn = orientation(image) if turn is None else turn
    return to_rgb(image.transpose(UPRIGHT[turn]) if turn in UPRIGHT else image, name)


def read_bgr(source: str | os.PathLike | IO[bytes]) -> np.ndarray:
    """:func:`read_image` as a contiguous array H,W,3 uint8 in OpenCV's order, BGR.

    Args:
        source: a path, or an open stream of bytes.

    Returns:
        H,W,3 uint8, BGR.

    Raises:
        DataError: missing, truncated, or no image.
    """
    return np.ascontiguousarray(np.asarray(read_image(source))[:, :, ::-1])


def to_rgb(image: Image.Image, name: str | os.PathLike | IO[bytes] = "image") -> Image.Image:
    """Mode RGB, 8 bits a channel, as PIL converts it; what PIL would clip or cannot convert is scaled by its own range, logged once.

    PIL turns every 16-bit value above 255 white and every fraction black.

    Args:
        image: of any mode, its pixels loaded or not.
        name: what the log calls it.

    Returns:
        The same image in mode RGB.
    """
    if image.mode.startswith("I") or image.mode == "F":
        gray = scale(np.asarray(image), name)
        return Image.fromarray(gray).convert("RGB")
    if image.mode == "LAB":
        return _from_lab(image)
    return image.convert("RGB")


def scale(values: np.ndarray, name: str | os.PathLike | IO[bytes] = "image") -> np.ndarray:
    """Numbers of any range as uint8 of the same shape.

    Whole numbers from 0 to 65535: the fewest of 8, 10, 12, 14, 16 bits that hold the largest one become 8 bits, so that images of one
    camera keep their brightness to each other. Fractions from 0 to 1 become 0 to 255. Others are stretched from their least to their
    largest. What is no number (NaN, inf) becomes 0.
    """
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, np.uint8)
    low, high = float(values[finite].min()), float(values[finite].max())
    start = 0.0
    if low >= 0 and high <= 1 and values.dtype.kind == "f":
        full, what = 1.0, "fractions from 0 to 1"
    elif low >= 0 and high < 65536:
        bits = next(bits for bits in DEPTHS if high < 2**bits)
        full, what = float(2**bits - 1), f"{bits}-bit values"
    else:
        start, full, what = low, (high - low) or 1.0, f"values from {low:g} to {high:g}"
    if full != 255.0 or start:
        _log_scaled(what, name if isinstance(name, (str, os.PathLike)) else "image")
    if what == "16-bit values" and values.dtype.kind in "ui":
        return (values >> 8).astype(np.uint8)  # the upper byte, as other readers have it
    scaled = (np.where(finite, values, start).astype(np.float64) - start) * (255.0 / full)
    return np.rint(scaled.clip(0, 255)).astype(np.uint8)


_said: set[str] = set()


def _log_scaled(what: str, name: str | os.PathLike) -> None:
    """One line for each kind of values, not one for each image and epoch."""
    kind = "values" if what.startswith("values") else what
    if kind not in _said:
        _said.add(kind)
        log.warning("%s: %s, scaled to 0..255 (so are others like it)", printable(name), what)


def _deep_rgb(source: str | os.PathLike | IO[bytes], image: Image.Image) -> Image.Image:
    """A color image of 16 bits a channel: PIL keeps the upper byte, which is dark where a camera used 10, 12 or 14 of them."""
    if max(high for _, high in image.getextrema()) >= 64 or not isinstance(
        source, (str, os.PathLike)
    ):
        return image
    with open_image_file(source) as stream:
        data = np.frombuffer(stream.read(), np.uint8)
    whole = cv2.imdecode(data, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if whole is None or whole.dtype != np.uint16 or whole.ndim != 3:
        return image
    return Image.fromarray(np.ascontiguousarray(scale(whole, source)[:, :, 2::-1]))


@functools.cache
def _lab_transform() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
    )


def _from_lab(image: Image.Image) -> Image.Image:
    """CIELAB to sRGB; the lightness alone where this PIL has no color management."""
    with contextlib.suppress(Exception):
        return ImageCms.applyTransform(image, _lab_transform())
    return image.getchannel("L").convert("RGB")


def to_tensor(image: Image.Image | np.ndarray, channels: str) -> torch.Tensor:
    """An RGB image as a contiguous uint8 tensor C,H,W in the order ``channels`` (``BGR`` or ``RGB``).

    Args:
        image: H x W, RGB: PIL's, or an array H,W,3 uint8.
        channels: ``BGR`` or ``RGB``.

    Returns:
        3,H,W uint8 on the CPU.
    """
    # PIL keeps four bytes a pixel: as they are they come out in one copy, where "RGB" would be packed first.
    packed = isinstance(image, Image.Image) and image.mode == "RGB"
    array = (
        np.frombuffer(image.tobytes("raw", "RGBX"), np.uint8).reshape(image.height, image.width, 4)
        if packed
        else np.asarray(image)
    )
    out = np.empty((3, *array.shape[:2]), np.uint8)
    order = CHANNEL_ORDER[channels]
    cv2.mixChannels([array], list(out), [index for pair in zip(order, range(3)) for index in pair])
    return torch.from_numpy(out)
