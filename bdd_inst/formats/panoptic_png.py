"""PNGs that number the segments of an image: COCO's colors (``id = R + 256 G + 65536 B``), and BDD100K's panoptic bitmasks."""

from __future__ import annotations

import os

import numpy as np
from PIL import Image

from bdd_inst.base.errors import DataError
from bdd_inst.base.files import atomic_write
from bdd_inst.formats.bitmask import instance_numbers
from bdd_inst.images import png_kinds

MAX_ID = 256**3 - 1


def read_ids(path: str | os.PathLike) -> np.ndarray:
    """H,W uint32 segment ids, 0 where there is none; of a BDD100K bitmask its instance numbers.

    Args:
        path: of the PNG.

    Returns:
        H,W uint32.

    Raises:
        DataError: broken, or no color PNG.
    """
    _, _, depth, color = png_kinds.header(path)
    if color not in (png_kinds.RGB, png_kinds.RGBA) or depth != 8:
        raise DataError(
            f"{path}: segments are numbered by the colors of an 8-bit RGB PNG, this one is {png_kinds.COLORS[color]} of {depth} bits"
        )
    values = png_kinds.pixels(path)
    if color == png_kinds.RGBA and png_kinds.is_bitmask(values):
        return instance_numbers(values).astype(np.uint32)
    return values[..., :3].astype(np.uint32) @ np.array([1, 256, 65536], np.uint32)


def write_ids(path: str | os.PathLike, ids: np.ndarray) -> None:
    """Segment ids as COCO's colors, whole or not at all.

    Args:
        path: of the PNG.
        ids: H,W of any integer dtype, from 0 to 2**24 - 1.

    Raises:
        DataError: a larger id. OSError: a full disk and the like.
    """
    if ids.size and (int(ids.min()) < 0 or int(ids.max()) > MAX_ID):
        raise DataError(f"{path}: segment ids must be 0 to {MAX_ID}, there is {int(ids.max())}")
    # Little-endian: the first byte of a number is its R.
    bytes_ = np.ascontiguousarray(ids, dtype="<u4").view(np.uint8).reshape(*ids.shape, 4)
    with atomic_write(path, "wb") as stream:
        Image.fromarray(np.ascontiguousarray(bytes_[..., :3]), "RGB").save(stream, "PNG")
