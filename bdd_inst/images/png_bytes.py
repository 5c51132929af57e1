"""Small masks as PNGs in memory, as Supervisely and LabelMe carry them inside their JSON."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from bdd_inst.images.opening import open_image
from bdd_inst.images.png_kinds import parse_header


def decode_mask(png: bytes, where: str) -> np.ndarray:
    """H,W bool of a PNG: its alpha where it has one, else every value that is not 0.

    Args:
        png: a whole file.
        where: the label, for messages.

    Returns:
        H,W bool.

    Raises:
        DataError: no PNG, a broken one, or one of more pixels than any image.
    """
    parse_header(png, where)
    with open_image(io.BytesIO(png), formats=("PNG",), name=where) as image:
        values = np.asarray(image)
    if values.ndim == 3:
        values = values[..., -1] if values.shape[2] in (2, 4) else values.any(axis=2)
    return values != 0


def encode_mask(mask: np.ndarray) -> bytes:
    """H,W bool -> a PNG of one bit a pixel.

    Args:
        mask: H,W bool.

    Returns:
        A whole file.
    """
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(mask, dtype=bool)).save(stream, "PNG", optimize=False)
    return stream.getvalue()
