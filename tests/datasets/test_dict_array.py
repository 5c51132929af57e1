"""Dicts as flat arrays: what goes in comes out, on access, from memory and from a mapped file."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdd_inst.base.errors import ProblemLog
from bdd_inst.datasets.cache import MappedDicts, load, save
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.datasets.dict_array import DictArray
from bdd_inst.structures import BoxMode

numbers = st.floats(allow_nan=False, allow_infinity=False, width=64) | st.integers(0, 100000).map(
    lambda i: i / 100
)
identities = st.none() | st.integers(-(2**62), 2**62) | st.text(max_size=5)
flags = st.fixed_dictionaries(
    {"occluded": st.booleans()},
    optional={"trafficLightColor": st.sampled_from(["R", "G"]), "id": identities},
)


def masks(height, width):
    polygons = st.lists(st.lists(numbers, min_size=6, max_size=8), max_size=3)
    rles = st.text("0123abc", max_size=9).map(
        lambda text: {"size": [height, width], "counts": text}
    )
    odd = st.just({"size": [height + 1, width], "counts": "04"})
    return polygons | rles | odd


@st.composite
def images(draw):
    height, width = draw(st.integers(1, 9999)), draw(st.integers(1, 9999))
    objects = st.fixed_dictionaries(
        {
            "bbox": st.lists(numbers, min_size=4, max_size=4),
            "bbox_mode": st.sampled_from([BoxMode.XYXY_ABS, BoxMode.XYWH_ABS]),
            "category_id": st.integers(0, 200),
            "iscrowd": st.integers(0, 1),
        },
        optional={"segmentation": masks(height, width), "attributes": flags, "area": numbers},
    )
    record = {
        "file_name": draw(st.text(min_size=1, max_size=12)),
        "height": height,
        "width": width,
        "image_id": draw(identities),
    }
    if draw(st.booleans()):
        record["attributes"] = {"weather": draw(st.sampled_from(["clear", "rainy"]))}
    if draw(st.booleans()):
        record["annotations"] = draw(st.lists(objects, max_size=4))
    return record


@given(st.lists(images(), max_size=5))
def test_what_goes_in_comes_out(dicts):
    before = copy.deepcopy(dicts)
    array = DictArray.from_dicts(dicts)
    assert list(array) == before
    assert [array[i] for i in range(len(array))] == before
    assert dicts == before


@pytest.fixture
def dicts():
    def one(category, crowd=0, polygon=(1.25, 2.5, 8.75, 2.5, 3.0, 7.01)):
        return {
            "bbox": [1.0, 2.0, 9.0, 8.0],
            "bbox_mode": BoxMode.XYXY_ABS,
            "category_id": category,
            "iscrowd": crowd,
            "segmentation": [list(polygon)],
            "attributes": {"id": f"n{category}"},
        }

    sizes = [(10, 20), (30, 15), (8, 8)]
    objects = [
        [one(0), one(3, crowd=1)],
        [one(2, crowd=1)],
        [one(1), one(1, polygon=(1 / 3, 0.1, 2.0, 2.0, 5.0, 6.0))],
    ]
    return [
        {"file_name": f"{i}.jpg", "height": h, "width": w, "image_id": i, "annotations": o}
        for i, ((h, w), o) in enumerate(zip(sizes, objects))
    ]


def test_views_for_samplers_agree_with_the_dicts(dicts):
    array = DictArray.from_dicts(dicts)
    assert array.is_wide.tolist() == [True, False, False]
    assert array.object_counts().tolist() == [2, 1, 2]
    assert array.object_counts(crowds=False).tolist() == [1, 0, 2]
    assert array.category_sets() == [{0, 3}, {2}, {1}]
    chosen = array.select(np.array([True, False, True]))
    assert list(chosen) == [dicts[0], dicts[2]]
    assert list(chosen[::-1]) == [dicts[2], dicts[0]]
    assert chosen.category_sets() == [{0, 3}, {1}]
    assert chosen[-1] == dicts[2]


def test_an_accessed_dict_may_be_changed(dicts):
    array = DictArray.from_dicts(dicts)
    array[0]["annotations"][0]["attributes"]["id"] = "other"
    array[0]["annotations"].clear()
    assert array[0] == dicts[0]


def test_coordinates_of_two_decimals_are_kept_as_whole_numbers_and_others_exactly(dicts):
    assert DictArray.from_dicts(dicts[:2]).arrays["numbers"].dtype == np.int32
    assert DictArray.from_dicts(dicts).arrays["numbers"].dtype == np.float64


def test_a_file_gives_back_dicts_metadata_and_problems(dicts, tmp_path):
    problems = ProblemLog()
    problems.add("missing-image", "9.jpg", "not there", count=3)
    path = tmp_path / "x.dataset"
    save(path, DatasetRecords(dicts, {"thing_classes": ["a"], "ids": {1: 0}}, problems))
    records = load(path)
    assert list(records.dicts) == dicts
    assert records.metadata == {"thing_classes": ["a"], "ids": {1: 0}}
    assert records.problems.lines() == problems.lines()
    assert not records.dicts.arrays["numbers"].flags.writeable


def test_another_process_gets_the_file_not_the_data(dicts, tmp_path):
    many = [dict(d, file_name=f"{k}/{d['file_name']}") for k in range(400) for d in dicts]
    save(tmp_path / "x.dataset", DatasetRecords(many, {}))
    part = load(tmp_path / "x.dataset").dicts.select(np.array([1, 0]))
    sent = pickle.dumps(part)
    assert len(sent) < 1000
    assert isinstance(pickle.loads(sent), MappedDicts)
    assert list(pickle.loads(sent)) == [many[1], many[0]]


@pytest.mark.parametrize("keep", [0, 10, 100, 0.5, 0.99])
def test_a_file_that_breaks_off_is_refused(dicts, tmp_path, keep):
    path = tmp_path / "x.dataset"
    save(path, DatasetRecords(dicts, {}))
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if keep < 1 else int(keep)])
    with pytest.raises(ValueError):  # noqa: PT011 (several kinds, msgspec's among them)
        load(path)
