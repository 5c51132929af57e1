"""Tests for finding the image that a label file's name means."""

import os
import unicodedata

import pytest

from bdd_inst.base.errors import DataError
from bdd_inst.images.finder import ImageFinder


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return ImageFinder(folder)


@pytest.mark.parametrize(
    ("there", "name"),
    [
        ("a.jpg", "a.jpg"),
        ("train/a.jpg", "train\\a.jpg"),
        ("a.jpg", "images\\1/a.jpg"),
        ("a.jpg", "..\\..\\label-studio\\media\\upload\\4\\a.jpg"),
        ("images/a.jpg", "export/images/a.jpg"),
        ("a.jpg", "C:\\Users\\me\\a.jpg"),
        ("a.jpg", "/home/me/a.jpg"),
        ("a b.jpg", "a%20b.jpg"),
        ("a%20b.jpg", "a b.jpg"),
        (unicodedata.normalize("NFD", "Müller é.jpg"), "Müller é.jpg"),
        ("Müller é.jpg", unicodedata.normalize("NFD", "Müller é.jpg")),
        ("IMG_1.JPG", "IMG_1.jpg"),
        ("IMG_1.JPG", "img_1.jpg"),
        ("a.jpg", "a"),
        ("a.jpg", "a.png"),
        ("v1.2.jpg", "v1.2"),
        ("a.jfif", "a.jfif"),
        ("a.gif", "a.gif"),
        ("a.avif", "a.jpg"),
        ("a.raw", "a.raw"),
    ],
)
def test_names_are_found_however_they_are_spelled(tmp_path, there, name):
    assert make(tmp_path, there, "other.jpg").find(name) == tmp_path / there


@pytest.mark.parametrize("name", ["b.jpg", "", "..", "a\0.jpg", "x" * 5000, "\udcff.jpg", "1.2"])
def test_what_is_not_there_is_none(tmp_path, name):
    assert make(tmp_path, "a.jpg").find(name) is None


def test_nothing_outside_the_folder_is_found(tmp_path):
    (tmp_path / "secret.raw").write_bytes(b"")
    finder = make(tmp_path / "in", "a.jpg")
    for name in ("../secret.raw", str(tmp_path / "secret.raw"), "..\\secret.raw"):
        assert finder.find(name) is None
    assert finder.find("secret.raw", "..") is None


def test_the_exact_name_comes_first_and_folders_decide(tmp_path):
    finder = make(tmp_path, "train/a.jpg", "val/a.jpg", "a b.jpg", "a%20b.jpg", "x.jpg", "x.png")
    assert finder.find("val/a.jpg") == tmp_path / "val/a.jpg"
    assert finder.find("data/train/a.jpg") == tmp_path / "train/a.jpg"
    assert finder.find("a.jpg", "val") == tmp_path / "val/a.jpg"
    assert finder.find("a%20b.jpg").name == "a%20b.jpg"
    assert finder.find("a b.jpg").name == "a b.jpg"
    assert finder.find("x.png").name == "x.png"
    with pytest.raises(
        DataError, match="a.jpg: 2 images could be meant .*train/a.jpg and .*val/a.jpg"
    ):
        finder.find("a.jpg")
    with pytest.raises(DataError, match="x.jpg and .*x.png"):
        finder.find("x.bmp")


def test_no_folder_is_listed_twice(tmp_path):
    make(tmp_path, "b/a.jpg", ".hidden/c.jpg")
    os.symlink(tmp_path / "b", tmp_path / "a_link")
    os.symlink(tmp_path, tmp_path / "b" / "loop")
    finder = ImageFinder(tmp_path)
    assert finder.names() == ["b/a.jpg"]
    assert len(finder) == 1
    assert finder.find("a.jpg") == tmp_path / "b" / "a.jpg"
    outside = make(tmp_path / "other", "z.jpg")
    os.symlink(tmp_path / "b", tmp_path / "other" / "link")
    assert outside.names() == ["link/a.jpg", "z.jpg"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="no such folder of images"):
        ImageFinder(tmp_path / "none")
