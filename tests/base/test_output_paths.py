"""Tests for where results go: inside the folder, under names that every system allows, one for each name."""

import os
import unicodedata

import pytest

from bdd_inst.base.cache_folder import cache_folder
from bdd_inst.base.errors import DataError
from bdd_inst.base.files import atomic_write
from bdd_inst.base.output_paths import OutputPaths, output_name, refuse_overlap

NAMES = (
    "..", "../a.jpg", "a\0b/c.jpg", "\udcff.jpg", "x" * 300 + ".jpg", "ü" * 200 + ".tif", "/".join(["d" * 200] * 30),
    "con.png", "b?.jpg", "a.tif", "", "C:\\x\\y.jpg", "a\n.jpg", ". ./.jpg",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", [None, ".png"])
def test_every_name_becomes_a_file_inside_the_folder(tmp_path, name, suffix):
    path = OutputPaths(tmp_path / "out", suffix)(name)
    with atomic_write(path) as stream:
        stream.write("x")
    assert os.path.realpath(path).startswith(os.path.realpath(tmp_path / "out") + os.sep)
    assert path.name.encode("utf-8")
    assert suffix is None or path.suffix == suffix


def test_ordinary_names_stay_as_they_are():
    for name in ("a.jpg", "video 1/frame-0001.jpg", "Müller 图片.png", "v1.2/x.jpeg"):
        assert output_name(name) == name
    assert output_name("train/a.jpg", ".png") == "train/a.png"
    assert output_name("v1.2", ".png") == "v1.2.png"
    assert output_name("a.tif", ".png", keep=(".jpg",)) == "a.tif.png"


def test_no_two_names_share_a_file(tmp_path):
    names = [
        "a.tif",
        "a.tif.png",
        "b?.jpg",
        "b_.jpg",
        "b*.jpg",
        "../a.jpg",
        "a.jpg",
        "x" * 300,
        "x" * 301,
        # One file where capitals do not count, or accents are written apart.
        "A.jpg",
        "\u00e9.jpg",
        "e\u0301.jpg",
    ]
    places = OutputPaths(tmp_path, ".png", keep=(".jpg", ".png"))
    found = [places(name) for name in names]
    alike = {unicodedata.normalize("NFC", str(path)).casefold() for path in found}
    assert len(alike) == len(set(found)) == len(names)
    assert [places(name) for name in names] == found


def test_an_output_in_an_input_is_refused(tmp_path):
    images = tmp_path / "pictures"
    images.mkdir()
    (tmp_path / "link").symlink_to(images)
    labels = tmp_path / "labels.json"
    labels.write_text("[]")
    for output in (images, images / "out", tmp_path / "link" / "out", labels):
        with pytest.raises(DataError, match="name another folder"):
            refuse_overlap(output, None, images, labels)
    refuse_overlap(tmp_path / "out", images, labels)
    refuse_overlap(tmp_path, images, labels)


@pytest.mark.parametrize(
    ("given", "xdg", "expected"),
    [
        (None, None, "home/.cache/bdd_inst"),
        (None, "xdg", "xdg/bdd_inst"),
        ("own", "xdg", "own"),
        ("", "xdg", None),
        ("~/c", None, "home/c"),
    ],
)
def test_one_rule_for_the_cache(tmp_path, monkeypatch, given, xdg, expected):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for key, value in (("BDD_INST_CACHE", given), ("XDG_CACHE_HOME", xdg)):
        if value is None:
            monkeypatch.delenv(key, raising=False)
        else:
            monkeypatch.setenv(key, str(tmp_path / value) if value and value[0] != "~" else value)
    assert cache_folder() == (tmp_path / expected if expected else None)
