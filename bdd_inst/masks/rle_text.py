"""The string of a COCO run-length encoding: runs to text and back, many masks at a time. Nothing else in the package reads one.

COCO's format (pycocotools ``maskApi.c``): run lengths in column-major order, background first; from the third on (counting from 0) each
is stored as the difference to the one two before; each number is cut into groups of 5 bits, lowest first, bit 5 set where another group
follows, the top bit of the last group being the sign; 48 is added to make it a character.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bdd_inst.base.errors import DataError

_MAX_GROUPS = 8  # 40 bits hold any run of an image that fits in memory
_LIMITS = np.array([1 << (5 * k - 1) for k in range(1, _MAX_GROUPS)], dtype=np.int64)


def pack_counts(counts: np.ndarray, lengths: np.ndarray) -> list[str]:
    """Run lengths of N masks, end to end in ``counts`` (int64), ``lengths[i]`` of them for mask i -> one string a mask."""
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
    # k groups hold -2^(5k-1) to 2^(5k-1) - 1; ``~v`` maps negative numbers to the same limits.
    groups = np.searchsorted(_LIMITS, np.where(values < 0, ~values, values), side="right") + 1
    ends = np.cumsum(groups)
    total = int(ends[-1])
    which = np.arange(total) - np.repeat(ends - groups, groups)
    # The shift keeps the sign, so the last group of a negative number ends with its top bit set.
    out = (np.repeat(values, groups) >> (5 * which)) & 31
    out += 32 + 48
    out[ends - 1] -= 32
    text = out.astype(np.uint8).tobytes().decode("ascii")
    cuts = np.concatenate(([0], ends))[starts].tolist()
    return [text[a:b] for a, b in itertools.pairwise(cuts)]


def pack_edges(edges: np.ndarray, lengths: np.ndarray, pixels: int) -> list[str]:
    """N masks of ``pixels`` pixels each from the places where they change -> one string a mask.

    ``edges``: int64, end to end, ``lengths[i]`` of them for mask i, ascending within a mask: the column-major places where the object
    starts, stops, starts again... Two at the same place undo each other, so an empty run or gap may be left in.
    """
    owner = np.repeat(np.arange(len(lengths)), lengths)
    # One more than the image has pixels: one mask's end and the next one's start are different places.
    places = edges + owner * (pixels + 1)
    fresh = np.ones(len(places), dtype=bool)
    np.not_equal(places[1:], places[:-1], out=fresh[1:])
    if not fresh.all():
        starts = np.flatnonzero(fresh)
        kept = starts[(np.diff(np.append(starts, len(places))) & 1) == 1]
        edges, owner = edges[kept], owner[kept]
        lengths = np.bincount(owner, minlength=len(lengths))
    # Every mask ends with the image; where its last run does already, no run is left to say so.
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


class Unpacked(NamedTuple):
    """Strings read all at once: the runs (int64) of all of them end to end, how many each has, and what is wrong with each.

    ``faults`` (N uint8) are places in FAULTS, 0 where nothing is wrong; the runs of a string with a fault mean nothing.
    """

    counts: np.ndarray
    lengths: np.ndarray
    faults: np.ndarray


FAULTS = (
    "",
    "hold characters that the format does not have",
    "break off in the middle of a number",
    "hold a run longer than any image",
    "hold a run of negative length",
)
_CHARACTERS, _CUT, _LONG, _NEGATIVE = range(1, len(FAULTS))


def unpack(texts: Sequence[str | bytes]) -> Unpacked:
    """The runs of compressed strings: the undoing of :func:`pack_counts`. Never raises for what a string holds."""
    raw, sizes = _joined(texts)
    faults = np.zeros(len(sizes), np.uint8)
    stops = np.cumsum(sizes)
    codes = raw - np.uint8(48)  # what lies below "0" wraps round
    if not len(codes):
        return Unpacked(np.empty(0, np.int64), np.zeros(len(sizes), np.int64), faults)
    if codes.max() > 63:
        wrong = np.flatnonzero(codes > 63)
        faults[np.searchsorted(stops, wrong, side="right")] = _CHARACTERS
    finals = codes < 32  # the last character of each number
    filled = sizes > 0
    if not finals[stops[filled] - 1].all():
        cut = np.flatnonzero(filled)[~finals[stops[filled] - 1]]
        faults[cut[faults[cut] == 0]] = _CUT
        finals[stops[cut] - 1] = True  # so that no number reaches into the next string
    ends = np.flatnonzero(finals)
    numbers = _lengths(np.searchsorted(ends, stops), 0)
    groups = _lengths(ends, -1)
    longest = int(groups.max())
    values = _signed_numbers(codes, ends, groups, min(longest, _MAX_GROUPS))
    _undo_differences(values, numbers)
    if longest > _MAX_GROUPS or values.min() < 0:
        bad = (values < 0) * np.uint8(_NEGATIVE)
        bad[groups > _MAX_GROUPS] = _LONG
        owner = np.repeat(np.arange(len(sizes)), numbers)
        first = np.flatnonzero(bad)[::-1]  # backwards, so that the first of a string stays
        found = np.zeros_like(faults)
        found[owner[first]] = bad[first]
        faults = np.where(faults == 0, found, faults)
    return Unpacked(values, numbers, faults)


def _lengths(stops: np.ndarray, start: int) -> np.ndarray:
    """What lies between ascending places, the first from ``start``: np.diff's, without its overhead on short arrays."""
    out = stops.copy()
    out[1:] -= stops[:-1]
    out[:1] -= start
    return out


def _joined(texts: Sequence[str | bytes]) -> tuple[np.ndarray, np.ndarray]:
    """All characters end to end (uint8), and how many each string has; one that is no ASCII has a character that is refused."""
    try:
        parts = [text.encode("ascii") if isinstance(text, str) else text for text in texts]
    except UnicodeEncodeError:
        parts = [
            text if isinstance(text, bytes) else text.encode("ascii") if text.isascii() else b"\0"
            for text in texts
        ]
    lengths = np.fromiter(map(len, parts), np.int64, len(parts))
    return np.frombuffer(b"".join(parts), np.uint8), lengths


def _signed_numbers(
    codes: np.ndarray, ends: np.ndarray, groups: np.ndarray, longest: int
) -> np.ndarray:
    """The stored numbers (int64) from their characters' codes: five bits each, the highest last, its top bit the sign."""
    values = (codes[ends] & 31).astype(np.int64)
    values -= (values & 16) << 1
    for k in range(1, longest):
        longer = np.flatnonzero(groups > k)
        values[longer] = (values[longer] << 5) + (codes[ends[longer] - k] & 31)
    return values


def _undo_differences(values: np.ndarray, lengths: np.ndarray) -> None:
    """Stored numbers to runs, in place: in each string the odd places are sums from 1 on, the even ones from 2 on."""
    if len(lengths) == 1:
        values[1::2] = np.cumsum(values[1::2])
        values[2::2] = np.cumsum(values[2::2])
        return
    lengths = lengths[lengths > 0]
    stops = np.cumsum(lengths)
    starts = stops - lengths
    heads = values[starts]  # the first number of each string stands for itself
    values[0::2] = np.cumsum(values[0::2])
    values[1::2] = np.cumsum(values[1::2])
    # The sums run on through all strings. What they were where a string's chains begin is taken off again: its places 2, 4, ... go on
    # from its place 0, its places 1, 3, ... from the place before the string.
    own, before = values[starts], values[starts - 1]
    before[:1] = 0
    aligned = (starts & 1) == 0
    for first in (0, 1):
        many = (stops + 1 - first) // 2 - (starts + 1 - first) // 2
        values[first::2] -= np.repeat(np.where(aligned == (first == 0), own, before), many)
    values[starts] = heads


def unpack_batch(texts: Sequence[str | bytes]) -> list[np.ndarray]:
    """The run lengths of N compressed strings: N int64 arrays, each a view into one.

    Raises:
        DataError: characters outside the format, a string that breaks off, a run that is negative or longer than any image.
    """
    counts, lengths, faults = unpack(texts)
    if faults.any():
        raise DataError(f"an RLE's counts {FAULTS[faults[np.flatnonzero(faults)[0]]]}")
    if len(lengths) == 1:
        return [counts]
    cuts = np.concatenate(([0], np.cumsum(lengths))).tolist()
    return [counts[a:b] for a, b in itertools.pairwise(cuts)]
