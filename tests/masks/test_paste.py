"""Pasting: both ways against the rule written out, on boxes that are hard to get right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bdd_inst.masks import run_lengths
from bdd_inst.masks.paste import paste_masks, paste_to_rles

HEIGHT, WIDTH = 60, 80


def obvious(mask: np.ndarray, box: np.ndarray, threshold: float) -> np.ndarray:
    """One pixel after the other in float64: H,W values minus threshold; -1 where the rule does not look."""
    size = len(mask)
    padded = np.pad(mask.astype(np.float64), 1)
    x1, y1, x2, y2 = box.astype(np.float64)
    out = np.full((HEIGHT, WIDTH), -1.0)
    for r in range(max(int(np.floor(y1)) - 1, 0), min(int(np.ceil(y2)) + 1, HEIGHT)):
        for c in range(max(int(np.floor(x1)) - 1, 0), min(int(np.ceil(x2)) + 1, WIDTH)):
            v = (r + 0.5 - y1) / (y2 - y1) * size + 0.5
            u = (c + 0.5 - x1) / (x2 - x1) * size + 0.5
            i, j = int(np.floor(v)), int(np.floor(u))
            value = 0.0
            for a, wa in ((i, 1 - (v - i)), (i + 1, v - i)):
                for b, wb in ((j, 1 - (u - j)), (j + 1, u - j)):
                    if 0 <= a < size + 2 and 0 <= b < size + 2:
                        value += wa * wb * padded[a, b]
            out[r, c] = value - threshold
    return out


def boxes() -> st.SearchStrategy:
    place = st.floats(-15, 70, width=32) | st.integers(-10, 70).map(float)
    side = st.floats(0.25, 90, width=32) | st.integers(1, 80).map(float) | st.just(28.0)
    return st.tuples(place, place, side, side).map(
        lambda b: np.array([b[0], b[1], b[0] + b[2], b[1] + b[3]], dtype=np.float32)
    )


KINDS = st.sampled_from(["smooth", "noise", "binary"])


@given(
    boxes(),
    st.sampled_from([7, 14, 28]),
    KINDS,
    st.sampled_from([0.5, 0.3, 0.9]),
    st.integers(0, 99),
)
def test_both_ways_follow_the_rule(box, size, kind, threshold, seed):
    generator = np.random.default_rng(seed)
    values = generator.random((size, size))
    if kind == "smooth":
        y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
        values = 1 / (1 + np.exp(-6 * (generator.uniform(0.3, 1.2) - x**2 - y**2)))
    if kind == "binary":
        values = (values < 0.5) * 1.0
    mask = values.astype(np.float32)
    probs, at = torch.from_numpy(mask)[None], torch.from_numpy(box)[None]
    pasted = paste_masks(probs, at, (HEIGHT, WIDTH), threshold)[0].numpy()
    expected = obvious(mask, box, threshold)
    clear = np.abs(expected) > 1e-4
    assert np.array_equal(pasted[clear], (expected >= 0)[clear])
    assert paste_to_rles(probs, at, (HEIGHT, WIDTH), threshold) == [run_lengths.encode(pasted)]


@pytest.mark.parametrize("level", [0.5, 0.0, 1.0])
def test_level_masks_are_the_same_both_ways(level):
    probs = torch.full((4, 28, 28), level)
    at = torch.tensor(
        [[3.0, 4, 31, 32], [0, 0, 80, 60], [10.3, 5.7, 11.1, 50], [-20, -20, 100, 90]]
    )
    masks = paste_masks(probs, at, (HEIGHT, WIDTH))
    assert paste_to_rles(probs, at, (HEIGHT, WIDTH)) == run_lengths.encode_batch(masks.numpy())


def test_boxes_that_are_none_give_empty_masks():
    probs = torch.ones(5, 28, 28)
    at = torch.tensor(
        [
            [5.0, 5, 5, 9],
            [9, 9, 4, 4],
            [float("nan"), 0, 5, 5],
            [200, 200, 300, 300],
            [-90, -90, -50, -50],
        ]
    )
    masks = paste_masks(probs, at, (HEIGHT, WIDTH))
    assert not masks.any()
    assert paste_to_rles(probs, at, (HEIGHT, WIDTH)) == [run_lengths.empty(HEIGHT, WIDTH)] * 5


def test_no_masks():
    assert paste_masks(torch.empty(0, 28, 28), torch.empty(0, 4), (6, 7)).shape == (0, 6, 7)
    assert paste_to_rles(torch.empty(0, 28, 28), torch.empty(0, 4), (6, 7)) == []


def test_a_threshold_of_zero_is_the_same_both_ways(rng):
    probs = torch.from_numpy(rng.random((3, 28, 28), dtype=np.float32))
    at = torch.tensor([[3.0, 4, 31, 32], [0, 0, 80, 60], [10.3, 5.7, 11.1, 50]])
    masks = paste_masks(probs, at, (HEIGHT, WIDTH), 0.0)
    assert paste_to_rles(probs, at, (HEIGHT, WIDTH), 0.0) == run_lengths.encode_batch(masks.numpy())
