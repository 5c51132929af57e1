"""The fashion set: its split, its two targets, instances by class or by component, and its faults."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bdd_inst.datasets.fashion import SPLITS, load_fashion
from bdd_inst.datasets.layout import MissingDataError
from bdd_inst.masks import run_lengths

from .conftest import write_image


def write_mask(path, values, mode="P"):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values.astype(np.uint8))
    if mode == "P":
        image.putpalette([(7 * i) % 256 for i in range(768)])
    image.save(path)


@pytest.fixture
def root(tmp_path):
    """Samples 1 (good), 2 (mask of another size), 3 (no mask), 4 (no image), 301 (good)."""
    base = tmp_path / "fashion"
    for number in (1, 2, 3, 301):
        write_image(base / "images" / f"{number:04d}.jpg", 40, 60)
    values = np.zeros((60, 40))
    values[5:20, 5:20] = 1
    values[30:40, 5:15] = 4
    values[30:40, 25:35] = 4
    values[50:52, 30:33] = 4
    values[55, 3] = 9
    for number in (1, 4, 301):
        write_mask(base / "labels" / f"{number:04d}_clothes.png", values)
        write_mask(base / "labels" / f"{number:04d}_person.png", values > 0)
    write_mask(base / "labels" / "0002_clothes.png", np.ones((30, 40)))
    return tmp_path


def test_one_instance_a_class_from_palette_indices(root):
    records = load_fashion(root, "clothes", "train")
    (image,) = records.dicts
    assert [a["category_id"] for a in image["annotations"]] == [0, 3]
    assert [run_lengths.area(a["segmentation"]) for a in image["annotations"]] == [225, 206]
    assert image["annotations"][0]["bbox"] == [5.0, 5.0, 20.0, 20.0]
    assert records.metadata["mask_rule"] == "pixels"


def test_one_instance_a_component_and_specks_are_counted(root):
    records = load_fashion(root, "clothes", "train", instances="component")
    assert [a["category_id"] for a in records.dicts[0]["annotations"]] == [0, 3, 3]
    assert records.problems.counts["speck"] == 1


def test_what_is_wrong_is_counted(root):
    counts = load_fashion(root, "clothes", "train").problems.counts
    assert dict(counts) == {
        "wrong-size-image": 1,
        "image-without-labels": 1,
        "missing-image": 1,
        "unknown-category": 1,
        "missing-sample": 296,
    }


def test_the_split_is_fifty_ten_forty_and_by_number(root):
    assert [len(SPLITS[s]) for s in ("train", "val", "test")] == [300, 60, 240]
    assert [d["image_id"] for d in load_fashion(root, "person", "val").dicts] == [301]
    with pytest.raises(MissingDataError, match="fashion_person_test"):
        load_fashion(root, "person", "test")


def test_the_real_set(shared_dir, tmp_path):
    """Figures of the set itself: a person in every image; skin in all, hair in 597 of 600; masks 22.55 % person over all 600."""
    (tmp_path / "fashion").symlink_to(shared_dir / "data" / "fashion")
    persons = load_fashion(tmp_path, "person", "train").dicts
    assert len(persons) == 300
    assert all(len(d["annotations"]) == 1 for d in persons)
    share = np.mean(
        [
            run_lengths.area(d["annotations"][0]["segmentation"]) / (d["height"] * d["width"])
            for d in persons
        ]
    )
    assert 0.19 < share < 0.26
    clothes = load_fashion(tmp_path, "clothes", "val")
    assert len(clothes.dicts) == 60
    assert all(0 in {a["category_id"] for a in d["annotations"]} for d in clothes.dicts)
    assert not clothes.problems
