"""Maps of numbers (one a pixel) and the run-length masks of each number: from one to the other, and overlaps resolved on the way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bdd_inst.masks import run_lengths
from bdd_inst.masks.rle_text import pack_edges


def label_rles(values: np.ndarray, background: int = 0) -> tuple[np.ndarray, list[dict]]:
    """H,W unsigned integers -> the numbers that occur except ``background`` (ascending), and the RLE of each.

    Looks only at the pixels that differ from the one above, so its cost is the outlines', however many numbers there are.

    Args:
        values: H,W of unsigned integers.
        background: the number that is no object's.

    Returns:
        The numbers (K, ascending, of the dtype of ``values``), and K RLEs of (H, W).
    """
    height, width = values.shape
    if not values.size:
        return values.reshape(-1)[:0], []
    rows, columns = np.divmod(np.flatnonzero(values[1:] != values[:-1]), width)
    every = np.arange(width)
    # Each change ends the number above and starts the one below; columns start at row 0 and end below the last.
    number = np.concatenate(
        [values[0], values[rows, columns], values[rows + 1, columns], values[-1]]
    )
    place = np.concatenate(
        [
            every * height,
            columns * height + rows + 1,
            columns * height + rows + 1,
            (every + 1) * height,
        ]
    )
    kept = number != background
    labels = np.unique(number[kept])
    pixels = height * width
    # Spaced by one more than the image has pixels: where one mask ends is not where the next begins.
    merged = np.sort(np.searchsorted(labels, number[kept]) * (pixels + 1) + place[kept])
    owner, place = np.divmod(merged, pixels + 1)
    texts = pack_edges(place, np.bincount(owner, minlength=len(labels)), pixels)
    return labels, [{"size": [height, width], "counts": text} for text in texts]


def paint(
    rles: Sequence[dict],
    values: Sequence[int],
    height: int,
    width: int,
    dtype: type | str = np.uint16,
) -> np.ndarray:
    """Masks painted one over the other in the given order, mask i with ``values[i]`` -> H,W of ``dtype``, 0 where there is none.

    Args:
        rles: N RLEs of (height, width); later ones lie on top.
        values: N numbers to write.
        height, width: of the map, in pixels.
        dtype: of the map.

    Returns:
        H,W, C-contiguous; 0 where no mask lies.

    Raises:
        ValueError: a mask of another size.
    """
    # Column by column, as runs are: each is one slice, however many columns it crosses.
    flat = np.zeros(height * width, dtype=dtype)
    first, last = height * width, 0
    for rle, value in zip(rles, values, strict=True):
        if list(rle["size"]) != [height, width]:
            raise ValueError(f"a mask of {rle['size']} does not fit an image of {[height, width]}")
        edges = np.cumsum(run_lengths.counts_of(rle)).tolist()
        for start, end in zip(edges[0::2], edges[1::2]):
            flat[start:end] = value
        if len(edges) > 1:
            first, last = min(first, edges[0]), max(last, edges[len(edges) // 2 * 2 - 1])
    out = np.zeros((height, width), dtype=dtype)
    if first < last:  # only the columns that hold something are turned
        columns = slice(first // height, -(-last // height))
        out[:, columns] = flat.reshape(width, height)[columns].T
    return out


def drawing_order(scores: Sequence[float | None] | None, count: int) -> list[int]:
    """In which order overlapping objects are drawn: lower scores first, without scores as they come (the official bitmask rule).

    Args:
        scores: N, None where nothing has one.
        count: N.

    Returns:
        Indices of the objects, the one that ends on top last.
    """
    if scores is None or not count or scores[0] is None:
        return list(range(count))
    # The sort keeps the order of equal scores: among them the later lies on top.
    return sorted(range(count), key=lambda i: -np.inf if scores[i] is None else scores[i])


def resolve_overlaps(
    rles: Sequence[dict], scores: Sequence[float | None] | None = None
) -> list[dict]:
    """The same masks with every pixel left to one only: the higher score's, else the later one's. A mask may be left empty.

    Args:
        rles: N RLEs of one size.
        scores: N, or None: the later mask wins.

    Returns:
        N RLEs of the same size, no pixel in two of them.
    """
    if not rles:
        return []
    height, width = rles[0]["size"]
    order = drawing_order(scores, len(rles))
    numbers = paint(
        [rles[i] for i in order],
        [i + 1 for i in order],
        height=height,
        width=width,
        dtype=np.uint32,
    )
    out = [run_lengths.empty(height, width) for _ in rles]
    for label, rle in zip(*label_rles(numbers)):
        out[int(label) - 1] = rle
    return out
