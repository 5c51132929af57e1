"""YOLO's folders as its exporters write them: where images and labels lie, frames of one name, and how classes are named."""

from __future__ import annotations

import pytest
from PIL import Image

from bdd_inst import formats
from bdd_inst.base.errors import DataError

ULTRALYTICS = ("images/train/v1/0001", "images/train/v2/0001", "images/val/v3/0002")
ROBOFLOW = ("train/images/0001", "valid/images/0001", "valid/images/0002")


def make(root, stems, names="[cat, dog]"):
    for width, stem in enumerate(stems, 10):
        image, text = root / f"{stem}.png", root / f"{stem.replace('images', 'labels')}.txt"
        image.parent.mkdir(parents=True, exist_ok=True)
        text.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, 8)).save(image)
        text.write_text("1 0.1 0.1 0.5 0.1 0.5 0.6\n")
    (root / "data.yaml").write_text(f"path: ../elsewhere\ntrain: images\\train\nnames: {names}\n")
    return root


@pytest.mark.parametrize("stems", [ULTRALYTICS, ROBOFLOW])
@pytest.mark.parametrize("images", [False, True])
def test_frames_of_one_name_stay_apart(stems, images, tmp_path):
    root = make(tmp_path, stems)
    labels = formats.read(root / "data.yaml", images=root if images else None).load()
    assert not labels.problems
    found = {image.width: image.name for image in labels.images}
    assert found == {10: f"{stems[0]}.png", 11: f"{stems[1]}.png", 12: "0002.png"}


def test_an_image_that_two_files_could_be_costs_itself(tmp_path):
    root = make(tmp_path / "set", ["images/0001", "images/0002"])
    for folder in ("x", "y"):
        (tmp_path / "all" / folder).mkdir(parents=True)
        Image.new("RGB", (10, 8)).save(tmp_path / "all" / folder / "0001.png")
    Image.new("RGB", (10, 8)).save(tmp_path / "all/0002.png")
    labels = formats.read(root, images=tmp_path / "all").load()
    assert [image.name for image in labels.images] == ["0002.png"]
    assert labels.problems.counts == {"ambiguous-image": 1}


@pytest.mark.parametrize(
    "names", ["[cat, dog]", "{0: cat, 1: dog}", "{'0': cat, '1': dog}", "{1: dog, 0: cat}"]
)
def test_names_are_a_list_or_numbered(names, tmp_path):
    labels = formats.read(make(tmp_path, ULTRALYTICS[:1], names)).load()
    assert labels.categories == ("cat", "dog")
    assert labels.images[0].instances[0].category == "dog"


@pytest.mark.parametrize("names", ["{0: cat, 2: dog}", "[]", "cat"])
def test_names_with_gaps_are_refused(names, tmp_path):
    with pytest.raises(DataError, match="no classes under 'names'"):
        formats.read(make(tmp_path, ULTRALYTICS[:1], names))
