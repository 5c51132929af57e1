"""The string of a COCO run-length encoding: runs to text and back, many masks at a time.

COCO's format (pycocotools ``maskApi.c``): run lengths in column-major order, background first; from the third on (counting from 0) each
is stored as the difference to the one two before; each number is cut into groups of 5 bits, lowest first, bit 5 set where another group
follows, the top bit of the last group being the sign; 48 is added to make it a character.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from bdd_inst.base.errors import DataError

_MAX_GROUPS = 8  # 40 bits hold any run of a picture that fits in memory
_LIMITS = np.array([1 << (5 * k - 1) for k in range(1, _MAX_GROUPS)], dtype=np.int64)


def pack_counts(counts: np.ndarray, lengths: np.ndarray) -> list[str]:
    """Run lengths of several masks, end to end in ``counts`` (int64), ``lengths[i]`` of them for mask i -> one string a mask."""
    if not len(counts):
        return [""] * len(lengths)
    starts = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=starts[1:])
    values = counts.astype(np.int64)
    values[2:] -= counts[:-2]
    # The first three numbers of each mask are stored as they are.
    for k in range(3):
        heads = starts[:-1][lengths > k] + k
        values[heads] = counts[heads]
    groups = np.searchsorted(_LIMITS, np.where(values < 0, ~values, values), side="right") + 1
    ends = np.cumsum(groups)
    total = int(ends[-1])
    which = np.arange(total) - np.repeat(ends - groups, groups)
    out = (np.repeat(values, groups) >> (5 * which)) & 31
    out += 32 + 48
    out[ends - 1] -= 32
    text = out.astype(np.uint8).tobytes().decode("ascii")
    cuts = np.concatenate(([0], ends))[starts].tolist()
    return [text[a:b] for a, b in itertools.pairwise(cuts)]


def pack_edges(edges: np.ndarray, lengths: np.ndarray, pixels: int) -> list[str]:
    """Several masks of ``pixels`` pixels each from the places where they change -> one string a mask.

    ``edges``: int64, end to end, ``lengths[i]`` of them for mask i, ascending within a mask: the column-major places where the object
    starts, stops, starts again... Two at the same place undo each other, so an empty run or gap may be left in.
    """
    owner = np.repeat(np.arange(len(lengths)), lengths)
    places = edges + owner * (pixels + 1)
    fresh = np.ones(len(places), dtype=bool)
    np.not_equal(places[1:], places[:-1], out=fresh[1:])
    if not fresh.all():
        starts = np.flatnonzero(fresh)
        kept = starts[(np.diff(np.append(starts, len(places))) & 1) == 1]
        edges, owner = edges[kept], owner[kept]
        lengths = np.bincount(owner, minlength=len(lengths))
    # Every mask ends with the picture; where its last run does already, no run is left to say so.
    ends_open = np.ones(len(lengths), dtype=bool)
    filled = lengths > 0
    ends_open[filled] = edges[np.cumsum(lengths)[filled] - 1] != pixels
    totals = lengths + ends_open
    finish = np.cumsum(totals)
    stops = np.full(int(finish[-1]) if len(finish) else 0, pixels, dtype=np.int64)
    stops[np.arange(len(edges)) + (np.cumsum(ends_open) - ends_open)[owner]] = edges
    counts = stops.copy()
    counts[1:] -= stops[:-1]
    heads = finish - totals
    counts[heads] = stops[heads]
    return pack_counts(counts, totals)


def unpack_counts(text: str | bytes) -> np.ndarray:
    """The run lengths (int64) of one compressed string; see :func:`unpack_batch`."""
    return unpack_batch([text])[0]


def unpack_batch(texts: Sequence[str | bytes]) -> list[np.ndarray]:
    """The run lengths (int64) of compressed strings, each a view into one array: the undoing of :func:`pack_counts`.

    Raises DataError for characters outside the format, a string that breaks off, and runs that are negative.
    """
    try:
        raw = b"".join(text.encode("ascii") if isinstance(text, str) else text for text in texts)
    except UnicodeEncodeError as error:
        raise DataError("an RLE's counts hold characters that the format does not have") from error
    if not raw:
        return [np.empty(0, dtype=np.int64)] * len(texts)
    codes = np.frombuffer(raw, dtype=np.uint8).astype(np.int64) - 48
    if codes.min() < 0 or codes.max() > 63:
        raise DataError("an RLE's counts hold characters that the format does not have")
    last = (codes & 32) == 0
    stops = np.cumsum([len(text) for text in texts])
    if not last[stops[stops > 0] - 1].all():
        raise DataError("an RLE's counts break off in the middle of a number")
    ends = np.flatnonzero(last)
    starts = np.concatenate(([0], ends[:-1] + 1))
    groups = ends - starts + 1
    if groups.max() > _MAX_GROUPS:
        raise DataError("an RLE has a run longer than any picture")
    which = np.arange(len(codes)) - np.repeat(starts, groups)
    values = np.add.reduceat((codes & 31) << (5 * which), starts)
    values -= ((codes[ends] & 16) != 0).astype(np.int64) << (5 * groups)
    cuts = np.concatenate(([0], np.searchsorted(ends, stops))).tolist()
    out = [values[a:b] for a, b in itertools.pairwise(cuts)]
    for counts in out:
        # Undo the differences: odd places chain from 1, even places from 2.
        counts[1::2] = np.cumsum(counts[1::2])
        counts[2::2] = np.cumsum(counts[2::2])
    if values.min() < 0:
        raise DataError("an RLE has a run of negative length")
    return out


def check_counts(counts: Sequence[int] | np.ndarray, pixels: int) -> np.ndarray:
    """Uncompressed counts as int64. Raises DataError unless they are whole numbers >= 0 that add up to ``pixels``."""
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
    if array.size and (array.min() < 0 or array.max() > pixels):
        raise DataError(
            f"an RLE has a run of {array.min() if array.min() < 0 else array.max()} in a picture of {pixels} pixels"
        )
    array = array.astype(np.int64)
    if int(array.sum()) != pixels:
        raise DataError(f"an RLE covers {int(array.sum())} pixels, but its picture has {pixels}")
    return array
