"""The masks of COCO results files: proved sound, or not scored at all, while boxes are.

Sizes are (height, width), int64, 0, 0 where unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.formats.coco_segmentation import as_parts
from bdd_inst.masks import rasterize, run_lengths
from bdd_inst.masks.outlines import Outline
from bdd_inst.masks.rle_check import rle_faults

if TYPE_CHECKING:
    from bdd_inst.evaluation.results_columns import Columns


def scored_masks(
    rows: Columns,
    truth: GroundTruth,
    sizes: np.ndarray,
    where: Callable[[int], str],
    problems: ProblemLog,
) -> list[dict | None] | None:
    """:func:`check_masks`, or None where boxes are there and masks cannot be scored: a damaged mask does not keep boxes from it.

    Args:
        rows: N entries of a results file.
        truth: what they are predictions for.
        sizes: N,2 int64, (height, width) of each entry's image, 0, 0 where unknown.
        where: names an entry in messages.
        problems: takes why masks are not scored.
    """
    boxed = len(rows) and not rows.boxless
    if boxed and len(truth) and not truth.has_masks:
        there = [n for n, mask in enumerate(rows.masks) if mask]
        if there:
            message = f"{truth.source} has no masks: only boxes are scored"
            problems.add("masks-not-scored", where(there[0]), message, count=len(there))
        return None
    try:
        return check_masks(rows, sizes, where, problems)
    except DataError as error:
        if not boxed:
            raise
        damaged = sum(is_damaged(mask, sizes[n], n) for n, mask in enumerate(rows.masks))
        add_unscored(problems, error, damaged)
        return None


def add_unscored(problems: ProblemLog, error: DataError, count: int) -> None:
    """Note that damaged masks keep all masks from being scored, for figures without them would look like any other's."""
    message = "masks are damaged: only boxes are scored; write the masks again"
    problems.add("masks-not-scored", str(error), message, count=count)


def is_damaged(mask: Any, size: np.ndarray, n: int) -> bool:
    """Whether entry ``n`` has a segmentation that is no sound mask of its image (``size``: 2 int64, height, width)."""
    try:
        if mask:
            refuse_unsound([as_mask(mask, size, str, n)], size[None], str)
    except DataError:
        return True
    return False


def check_masks(
    rows: Columns, sizes: np.ndarray, where: Callable[[int], str], problems: ProblemLog
) -> list[dict | None] | None:
    """N compressed RLE dicts with str counts, None where an entry has none (counted); None where no entry has a mask.

    Raises:
        DataError: a damaged mask, which the usual tools would score as another one.
    """
    if not len(rows):
        return []
    masks = [
        as_mask(mask, sizes[n], where, n) if mask else None for n, mask in enumerate(rows.masks)
    ]
    there = [n for n, mask in enumerate(masks) if mask is not None]
    refuse_unsound([masks[n] for n in there], sizes[there], lambda i: where(there[i]))
    lacking = [n for n, mask in enumerate(masks) if mask is None]
    if lacking and (there or any(mask is not None for mask in rows.masks)):
        if len(rows.boxless) == len(rows):
            raise DataError(f"{where(lacking[0])}: it has neither bbox nor segmentation")
        message = "predictions with a box but no mask: left out of the mask scores"
        problems.add("prediction-without-mask", where(lacking[0]), message, count=len(lacking))
    return masks if there else None


def as_mask(mask: Any, size: np.ndarray, where: Callable[[int], str], n: int) -> dict:
    """An entry's segmentation, RLE or polygons, as RLE; DataError for what is neither."""
    if isinstance(mask, list):
        return rasterized(mask, size, where(n))
    own = mask.get("size") if isinstance(mask, dict) else None
    if type(own) is not list or len(own) != 2 or type(own[0]) is not int or type(own[1]) is not int:
        raise DataError(f"{where(n)}: its segmentation is no RLE: size must be [height, width]")
    counts = mask.get("counts")
    if type(counts) is str and counts[:2] not in ("b'", 'b"'):
        return mask
    if not isinstance(counts, list | str):
        raise DataError(
            f"{where(n)}: its segmentation is no RLE: counts must be a string or a list of runs"
        )
    try:
        return run_lengths.normalize(mask)
    except DataError as error:
        raise DataError(f"{where(n)}: {error}") from None


def refuse_unsound(rles: Sequence[dict], sizes: np.ndarray, where: Callable[[int], str]) -> None:
    """DataError for the first compressed RLE that is not of its image's size (N,2; 0, 0 where unknown), or does not cover it."""
    if not rles:
        return
    own = np.array([rle["size"] for rle in rles], np.int64)
    wrong = np.flatnonzero((own != sizes).any(axis=1) & (sizes > 0).all(axis=1))
    if wrong.size:
        i = int(wrong[0])
        raise DataError(
            f"{where(i)}: its RLE is for an image of height x width {own[i, 0]}x{own[i, 1]}, "
            f"but the image is {sizes[i, 0]}x{sizes[i, 1]}; export the masks at the image's size"
        )
    faults = rle_faults(rles)
    if faults:
        first = min(faults)
        raise DataError(f"{where(first)}: {faults[first]}; export the masks again")


def rasterized(polygons: list, size: np.ndarray, where: str) -> dict:
    """Polygons as RLE by COCO's rule."""
    height, width = (int(side) for side in size)
    if not height or not width:
        raise DataError(f"{where}: its polygons need the image's size; give --images")
    try:
        paths = [Outline.from_coco(part) for part in as_parts(polygons)]
        return rasterize.polygons_to_rle(paths, height, width, rule="coco")
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
