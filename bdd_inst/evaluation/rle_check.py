"""Half a million run-length masks proved sound in a second: every one must cover exactly its picture.

A COCO RLE string whose runs stop short of the picture, or run past it, is read by the usual tools without a word, as some other mask.
The sum of the runs of one mask follows from its stored differences without undoing them: the j-th stored number (j > 0) enters every
later run of its parity, so it counts ``(n - 1 - j) // 2 + 1`` times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bdd_inst.base.errors import DataError

CHUNK = 512  # masks at a time: what a processor's cache holds


def check_rles(rles: Sequence[dict], sizes: np.ndarray, where: Callable[[int], str]) -> None:
    """Raise DataError for the first mask whose size is not its picture's, or whose runs do not cover it.

    Args:
        rles: compressed RLE dicts, ``counts`` str.
        sizes: N,2 (height, width) of the pictures; (0, 0) where unknown.
        where: names mask i for the message.
    """
    for start in range(0, len(rles), CHUNK):
        part = rles[start : start + CHUNK]
        own = np.array([rle["size"] for rle in part], np.int64).reshape(-1, 2)
        given = sizes[start : start + CHUNK]
        wrong = np.flatnonzero((own != given).any(axis=1) & (given > 0).all(axis=1))
        if wrong.size:
            i = int(wrong[0])
            raise DataError(
                f"{where(start + i)}: its RLE is for a picture of height x width {own[i, 0]}x{own[i, 1]}, "
                f"but the picture is {given[i, 0]}x{given[i, 1]}; export the masks at the picture's size"
            )
        totals = covered_pixels(
            [rle["counts"] for rle in part], lambda i, start=start: where(start + i)
        )
        wrong = np.flatnonzero(totals != own.prod(axis=1))
        if wrong.size:
            i = int(wrong[0])
            message = f"its RLE covers {totals[i]} pixels of a picture of {own[i].prod()}; the counts are damaged"
            raise DataError(f"{where(start + i)}: {message}")


def covered_pixels(texts: Sequence[str], where: Callable[[int], str]) -> np.ndarray:
    """N int64: the sum of all runs of each compressed string."""
    try:
        codes = np.frombuffer("".join(texts).encode("ascii"), np.uint8) - np.uint8(48)
    except UnicodeEncodeError:
        bad = next(i for i, text in enumerate(texts) if not text.isascii())
        raise DataError(
            f"{where(bad)}: its RLE counts hold characters that the format does not have"
        ) from None
    stops = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    if not codes.size:
        return np.zeros(len(texts), np.int64)
    if codes.max() > 63:  # those below "0" have wrapped round
        bad = int(np.searchsorted(stops, int(np.flatnonzero(codes > 63)[0]), side="right"))
        raise DataError(
            f"{where(bad)}: its RLE counts hold characters that the format does not have"
        )
    ends = np.flatnonzero(codes < 32)  # the last character of each number
    last = np.searchsorted(ends, stops)  # numbers up to the end of each mask
    numbers = np.diff(last, prepend=0)
    filled = np.flatnonzero(np.diff(stops, prepend=0))
    cut = filled[codes[stops[filled] - 1] >= 32]
    if cut.size:
        raise DataError(f"{where(int(cut[0]))}: its RLE counts break off in the middle of a number")
    groups = np.diff(ends, prepend=-1)
    if groups.max() > 8:
        bad = int(np.searchsorted(last, int(groups.argmax()), side="right"))
        raise DataError(f"{where(bad)}: its RLE has a run longer than any picture")
    weighted = signed_numbers(codes, ends, groups) * weights(numbers, last)
    out = np.zeros(len(texts), np.int64)
    some = numbers > 0
    out[some] = np.add.reduceat(weighted, (last - numbers)[some])
    return out


def signed_numbers(codes: np.ndarray, ends: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The stored numbers, from their characters' codes: five bits each, the highest last, its top bit the sign."""
    values = codes[ends].astype(np.int64)
    values -= (values & 16) << 1
    for k in range(1, int(groups.max())):
        longer = np.flatnonzero(groups > k)
        values[longer] = (values[longer] << 5) + (codes[ends[longer] - k] & 31)
    return values


def weights(numbers: np.ndarray, last: np.ndarray) -> np.ndarray:
    """How often each stored number enters the sum of its mask: the first once, the j-th of n ``(n - 1 - j) // 2 + 1`` times."""
    left = np.repeat(last, numbers) - 1 - np.arange(int(last[-1]))  # n - 1 - j
    out = (left >> 1) + 1
    out[(last - numbers)[numbers > 0]] = 1
    return out
