"""Run-length masks against pycocotools, in every spelling, and with counts that lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask

from bdd_inst.base.errors import DataError
from bdd_inst.masks import coco_fill, run_lengths
from bdd_inst.masks.rle_text import pack_counts, pack_edges, unpack_batch

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))


def reference(mask: np.ndarray) -> dict:
    coded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(mask.shape), "counts": coded["counts"].decode()}


@given(MASKS)
def test_encoding_is_pycocotools_byte_for_byte(mask):
    coded = run_lengths.encode(mask)
    assert coded == reference(mask)
    assert np.array_equal(run_lengths.decode(coded), mask)
    assert run_lengths.area(coded) == mask.sum()


@given(MASKS)
def test_box_is_tight(mask):
    rows, columns = np.nonzero(mask)
    expected = (
        (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        if len(rows)
        else (0, 0, 0, 0)
    )
    assert run_lengths.to_bbox(run_lengths.encode(mask)) == expected


@given(MASKS, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_a_crop_is_placed_where_it_belongs(mask, left, top, right, foot):
    whole = np.pad(mask, ((top, foot), (left, right)))
    assert run_lengths.encode_crop(mask, left, top, *whole.shape) == reference(whole)


def test_a_crop_outside_the_image_is_refused():
    with pytest.raises(ValueError, match="leaves the image"):
        run_lengths.encode_crop(np.ones((3, 3), bool), 8, 0, 10, 10)


@given(MASKS)
def test_every_spelling_becomes_one(mask):
    expected = reference(mask)
    runs = run_lengths.counts_of(expected).tolist()
    for counts in (
        runs,
        tuple(runs),
        np.array(runs),
        expected["counts"],
        expected["counts"].encode(),
    ):
        assert (
            run_lengths.normalize({"size": list(mask.shape), "counts": counts}, mask.shape)
            == expected
        )


@given(MASKS, st.data())
def test_empty_runs_are_taken_out(mask, data):
    runs = run_lengths.counts_of(reference(mask)).tolist()
    place = data.draw(st.integers(0, len(runs) - 1))
    cut = data.draw(st.integers(0, runs[place]))
    padded = [*runs[:place], cut, 0, runs[place] - cut, *runs[place + 1 :], 0, 0]
    assert run_lengths.normalize({"size": list(mask.shape), "counts": padded}) == reference(mask)


@given(st.lists(st.lists(st.integers(0, 2**31), min_size=1, max_size=12), max_size=5))
def test_counts_survive_the_string(several):
    lengths = np.array([len(counts) for counts in several], dtype=np.int64)
    texts = pack_counts(
        np.array([v for counts in several for v in counts], dtype=np.int64), lengths
    )
    assert [unpack_batch([text])[0].tolist() for text in texts] == several


@given(st.lists(st.lists(st.integers(0, 2**33), max_size=9), max_size=4))
def test_strings_are_read_all_at_once_as_one_by_one(several):
    lengths = np.array([len(counts) for counts in several], dtype=np.int64)
    texts = pack_counts(
        np.array([v for counts in several for v in counts], dtype=np.int64), lengths
    )
    assert [counts.tolist() for counts in unpack_batch(texts)] == several


@pytest.mark.parametrize("broken", ["0p", "x\x7f", "é"])
def test_one_broken_string_among_several_is_refused(broken):
    with pytest.raises(DataError):
        unpack_batch(["16", broken, "44"])


@given(st.data(), st.integers(1, 9), st.integers(1, 9))
def test_decoding_what_lies_in_the_tight_box(data, height, width):
    masks = data.draw(st.lists(hnp.arrays(bool, (height, width)), max_size=5))
    coded = [run_lengths.encode(mask) for mask in masks]
    for code in coded:
        if data.draw(st.booleans()):  # other tools leave empty runs in
            counts = run_lengths.counts_of(code).tolist()
            place = data.draw(st.integers(1, len(counts)))
            code["counts"] = [*counts[:place], 0, 0, *counts[place:]]
    for mask, code, (crop, x, y) in zip(masks, coded, run_lengths.decode_tight(coded), strict=True):
        whole = np.zeros((height, width), bool)
        whole[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
        assert np.array_equal(whole, mask)
        assert np.array_equal(run_lengths.decode(code), mask)
        if mask.any():
            assert run_lengths.to_bbox(code) == (x, y, x + crop.shape[1], y + crop.shape[0])


@given(st.lists(st.lists(st.integers(0, 30), max_size=9), max_size=4))
def test_edges_at_one_place_cancel(several):
    several = [sorted(edges) + [30] * (len(edges) % 2) for edges in several]
    texts = pack_edges(
        np.array([v for e in several for v in e], dtype=np.int64),
        np.array([len(e) for e in several], dtype=np.int64),
        30,
    )
    for edges, text in zip(several, texts):
        flat = np.zeros(31, dtype=int)
        np.add.at(flat, edges, 1)
        assert text == reference((np.cumsum(flat)[:30] % 2 == 1).reshape(1, 30).T)["counts"]


@pytest.mark.parametrize(
    "bad",
    [
        {"size": [4, 4], "counts": [3, 4]},
        {"size": [4, 4], "counts": [20]},
        {"size": [4, 4], "counts": [-4, 20]},
        {"size": [4, 4], "counts": [8.5, 7.5]},
        {"size": [4, 4], "counts": [float("nan")]},
        {"size": [4, 4], "counts": ["a"]},
        {"size": [4, 4], "counts": [[1], [2, 3]]},
        {"size": [4, 4], "counts": [10**40]},
        {"size": [4, 4], "counts": None},
        {"size": [4, 4], "counts": "PPPPPPPPPPPPPPPPPP0"},
        {"size": [4, 4], "counts": "P"},
        {"size": [4, 4], "counts": "\x7f\x7f"},
        {"size": [4, 4], "counts": "äö"},
        {"size": [4, 4]},
        {"size": [1 << 20, 1 << 20], "counts": [1 << 40]},
        {"size": [-1, 4], "counts": []},
        {"size": "44", "counts": []},
        {"size": [4], "counts": []},
        [1, 2],
        None,
    ],
)
def test_counts_that_lie_are_refused(bad):
    for use in (run_lengths.normalize, run_lengths.decode, run_lengths.area, run_lengths.to_bbox):
        with pytest.raises(DataError):
            use(bad)


@given(st.text(alphabet=st.characters(min_codepoint=40, max_codepoint=120), max_size=30))
def test_any_string_decodes_or_is_refused(text):
    try:
        mask = run_lengths.decode({"size": [6, 7], "counts": text})
    except DataError:
        return
    assert mask.shape == (6, 7)


def test_size_must_be_the_images():
    coded = run_lengths.encode(np.ones((4, 5), bool))
    with pytest.raises(DataError, match="5x4, but the image is 4x5"):
        run_lengths.normalize(coded, (5, 4))


def test_batches_are_the_single_results(rng):
    masks = rng.random((5, 9, 11)) < 0.5
    coded = run_lengths.encode_batch(masks)
    assert coded == [run_lengths.encode(mask) for mask in masks]
    assert np.array_equal([run_lengths.decode(one) for one in coded], masks)


CORNERS = st.floats(-10, 40, width=32)


@given(
    hnp.arrays(np.float64, (5, 2), elements=CORNERS),
    hnp.arrays(np.float64, (3, 2), elements=CORNERS),
)
def test_coco_fill_is_pycocotools(first, second):
    merged = coco_mask.merge(
        coco_mask.frPyObjects([first.ravel().tolist(), second.ravel().tolist()], 30, 35)
    )
    assert (
        coco_fill.from_polygons_coco([first, second.ravel()], 30, 35)["counts"]
        == merged["counts"].decode()
    )


@pytest.mark.parametrize(
    "bad",
    [[[0, 0, 1, 1]], [[0, 0, 1, 1, 2]], [[0, 0, 1, 1, 2, float("inf")]], [[0, 0, 1, 1, 9e6, 9e6]]],
)
def test_polygons_that_cannot_be_filled_are_refused(bad):
    with pytest.raises(DataError):
        coco_fill.from_polygons_coco(bad, 10, 10)
