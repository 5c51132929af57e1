"""COCO run-length masks: encode, decode, measure, and bring every spelling of them to one.

One RLE is ``{"size": [h, w], "counts": str}``, compressed, runs in column-major order. Those made here are in canonical form (no empty run
but a first one), byte for byte what pycocotools writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from bdd_inst.base.errors import DataError
from bdd_inst.masks.rle_check import check_counts, rle_size, uncovered
from bdd_inst.masks.rle_text import pack_counts, unpack_batch


def encode(mask: np.ndarray) -> dict:
    """H,W bool or integer (any non-zero is the object) -> RLE.

    Args:
        mask: H,W bool, or integers of which any non-zero is the object.

    Returns:
        An RLE of (H, W), canonical.
    """
    return encode_crop(np.asarray(mask), 0, 0, *np.shape(mask))


def encode_batch(masks: np.ndarray | Iterable[np.ndarray]) -> list[dict]:
    """N,H,W bool (or N masks H,W of any sizes) -> N RLEs.

    Args:
        masks: N masks as :func:`encode` takes them, N,H,W or of any sizes.

    Returns:
        N RLEs.
    """
    return [encode(mask) for mask in masks]


def encode_crop(crop: np.ndarray, x: int, y: int, height: int, width: int) -> dict:
    """h,w bool whose first pixel is pixel (x, y) of an otherwise empty image of height x width -> RLE of the whole image.

    The crop must lie inside the image.

    Args:
        crop: h,w bool.
        x, y: the image's pixel under the crop's first, 0-based.
        height, width: of the image, in pixels.

    Returns:
        An RLE of (height, width).

    Raises:
        ValueError: the crop leaves the image.
    """
    return encode_columns(np.ascontiguousarray(crop.T), x, y=y, height=height, width=width)


def encode_columns(columns: np.ndarray, x: int, y: int, height: int, width: int) -> dict:
    """As :func:`encode_crop` with the crop given column by column: w,h bool, contiguous."""
    counts = column_counts(columns, x, y=y, height=height, width=width)
    text = pack_counts(counts, np.array([len(counts)]))[0]
    return {"size": [int(height), int(width)], "counts": text}


def column_counts(columns: np.ndarray, x: int, y: int, height: int, width: int) -> np.ndarray:
    """The run lengths (int64, canonical) of a crop given column by column (w,h bool), placed at (x, y) in an image of height x width."""
    if columns.dtype != bool:
        columns = columns != 0
    w, h = columns.shape
    if x < 0 or y < 0 or x + w > width or y + h > height:
        raise ValueError(f"a crop of {w}x{h} at {x},{y} leaves the image of {width}x{height}")
    # Full columns follow one another without a gap: a run may go on from one into the next.
    if h == height:
        edges = _changes(columns.reshape(-1)) + x * height
    else:
        # A background pixel closes each column, so a run never crosses from one column of the crop to the next.
        padded = np.zeros((w, h + 1), dtype=bool)
        padded[:, :h] = columns
        edges = _changes(padded.reshape(-1))
        column = edges // (h + 1)
        edges += column * (height - h - 1) + (x * height + y)
    total = height * width
    if len(edges) & 1:
        edges = np.append(edges, (x + w) * height)  # the crop's last pixel is set
    if len(edges) == 0 or edges[-1] != total:
        edges = np.append(edges, total)
    counts = np.empty(len(edges), dtype=np.int64)
    counts[:1] = edges[:1]
    np.subtract(edges[1:], edges[:-1], out=counts[1:])
    return counts


def _changes(flat: np.ndarray) -> np.ndarray:
    """Places where a flat bool array changes, the first pixel counted as a change from background."""
    if not len(flat):
        return np.empty(0, dtype=np.int64)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return np.concatenate(([0], edges)) if flat[0] else edges


def empty(height: int, width: int) -> dict:
    """The RLE of a mask without a pixel.

    Args:
        height, width: of the image, in pixels.

    Returns:
        An RLE of (height, width) with no pixel set.
    """
    total = height * width
    return {
        "size": [int(height), int(width)],
        "counts": pack_counts(np.array([total]), np.array([1]))[0],
    }


def decode(rle: dict) -> np.ndarray:
    """RLE -> H,W bool (column-major in memory).

    Args:
        rle: in any spelling that :func:`counts_of` takes.

    Returns:
        H,W bool, column-major in memory.

    Raises:
        DataError: the counts and the size disagree.
    """
    height, width = rle_size(rle)
    return _painted(counts_of(rle)).reshape(width, height).T


def counts_of(rle: dict) -> np.ndarray:
    """The run lengths (int64) of an RLE in any spelling.

    Args:
        rle: ``{"size": [h, w], "counts": ...}``, counts compressed (str or bytes) or whole numbers.

    Returns:
        The runs, int64, background first, column-major.

    Raises:
        DataError: no size, counts of no such form, or counts that do not add up to the size.
    """
    return counts_of_batch([rle])[0]


def counts_of_batch(rles: Sequence[dict]) -> list[np.ndarray]:
    """:func:`counts_of` each of several RLEs, int64; compressed strings read all at once."""
    sizes = [rle_size(rle) for rle in rles]
    spelled = [rle.get("counts") for rle in rles]
    texts = [counts for counts in spelled if isinstance(counts, (str, bytes))]
    unpacked = iter(unpack_batch(texts))
    out = []
    for (height, width), counts in zip(sizes, spelled):
        if isinstance(counts, (str, bytes)):
            counts = next(unpacked)
            if counts.sum() != height * width:
                raise DataError(uncovered(int(counts.sum()), height * width))
            out.append(counts)
            continue
        if not isinstance(counts, (list, tuple, np.ndarray)):
            found = "missing" if counts is None else type(counts).__name__
            raise DataError(f"an RLE's counts must be a string or a list, not {found}")
        out.append(check_counts(counts, height * width))
    return out


def decode_tight(rles: Sequence[dict]) -> list[tuple[np.ndarray, int, int]]:
    """N RLEs of one size -> for each the object inside its tight box, and nothing of the image around it.

    Args:
        rles: N RLEs of one size.

    Returns:
        N of (h,w bool, column-major in memory; x, y of its first pixel in the image); 0,0 at 0, 0 for an empty mask.
    """
    out = [(np.zeros((0, 0), dtype=bool), 0, 0)] * len(rles)
    several = counts_of_batch(rles)
    if not several:
        return out
    height, width = rle_size(rles[0])
    lengths = np.array([len(counts) for counts in several])
    flat = np.concatenate(several)
    # Each mask's runs add up to the image, so the masks lie one after the other on one axis, ``width`` columns each.
    place = np.arange(len(flat)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    runs = np.flatnonzero((place & 1 == 1) & (flat > 0))
    if not len(runs):
        return out
    ends = np.cumsum(flat)[runs]
    starts = ends - flat[runs]
    # Columns of each run's first and last pixel.
    first, last = starts // height, (ends - 1) // height
    owner = np.repeat(np.arange(len(rles)), lengths)[runs]
    heads = np.flatnonzero(np.diff(owner, prepend=-1))
    tails = np.append(heads[1:], len(owner)) - 1
    y = np.minimum.reduceat(starts - first * height, heads)
    foot = np.maximum.reduceat(ends - first * height, heads)
    # A run goes over the foot of a column and on at the head of the next: all rows are in the box.
    whole = foot > height
    y[whole], foot[whole] = 0, height
    x, rows = first[heads], foot - y
    columns = last[tails] + 1 - x
    bases = np.cumsum(rows * columns) - rows * columns
    mine = np.repeat(np.arange(len(heads)), tails - heads + 1)
    corner, side = (bases - x * rows - y)[mine], rows[mine]
    # All crops lie in one array, each of the size of its box: one repeat paints them together.
    places = np.empty(2 * len(runs), dtype=np.int64)
    places[0::2] = corner + first * side + (starts - first * height)
    places[1::2] = corner + last * side + (ends - last * height)
    painted = _painted(np.diff(places, prepend=0, append=int(bases[-1] + rows[-1] * columns[-1])))
    boxes = zip(
        owner[heads].tolist(),
        bases.tolist(),
        columns.tolist(),
        rows.tolist(),
        x.tolist(),
        y.tolist(),
    )
    for mask, base, w, h, left, top in boxes:
        out[mask] = painted[base : base + w * h].reshape(w, h).T, left - mask * width, top
    return out


def _painted(runs: np.ndarray) -> np.ndarray:
    """Alternating runs of False and True, flat."""
    return np.repeat((np.arange(len(runs)) & 1).astype(bool), runs)


def area(rle: dict) -> int:
    """Pixels set.

    Args:
        rle: in any spelling that :func:`counts_of` takes.

    Returns:
        The number of pixels set.
    """
    return int(counts_of(rle)[1::2].sum())


def union(rles: Sequence[dict]) -> dict:
    """The pixels of any of several masks of one size.

    Args:
        rles: one or more compressed RLEs of one size, counts str.

    Returns:
        One RLE of that size.
    """
    # pycocotools takes and gives bytes; everywhere else counts are str, as in JSON.
    merged = coco_mask.merge([{**rle, "counts": rle["counts"].encode()} for rle in rles])
    return {"size": list(merged["size"]), "counts": merged["counts"].decode()}


def to_bbox(rle: dict) -> tuple[float, float, float, float]:
    """The tight box x1, y1, x2, y2 (exclusive) around the pixels set; (0, 0, 0, 0) for an empty mask.

    Args:
        rle: in any spelling that :func:`counts_of` takes.

    Returns:
        x1, y1, x2, y2 in pixels, whole numbers as floats.
    """
    height, _ = rle_size(rle)
    edges = np.cumsum(counts_of(rle))
    starts, ends = edges[0::2], edges[1::2]
    # An odd number of runs ends with background, which has no end to pair with.
    starts = starts[: len(ends)]
    filled = ends > starts
    if not filled.any():
        return 0.0, 0.0, 0.0, 0.0
    starts, lasts = starts[filled], ends[filled] - 1
    x1, x2 = int(starts[0] // height), int(lasts[-1] // height) + 1
    if (starts // height != lasts // height).any():
        # A run that goes over the foot of a column and on at the head of the next touches both edges.
        return float(x1), 0.0, float(x2), float(height)
    return float(x1), float((starts % height).min()), float(x2), float((lasts % height).max() + 1)


def normalize(
    rle: Any,
    size: tuple[int, int] | None = None,
    *,
    default: tuple[int, int] | None = None,
) -> dict:
    """An RLE in any spelling -> canonical compressed RLE with str counts.

    Args:
        rle: ``{"size": [height, width], "counts": ...}``; counts compressed (str, bytes, or the text of Python's bytes, ``b'...'``) or a
            list of runs. Where the size is known from elsewhere the counts alone will do.
        size: (height, width) of the image; an RLE of another size is refused.
        default: (height, width) for an RLE that does not say its own.

    Returns:
        ``{"size": [height, width], "counts": str}``.

    Raises:
        DataError: anything that is not an RLE which covers its image exactly.
    """
    rle = rle if isinstance(rle, dict) else {"counts": rle}
    if rle.get("size") is None and default is not None:
        rle = rle | {"size": default}
    h, w = rle_size(rle)
    if size is not None and (h, w) != tuple(size):
        raise DataError(f"an RLE is for an image of {w}x{h}, but the image is {size[1]}x{size[0]}")
    counts = counts_of({"size": (h, w), "counts": _without_quotes(rle.get("counts"))})
    # Other tools write empty runs; with them equal masks would have different texts.
    if (counts[1:] == 0).any():
        counts = _merge_empty(np.cumsum(counts), h * w)
    return {"size": [h, w], "counts": pack_counts(counts, np.array([len(counts)]))[0]}


def _without_quotes(counts: Any) -> Any:
    """Counts; of Python's spelling of bytes, written by str() where decode() was meant, what it quotes (a backslash is doubled there)."""
    if isinstance(counts, str) and len(counts) > 3 and counts[:2] in ("b'", 'b"'):
        return counts[2:-1].replace("\\\\", "\\") if counts[-1] == counts[1] else counts
    return counts


def _merge_empty(edges: np.ndarray, total: int) -> np.ndarray:
    """Run lengths without the empty runs in their middle, from the places where runs end."""
    changes = edges[:-1] if edges[-1] == total else edges
    # Two changes at one place undo each other.
    places, times = np.unique(changes, return_counts=True)
    places = places[(times & 1 == 1) & (places < total)]
    ends = np.append(places, total)
    return np.diff(np.concatenate(([0], ends)))
