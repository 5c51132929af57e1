"""Masks of one picture made disjoint: every pixel goes to one object, and overlaps are counted.

The BDD100K protocol admits no overlaps. Its own tools drop all predictions of a picture in which two masks share a pixel; here the
mask with the higher score keeps the pixel (among equals the earlier one), as the official converter to bitmasks paints.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bdd_inst.geometry import rle as rle_tools


def paint(masks: Sequence[dict], order: np.ndarray, height: int, width: int) -> np.ndarray:
    """One flat column-major index map (W*H int32): 0 background, n + 1 where mask n lies on top.

    Args:
        masks: N RLE dicts of the picture's size.
        order: the masks' positions from the lowest layer to the top one.
    """
    flat = np.zeros(height * width, np.int32)
    for n in order.tolist():
        edges = np.cumsum(rle_tools.counts_of(masks[n]))
        for start, end in zip(edges[0::2].tolist(), edges[1::2].tolist()):
            flat[start:end] = n + 1
    return flat


def by_score(scores: np.ndarray) -> np.ndarray:
    """Layer order for :func:`paint`: lowest score first, among equals the later one first, so that the earlier ends on top."""
    return np.argsort(-scores, kind="stable")[::-1]


def split(flat: np.ndarray, count: int, height: int, width: int) -> list[dict]:
    """The disjoint masks of an index map as RLE dicts, ``count`` of them; one that was painted over wholly is empty."""
    changes = np.flatnonzero(np.diff(flat)) + 1
    starts = np.concatenate(([0], changes))
    ends = np.concatenate((changes, [flat.size]))
    owner = flat[starts]
    order = np.argsort(owner, kind="stable")
    bounds = np.searchsorted(owner[order], np.arange(1, count + 2))
    out = []
    for n in range(count):
        mine = order[bounds[n] : bounds[n + 1]]
        edges = np.stack([starts[mine], ends[mine]], axis=1).ravel()
        runs = np.diff(np.concatenate(([0], edges, [flat.size])))
        runs = runs if runs[-1] or not len(mine) else runs[:-1]
        out.append(rle_tools.normalize({"size": [int(height), int(width)], "counts": runs.tolist()}))
    return out
