"""One verdict on an RLE, whoever reads it: the COCO and Scalabel readers, results files, and the masks room itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdd_inst import formats
from bdd_inst.base.errors import DataError
from bdd_inst.evaluation.ground_truth import GroundTruthBuilder
from bdd_inst.evaluation.results_file import read_results
from bdd_inst.masks import run_lengths
from bdd_inst.masks.rle_check import CHUNK, rle_faults
from bdd_inst.masks.rle_text import pack_counts, unpack

SIZE = [4, 5]


def text_of(runs: list[int]) -> str:
    return pack_counts(np.array(runs, np.int64), np.array([len(runs)]))[0]


RLES = {
    "sound": ({"size": SIZE, "counts": text_of([3, 5, 12])}, True),
    "empty runs": ({"size": SIZE, "counts": text_of([3, 5, 0, 0, 12])}, True),
    "one byte too few": ({"size": SIZE, "counts": text_of([3, 5, 12])[:-1]}, False),
    "short": ({"size": SIZE, "counts": text_of([3, 5, 11])}, False),
    "long": ({"size": SIZE, "counts": text_of([3, 5, 13])}, False),
    # Adds up, and is the mask of no image: the sum alone does not tell.
    "a negative run": ({"size": SIZE, "counts": text_of([12, -2, 10])}, False),
    "a negative run later": ({"size": SIZE, "counts": text_of([1, 2, 12, -2, 7])}, False),
    "nothing": ({"size": SIZE, "counts": ""}, False),
    "foreign characters": ({"size": SIZE, "counts": "3é"}, False),
    "cut in a number": ({"size": SIZE, "counts": text_of([3, 5, 12]) + "P"}, False),
    "a run of 2**45": ({"size": SIZE, "counts": "PPPPPPPPP0"}, False),
    # An image that no reader would decode.
    "huge": ({"size": [1 << 15, 1 << 15], "counts": text_of([1 << 26] * 16)}, False),
    "negative size": ({"size": [-4, -5], "counts": text_of([3, 5, 12])}, False),
}


@pytest.fixture(params=RLES)
def case(request):
    return RLES[request.param]


def test_the_masks_room(case):
    rle, sound = case
    assert (not rle_faults([rle])) == sound
    if sound:
        assert run_lengths.area(run_lengths.normalize(rle)) == 5
        return
    with pytest.raises(DataError, match="RLE"):
        run_lengths.normalize(rle)
    with pytest.raises(DataError, match="RLE"):
        run_lengths.decode(rle)


def test_the_readers(case, tmp_path):
    rle, sound = case
    path = tmp_path / "coco.json"
    # No size of its own: what is wrong with the mask is the mask's alone.
    image = {"id": 1, "file_name": "a.jpg"}
    label = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2], "segmentation": rle}
    content = {
        "images": [image],
        "annotations": [label],
        "categories": [{"id": 1, "name": "car"}],
    }
    path.write_text(json.dumps(content))
    labels = formats.read(path).load()
    assert dict(labels.problems.counts) == ({} if sound else {"bad-rle": 1})
    assert (labels.images[0].instances[0].rle is not None) == sound
    box = {"x1": 0, "y1": 0, "x2": 1, "y2": 1}
    frame = {"name": "a.jpg", "labels": [{"id": "1", "category": "car", "box2d": box, "rle": rle}]}
    path.write_text(json.dumps([frame]))
    labels = formats.read(path).load()
    assert dict(labels.problems.counts) == ({} if sound else {"bad-rle": 1})


def test_results(case, tmp_path):
    rle, sound = case
    path = tmp_path / "results.json"
    entry = {"image_id": 1, "category_id": 1, "score": 0.5}
    path.write_text(json.dumps([entry | {"segmentation": rle}]))
    builder = GroundTruthBuilder(["car"], [1], "truth")
    builder.image(1, "a.jpg", None, None)
    truth = builder.build()
    if sound:
        assert read_results(path, truth).masks == [rle]
        return
    with pytest.raises(DataError, match="entry 1.*RLE"):
        read_results(path, truth)


@pytest.mark.parametrize(
    "counts",
    [
        "35<",
        b"35<",
        "b'35<'",
        'b"35<"',
        [3, 5, 12],
        (3.0, 5.0, 12.0),
        np.array([3, 5, 12]),
        [3, 2, 0, 3, 12],
    ],
    ids=str,
)
def test_every_spelling_is_one_mask(counts):
    expected = {"size": SIZE, "counts": text_of([3, 5, 12])}
    assert run_lengths.normalize({"size": [4.0, 5], "counts": counts}) == expected
    assert run_lengths.normalize({"counts": counts}, default=(4, 5)) == expected
    assert run_lengths.normalize(counts, (4, 5), default=(4, 5)) == expected


def test_a_size_that_is_demanded_is_checked():
    with pytest.raises(DataError, match="image of 5x4, but the image is 4x5"):
        run_lengths.normalize({"size": SIZE, "counts": "35<"}, (5, 4))
    with pytest.raises(DataError, match=r"needs a size \[height, width\]"):
        run_lengths.normalize({"counts": "35<"})


@given(st.lists(st.lists(st.integers(-3, 40), max_size=6), max_size=6), st.data())
def test_all_at_once_is_one_by_one(several, data):
    texts = [text_of(runs) for runs in several]
    for i in range(len(texts)):
        cut = data.draw(st.sampled_from(["", "", "~", "P", "\x7f"]))
        texts[i] += cut
    counts, lengths, faults = unpack(texts)
    start = 0
    for text, length, fault in zip(texts, lengths.tolist(), faults.tolist(), strict=True):
        alone = unpack([text])
        assert alone.faults.tolist() == [fault]
        if not fault:
            assert alone.counts.tolist() == counts[start : start + length].tolist()
        start += length


def test_the_place_of_a_fault_is_told_beyond_a_chunk():
    rles = [{"size": SIZE, "counts": "35<"}] * (CHUNK + 3)
    rles[CHUNK + 1] = {"size": SIZE, "counts": "35;"}
    assert list(rle_faults(rles)) == [CHUNK + 1]
    assert "covers 19 pixels, but its image has 20" in rle_faults(rles)[CHUNK + 1]
