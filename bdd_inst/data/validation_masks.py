"""The ``segmentation`` of a dataset dict in one of its two standard forms, whatever form it came in: flat polygons, or an RLE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats.usable import LEAST_SIDE, SHARES, are_shares
from bdd_inst.masks import coco_fill, run_lengths

Segmentation = list[list[float]] | dict


def checked_mask(
    value: object, where: str, size: tuple[int, int], problems: ProblemLog
) -> Segmentation | None:
    """Polygons or RLE of one object, None where it has no mask.

    Args:
        value: polygons (flat lists or arrays), an RLE with counts of any spelling, or a mask H,W (array, tensor, nested lists of 0 and 1).
        where: image and object, for messages.
        size: (height, width) of the image.
        problems: takes polygons that were left out; the rest of their object is kept.

    Raises:
        DataError: none of these, or of another size than the image.
    """
    if value is None:
        return None
    if isinstance(value, Mapping):
        return _run_lengths(value, where, size)
    if hasattr(value, "detach"):  # a tensor
        value = value.detach().cpu().numpy()
    if _is_mask(value, size):
        return _pixels(np.asarray(value), where, size)
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = [value]  # one polygon
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise DataError(
            f"{where}: segmentation is a {type(value).__name__}; it must be polygons, an RLE or a mask of height x width"
        )
    parts = [value] if len(value) and _shape(value[0]) == () else value
    # A polygon may come as pairs; of two pairs or fewer no polygon could be made either way.
    if len(value) >= 3 and all(_shape(part) == (2,) for part in value):
        parts = [np.ravel(value)]  # one polygon, as points
    out = [
        part
        for part in (_polygon(part, where, size, problems) for part in parts)
        if part is not None
    ]
    return out or None


def _shape(value: object) -> tuple[int, ...] | None:
    """The shape of numbers in lists, None where they are no array."""
    try:
        return np.shape(value)
    except ValueError:
        return None


class SharesError(DataError):
    """Coordinates that are shares of the image's sides."""


def refuse_shares(points: Sequence[float], where: str, size: tuple[int, int]) -> None:
    """DataError where all coordinates of a box's corners or a polygon lie from 0 to 1, in an image of (height, width) that is larger."""
    values = np.asarray(points, np.float64)
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if min(size) >= LEAST_SIDE and are_shares(low, high, bool((values % 1 == 0).all())):
        raise SharesError(f"{where}: its coordinates are {SHARES}")


def _is_mask(value: object, size: tuple[int, int]) -> bool:
    """Whether ``value`` holds pixels: a two-dimensional array of flags or small numbers or of the image's size, or lists of 0 and 1."""
    if isinstance(value, np.ndarray):
        return value.ndim >= 2 and (
            value.dtype.kind == "b"
            or value.dtype == np.uint8
            or value.shape == size
            or value.ndim > 2
        )
    # Nested lists could as well be polygons: only rows and columns of the image's size are taken for pixels.
    if not isinstance(value, (list, tuple)) or len(value) != size[0]:
        return False
    if isinstance(value[0], np.ndarray) and value[0].dtype.kind == "b":
        return True
    if not all(isinstance(row, (list, tuple, np.ndarray)) and len(row) == size[1] for row in value):
        return False
    try:
        return bool(np.isin(np.asarray(value), (0, 1)).all())
    except (TypeError, ValueError):
        return False


def _pixels(mask: np.ndarray, where: str, size: tuple[int, int]) -> dict | None:
    """A mask H,W (anything but zero is the object) as RLE; None for an empty one."""
    if mask.ndim == 3 and 1 in (mask.shape[0], mask.shape[2]):
        mask = mask[0] if mask.shape[0] == 1 else mask[..., 0]
    if mask.shape != size:
        shape = "x".join(map(str, mask.shape))
        raise DataError(
            f"{where}: a mask of {shape}, but the image is height x width {size[0]}x{size[1]}"
        )
    mask = mask != 0
    return run_lengths.encode(mask) if mask.any() else None


def _run_lengths(rle: Mapping, where: str, size: tuple[int, int]) -> dict:
    """An RLE, compressed, with str counts."""
    try:
        out = run_lengths.normalize(dict(rle), size)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{where}: not an RLE mask with size and counts ({error})") from None
    return out


def _polygon(
    part: object, where: str, size: tuple[int, int], problems: ProblemLog
) -> list[float] | None:
    """One polygon as a flat list of finite floats; None where it cannot be drawn, counted by reason."""
    if hasattr(part, "detach"):
        part = part.detach().cpu().numpy()
    try:
        points = np.asarray(part, np.float64).reshape(-1)
        coco_fill.check_polygon(points)
        refuse_shares(points, where, size)
    # Shares concern the whole file: dropping polygon by polygon would end with nothing left and no reason.
    except SharesError:
        raise
    except DataError as error:
        problems.add("bad-polygon", where, f"{error}; this part left out")
        return None
    except (TypeError, ValueError, OverflowError):
        problems.add("bad-polygon", where, "a polygon that is no list of numbers; left out")
        return None
    return points.tolist()
