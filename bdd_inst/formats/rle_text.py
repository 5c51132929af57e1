"""Run-length counts in every spelling of the COCO format, checked before any C code sees them.

pycocotools trusts its input: a compressed string whose runs do not add up to ``h * w`` makes it write past the picture. Everything that
comes from a file goes through here first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.masks import run_lengths
from bdd_inst.masks.run_lengths import MAX_PIXELS


def check_size(size: Any) -> tuple[int, int]:
    """``[height, width]`` as a pair of sensible ints; ValueError says what is wrong with it."""
    if (
        not isinstance(size, list | tuple)
        or len(size) != 2
        or any(isinstance(s, bool) or not isinstance(s, int | float) for s in size)
    ):
        raise ValueError(f"RLE size is {size!r:.40}, not [height, width]")
    if not all(0 < s < MAX_PIXELS and int(s) == s for s in size) or size[0] * size[1] > MAX_PIXELS:
        raise ValueError(f"RLE size {size!r:.40} is no picture's")
    return int(size[0]), int(size[1])


def totals(counts: Sequence[str]) -> np.ndarray:
    """Pixels that each compressed string covers, runs of 0 and of 1 together: int64 N, -1 where the string is no RLE.

    The code is pycocotools' (``rleToString``): five bits a character from ``0`` (48), a sixth for "more follows", the last one's fifth bit
    is the sign; from the fourth run on, the difference to the run two before. All strings are decoded at once.
    """
    out = np.full(len(counts), -1, np.int64)
    encoded = []
    for text in counts:
        try:
            encoded.append(text.encode("ascii"))
        except (UnicodeEncodeError, AttributeError):
            encoded.append(b"")
    lengths = np.array([len(e) for e in encoded], np.int64)
    characters = np.frombuffer(b"".join(encoded), np.uint8).astype(np.int64) - 48
    owner = np.repeat(np.arange(len(counts)), lengths)
    bad = np.zeros(len(counts), bool)
    bad[owner[(characters < 0) | (characters > 63)]] = True
    last = np.cumsum(lengths) - 1
    filled = lengths > 0
    bad[~filled] = True
    bad[filled] |= (characters[last[filled]] & 0x20) != 0
    good = ~bad[owner]
    runs, run_owner, long = _runs(characters[good], owner[good])
    bad[long] = True
    np.add.at(out, run_owner, runs)
    negative = np.unique(run_owner[(runs < 0) | (runs > MAX_PIXELS)])
    bad[negative] = True
    return np.where(bad, -1, out + 1)


def _runs(characters: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run lengths of all strings in a row, the string that each belongs to, and the strings with a run of more than 8 characters."""
    empty = np.zeros(0, np.int64)
    if not len(characters):
        return empty, empty, empty
    ends = np.flatnonzero((characters & 0x20) == 0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    place = np.arange(len(characters)) - np.repeat(starts, ends - starts + 1)
    long = np.unique(owner[place >= 8])
    bits = (characters & 0x1F) << (5 * np.minimum(place, 8))
    values = np.add.reduceat(bits, starts)
    size = np.minimum(ends - starts + 1, 9)
    values -= np.where(characters[ends] & 0x10, np.int64(1) << (5 * size), 0)
    run_owner = owner[ends]
    first = np.searchsorted(run_owner, run_owner, side="left")
    index = np.arange(len(values)) - first
    for parity in (1, 0):
        chosen = np.flatnonzero((index % 2 == parity) & (index > 0))
        if len(chosen):
            summed = np.cumsum(values[chosen])
            head = np.searchsorted(run_owner[chosen], run_owner[chosen], side="left")
            values[chosen] = summed - np.where(head > 0, summed[head - 1], 0)
    return values, run_owner, long


def normalise(rle: Any, size: tuple[int, int] | None = None) -> dict:
    """Any spelling of an RLE as ``{"size": [h, w], "counts": str}``, not yet checked against its size if compressed (:func:`totals`).

    Accepts ``{"size", "counts"}`` with compressed counts (str or bytes) or a list of runs, and a bare string or list of runs where
    ``size`` (h, w) is known from elsewhere. ValueError says what is wrong.
    """
    counts, own = rle, size
    if isinstance(rle, dict):
        counts = rle.get("counts")
        own = check_size(rle["size"]) if rle.get("size") is not None else size
    if own is None:
        raise ValueError("RLE without size")
    height, width = own
    if isinstance(counts, bytes):
        counts = counts.decode("ascii", errors="replace")
    if isinstance(counts, str):
        if counts[:2] in ("b'", 'b"') and counts[-1] == counts[1] and len(counts) > 3:
            # Python's spelling of bytes, written by str() where decode() was meant; a backslash is doubled there.
            counts = counts[2:-1].replace("\\\\", "\\")
        return {"size": [height, width], "counts": counts}
    if not isinstance(counts, list):
        raise ValueError(
            "RLE without counts" if counts is None else "RLE counts are neither text nor a list"
        )
    try:
        return run_lengths.normalize({"size": [height, width], "counts": counts})
    except (DataError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(str(error)) from None


def parse(rle: Any, size: tuple[int, int] | None = None) -> dict:
    """:func:`normalise` and the check of the total, for one RLE."""
    out = normalise(rle, size)
    check_totals([out])
    return out


def check_totals(rles: Sequence[dict]) -> None:
    """ValueError for the first RLE whose runs do not cover its picture exactly."""
    for rle, total in zip(rles, totals([r["counts"] for r in rles]), strict=True):
        height, width = rle["size"]
        if total != height * width:
            what = (
                "is no compressed RLE"
                if total < 0
                else f"adds up to {total} pixels, the picture has {height * width}"
            )
            raise ValueError(f"RLE counts {rle['counts'][:20]!r} {what}")
