"""Maps of numbers to run-length masks and back, against one comparison a number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bdd_inst.masks import run_lengths
from bdd_inst.masks.label_runs import drawing_order, label_rles, paint, resolve_overlaps

MAPS = hnp.arrays(
    np.uint16,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=15),
    elements=st.sampled_from([0, 1, 2, 255, 256, 65535]),
)


@given(MAPS, st.sampled_from([0, 255]))
def test_each_number_gets_its_mask(values, background):
    labels, rles = label_rles(values, background)
    assert labels.tolist() == sorted(set(values.ravel().tolist()) - {background})
    assert rles == [run_lengths.encode(values == label) for label in labels]


@given(MAPS)
def test_painting_the_masks_gives_the_map_back(values):
    labels, rles = label_rles(values)
    assert np.array_equal(paint(rles, labels.tolist(), *values.shape), values)


def test_a_map_without_pixels():
    labels, rles = label_rles(np.zeros((0, 5), np.uint8))
    assert len(labels) == len(rles) == 0


@given(
    hnp.arrays(bool, (4, 6, 7)),
    st.none() | st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=4, max_size=4),
)
def test_every_pixel_stays_with_the_best(masks, scores):
    resolved = resolve_overlaps(run_lengths.encode_batch(masks), scores)
    left = np.stack([run_lengths.decode(one) for one in resolved])
    for y, x in np.ndindex(6, 7):
        claims = [i for i in range(4) if masks[i, y, x]]
        winner = max(claims, key=lambda i: (scores[i] if scores else 0, i)) if claims else None
        assert [i for i in range(4) if left[i, y, x]] == ([] if winner is None else [winner])


def test_order_of_drawing():
    assert drawing_order(None, 3) == [0, 1, 2]
    assert drawing_order([0.9, 0.1, 0.5], 3) == [1, 2, 0]
    assert drawing_order([0.5, None, 0.5], 3) == [1, 0, 2]
    assert resolve_overlaps([]) == []


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        paint([run_lengths.empty(3, 4)], [1], 4, 3)
