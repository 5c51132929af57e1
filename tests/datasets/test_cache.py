"""The cache: parsed once, parsed anew when what it came from changes, never in the way."""

from __future__ import annotations

import os

import pytest

from bdd_inst.base.errors import ProblemLog
from bdd_inst.datasets.bdd100k import load_bdd100k
from bdd_inst.datasets.cache import cached
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.datasets.dict_array import DictArray

from .conftest import write_image


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("BDD_INST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Counting:
    """A builder that counts how often it is asked."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return DatasetRecords(
            [
                {
                    "file_name": "a.jpg",
                    "height": 1,
                    "width": 2,
                    "image_id": self.calls,
                    "annotations": [],
                }
            ],
            {},
        )


def test_parsed_once_until_file_folder_or_options_change(home, tmp_path):
    labels, images, build = tmp_path / "labels.json", tmp_path / "images", Counting()
    labels.write_text("[1]")
    images.mkdir()

    def ask(**options):
        return cached([labels, images], options, build).dicts[0]["image_id"]

    assert ask() == ask() == 1
    os.utime(labels, ns=(1, 1))
    assert ask() == 1  # touched, but of the same content
    labels.write_text("[2]")
    assert ask() == 2
    write_image(images / "new.jpg")
    assert ask() == 3
    assert ask(rule="coco") == 4
    assert ask() == 3


def test_a_damaged_cache_file_is_parsed_anew(home, tmp_path):
    labels, build = tmp_path / "labels.json", Counting()
    labels.write_text("[1]")
    cached([labels], {}, build)
    (path,) = home.glob("*.dataset")
    path.write_bytes(path.read_bytes()[:40])
    assert cached([labels], {}, build).dicts[0]["image_id"] == 2
    assert cached([labels], {}, build).dicts[0]["image_id"] == 2


def test_a_cache_that_cannot_be_written_or_is_switched_off_changes_nothing(tmp_path, monkeypatch):
    labels = tmp_path / "labels.json"
    labels.write_text("[1]")
    for place in ("", str(labels / "below-a-file")):
        monkeypatch.setenv("BDD_INST_CACHE", place)
        dicts = cached([labels], {}, Counting()).dicts
        assert isinstance(dicts, DictArray)
        assert dicts[0]["image_id"] == 1


def test_the_cached_data_set_is_the_parsed_one(home, bdd_root, monkeypatch):
    first, second = load_bdd100k(bdd_root), load_bdd100k(bdd_root)
    monkeypatch.setenv("BDD_INST_CACHE", "")
    parsed = load_bdd100k(bdd_root)
    assert list(first.dicts) == list(second.dicts) == list(parsed.dicts)
    assert first.metadata == second.metadata == parsed.metadata
    assert second.problems.lines() == parsed.problems.lines()


def test_what_the_cache_cannot_say_is_used_all_the_same(home, tmp_path):
    """A category id of more than 64 bits, a name that is no UTF-8."""
    (tmp_path / "a.json").write_text("[]")
    for value in (10**30, "\udcff"):
        metadata = {"thing_classes": ["a"], "odd": value}
        records = DatasetRecords([], metadata, ProblemLog())
        found = cached([tmp_path / "a.json"], {"odd": repr(value)}, lambda r=records: r)
        assert found.metadata["odd"] == value
