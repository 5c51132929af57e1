"""RLEs from files and users proved sound before anything is computed from them: a size that an image can have, runs that cover it exactly.

Of a compressed string whose runs stop short of the image, or run past it, the usual tools make another mask without an error, or write
past the image's memory. The rules here are those of every reader, of training, and of evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.masks.rle_text import FAULTS, unpack

# A mask of more is refused: a broken or hostile size would ask for gigabytes.
MAX_PIXELS = 1 << 26
CHUNK = 512  # masks at a time: what a processor's cache holds


def rle_size(rle: Any) -> tuple[int, int]:
    """The (height, width) of an RLE.

    Raises:
        DataError: it has none, or one that no image has.
    """
    size = rle.get("size") if isinstance(rle, dict) else None
    if not isinstance(size, (list, tuple)) or len(size) != 2 or not all(map(_is_whole, size)):
        raise DataError(f"an RLE needs a size [height, width], not {str(size)[:40]}")
    height, width = int(size[0]), int(size[1])
    if height < 0 or width < 0 or height * width > MAX_PIXELS:
        raise DataError(f"an RLE of size {height}x{width} is of no image")
    return height, width


def _is_whole(value: Any) -> bool:
    """Whether this is a whole number; data frames write theirs as floats."""
    if type(value) is int:
        return True
    # In Python True is an int: ``[true, true]`` in a file would be an image of one pixel.
    if isinstance(value, (bool, np.bool_)):
        return False
    if isinstance(value, (float, np.floating)):
        return float(value).is_integer()
    return isinstance(value, (int, np.integer))


def check_counts(counts: Sequence[int] | np.ndarray, pixels: int) -> np.ndarray:
    """Uncompressed counts, R runs, as int64.

    Raises:
        DataError: they are not whole numbers >= 0 that add up to ``pixels``.
    """
    try:
        array = np.asarray(counts)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError("an RLE's counts must be a list of whole numbers") from error
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iuf"):
        raise DataError("an RLE's counts must be a list of whole numbers")
    if array.dtype.kind == "f" and not (
        np.isfinite(array).all() and (array == np.floor(array)).all()
    ):
        raise DataError("an RLE's counts must be a list of whole numbers")
    # Each run is bounded before they are added up: the sum cannot wrap round to the right number.
    if array.size and (array.min() < 0 or array.max() > pixels):
        raise DataError(
            f"an RLE has a run of {array.min() if array.min() < 0 else array.max()} in an image of {pixels} pixels"
        )
    array = array.astype(np.int64)
    if int(array.sum()) != pixels:
        raise DataError(uncovered(int(array.sum()), pixels))
    return array


def rle_faults(rles: Sequence[dict]) -> dict[int, str]:
    """What is wrong with compressed RLEs, by their place; empty where all are sound. Half a million take about a second.

    Args:
        rles: ``{"size": [height, width], "counts": str}``, sizes any two numbers, counts any text.

    Returns:
        Place of the RLE -> a sentence that begins with "an RLE".
    """
    out: dict[int, str] = {}
    for start in range(0, len(rles), CHUNK):
        part = rles[start : start + CHUNK]
        # In float64 the product of any two sizes is finite; in int64 it could wrap round to a small one.
        sizes = np.array([rle["size"] for rle in part], np.float64).reshape(-1, 2)
        pixels = sizes.prod(axis=1)
        odd = (sizes < 0).any(axis=1) | (pixels > MAX_PIXELS) | (sizes % 1 != 0).any(axis=1)
        counts, lengths, faults = unpack([rle["counts"] for rle in part])
        totals = _sums(counts, lengths)
        for i in np.flatnonzero(odd | (faults > 0) | (totals != pixels)).tolist():
            if odd[i]:
                out[start + i] = f"an RLE of size {sizes[i, 0]:g}x{sizes[i, 1]:g} is of no image"
            elif faults[i]:
                out[start + i] = f"an RLE's counts {FAULTS[faults[i]]}"
            else:
                out[start + i] = uncovered(int(totals[i]), int(pixels[i]))
    return out


def _sums(counts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """N int64: the sum of each stretch of ``counts``, ``lengths[i]`` numbers for i."""
    out = np.zeros(len(lengths), np.int64)
    some = lengths > 0
    if some.any():
        out[some] = np.add.reduceat(counts, (np.cumsum(lengths) - lengths)[some])
    return out


def uncovered(total: int, pixels: int) -> str:
    """What to say of an RLE whose runs add up to ``total`` in an image of ``pixels``."""
    return f"an RLE covers {total} pixels, but its image has {pixels}: its counts are damaged"
