"""Half a million run-length masks proved sound in a second: every one must cover exactly its picture.

A COCO RLE string whose runs stop short of the picture, or run past it, is read by the usual tools without a word, as some other mask.
The sum of the runs of one mask follows from its stored differences without undoing them: the j-th stored number (j > 0) enters every
later run of its parity, so it counts ``(n - 1 - j) // 2 + 1`` times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bdd_inst.errors import DataError

CHUNK = 1 << 15  # masks at a time; bounds memory


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
        totals = covered_pixels([rle["counts"] for rle in part], lambda i, start=start: where(start + i))
        wrong = np.flatnonzero(totals != own.prod(axis=1))
        if wrong.size:
            i = int(wrong[0])
            message = f"its RLE covers {totals[i]} pixels of a picture of {own[i].prod()}; the counts are damaged"
            raise DataError(f"{where(start + i)}: {message}")


def covered_pixels(texts: Sequence[str], where: Callable[[int], str]) -> np.ndarray:
    """N int64: the sum of all runs of each compressed string."""
    try:
        raw = np.frombuffer("".join(texts).encode("ascii"), np.uint8)
    except UnicodeEncodeError:
        bad = next(i for i, text in enumerate(texts) if not text.isascii())
        raise DataError(f"{where(bad)}: its RLE counts hold characters that the format does not have") from None
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    owner = np.repeat(np.arange(len(texts)), lengths)
    codes = raw.astype(np.int16) - 48
    if codes.size and (codes.min() < 0 or codes.max() > 63):
        bad = owner[np.flatnonzero((codes < 0) | (codes > 63))[0]]
        raise DataError(f"{where(int(bad))}: its RLE counts hold characters that the format does not have")
    last = (codes & 32) == 0
    tails = np.cumsum(lengths)[lengths > 0] - 1
    if codes.size and not last[tails].all():
        bad = owner[tails[np.flatnonzero(~last[tails])[0]]]
        raise DataError(f"{where(int(bad))}: its RLE counts break off in the middle of a number")
    totals = np.zeros(len(texts), np.int64)
    if not codes.size:
        return totals
    ends = np.flatnonzero(last)
    starts = np.concatenate(([0], ends[:-1] + 1))
    groups = ends - starts
    if groups.max() > 7:
        bad = owner[starts[int(groups.argmax())]]
        raise DataError(f"{where(int(bad))}: its RLE has a run longer than any picture")
    return totals + weigh(codes, starts, ends, groups, owner[starts], len(texts))


def weigh(codes: np.ndarray, starts: np.ndarray, ends: np.ndarray, groups: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """Sum of runs per mask from character codes; ``starts``, ``ends`` bound each stored number, ``owner`` is its mask."""
    values = (codes[starts] & 31).astype(np.int64)
    for k in range(1, int(groups.max()) + 1):
        more = np.flatnonzero(groups >= k)
        values[more] |= (codes[starts[more] + k].astype(np.int64) & 31) << (5 * k)
    negative = (codes[ends] & 16) != 0
    values[negative] -= np.int64(1) << (5 * (groups[negative] + 1))
    numbers = np.bincount(owner, minlength=count)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    weight = np.where(place == 0, 1, (numbers[owner] - 1 - place) // 2 + 1)
    products = values * weight
    out = np.zeros(count, np.int64)
    filled = numbers > 0
    out[filled] = np.add.reduceat(products, (np.cumsum(numbers) - numbers)[filled])
    return out
