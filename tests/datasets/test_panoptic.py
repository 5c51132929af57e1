"""Panoptic data sets: bitmasks, outlines that overlap, COCO's JSON with its PNGs; things and stuff apart, nothing dropped unsaid."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from bdd_inst.base import vocabulary as words
from bdd_inst.data.panoptic import segments_of, stuff_map_of
from bdd_inst.datasets.catalog import DatasetCatalog, MetadataCatalog
from bdd_inst.datasets.coco_panoptic import load_coco_2017_panoptic
from bdd_inst.datasets.layout import MissingDataError
from bdd_inst.datasets.panoptic import load_bdd100k_pan_seg
from bdd_inst.formats.bitmask import BitmaskInstance, to_bitmask, write_bitmask
from bdd_inst.formats.panoptic_png import write_ids
from bdd_inst.masks import run_lengths

from .conftest import label, write_image, write_json

ROAD, SKY, CAR, PERSON = (
    words.BDD100K_PAN_SEG.index(n) + 1 for n in ("road", "sky", "car", "person")
)
HEIGHT, WIDTH = 48, 64


def rectangle(rows: slice, columns: slice) -> dict:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[rows, columns] = True
    return run_lengths.encode(mask)


def pixels(rle: dict) -> np.ndarray:
    return run_lengths.decode(rle).astype(bool)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("BDD_INST_CACHE", "")
    write_image(tmp_path / "bdd100k/images/10k/val/a.jpg")
    return tmp_path


def test_bitmasks_become_things_and_stuff(root):
    folder = root / "bdd100k/labels/pan_seg/bitmasks/val"
    folder.mkdir(parents=True)
    instances = [
        BitmaskInstance(rectangle(slice(0, 20), slice(None)), SKY, SKY),
        BitmaskInstance(rectangle(slice(30, 48), slice(0, 40)), ROAD, ROAD),
        BitmaskInstance(rectangle(slice(20, 30), slice(0, 8)), ROAD, 60),  # a second piece of road
        BitmaskInstance(rectangle(slice(20, 30), slice(10, 30)), CAR, 31, occluded=True),
        BitmaskInstance(rectangle(slice(20, 30), slice(40, 50)), PERSON, 32, crowd=True),
    ]
    write_bitmask(folder / "a.png", to_bitmask(instances, HEIGHT, WIDTH))
    loaded = load_bdd100k_pan_seg(root, "val")
    (record,) = loaded.dicts
    car, crowd = record["annotations"]
    assert (car["category_id"], crowd["category_id"]) == (4, 0)
    assert (car["iscrowd"], crowd["iscrowd"]) == (0, 1)
    assert car["bbox"] == [10, 20, 30, 30]
    assert car["attributes"]["occluded"]
    assert [s["category_id"] for s in record["segments_info"]] == [ROAD, SKY]
    assert not any(s["isthing"] for s in record["segments_info"])
    stuff = stuff_map_of(record, 255)
    assert stuff[0, 0] == SKY
    assert stuff[25, 4] == stuff[40, 4] == ROAD
    assert stuff[25, 20] == stuff[25, 45] == 0  # things, crowds of them too
    assert stuff[25, 35] == 255
    assert loaded.metadata["stuff_classes"][:2] == ["things", "dynamic"]
    assert loaded.metadata["thing_dataset_id_to_contiguous_id"][CAR] == 4
    assert loaded.metadata["stuff_dataset_id_to_contiguous_id"][ROAD] == ROAD


def test_outlines_are_drawn_in_file_order_and_share_no_pixel(root):
    square = [[10.0, 10.0], [30.0, 10.0], [30.0, 24.0], [10.0, 24.0]]
    whole = [[0.0, 0.0], [64.0, 0.0], [64.0, 48.0], [0.0, 48.0]]
    below = [[0.0, 30.0], [64.0, 30.0], [64.0, 48.0], [0.0, 48.0]]
    hidden = [[12.0, 12.0], [14.0, 12.0], [14.0, 14.0], [12.0, 14.0]]
    labels = [
        label("1", "sky", vertices=whole),
        label("2", "person", vertices=hidden),
        label("3", "car", vertices=square),
        label("4", "road", vertices=below),
        label("5", "spaceship"),
    ]
    path = root / "bdd100k/labels/pan_seg/polygons/pan_seg_val.json"
    write_json(path, [{"name": "a.jpg", "labels": labels}])
    loaded = load_bdd100k_pan_seg(root, "val")
    (record,) = loaded.dicts
    assert [a["category_id"] for a in record["annotations"]] == [4]
    masks = [record["annotations"][0]["segmentation"]]
    masks += [s["segmentation"] for s in record["segments_info"]]
    assert (sum(pixels(m).astype(int) for m in masks) == 1).all()
    assert dict(loaded.problems.counts) == {"unknown-category": 1, "hidden-objects": 1}
    ids, segments = segments_of(record)
    assert [(s["isthing"], s["category_id"]) for s in segments] == [
        (False, SKY),
        (False, ROAD),
        (True, 4),
    ]
    assert [s["id"] for s in segments] == [1, 2, 3]
    assert ids[15, 20] == 3


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(MissingDataError, match="Panoptic Segmentation"):
        load_bdd100k_pan_seg(tmp_path, "train")
    with pytest.raises(MissingDataError, match="Panoptic Train/Val annotations"):
        load_coco_2017_panoptic(tmp_path, "val")


@pytest.fixture
def coco(tmp_path, monkeypatch):
    """Three images: with both annotations, without segments, and with a segment of an unknown class."""
    monkeypatch.setenv("BDD_INST_CACHE", "")
    base = tmp_path / "coco"
    for name in ("one", "two", "three"):
        write_image(base / "val2017" / f"{name}.jpg")
    images = [
        {"id": n, "file_name": f"{name}.jpg", "width": WIDTH, "height": HEIGHT}
        for n, name in enumerate(("one", "two", "three"), 1)
    ]
    dog = {
        "id": 1, "image_id": 1, "category_id": 18, "bbox": [4, 4, 20, 20], "area": 400, "iscrowd": 0,
        "segmentation": [[4.0, 4.0, 24.0, 4.0, 24.0, 24.0, 4.0, 24.0]],
    }  # fmt: skip
    categories = [{"id": n, "name": name} for n, name in words.COCO_INSTANCES.items()]
    write_json(
        base / "annotations/instances_val2017.json",
        {"images": images, "annotations": [dog], "categories": categories},
    )
    ids = np.zeros((HEIGHT, WIDTH), np.uint32)
    ids[:30], ids[4:24, 4:24] = 70000, 300
    (base / "panoptic_val2017").mkdir(parents=True)
    write_ids(base / "panoptic_val2017/one.png", ids)
    segments = [
        {"id": 70000, "category_id": 187, "iscrowd": 0, "area": 1},
        {"id": 300, "category_id": 18, "iscrowd": 0, "area": 1},
    ]
    rows = [
        {"image_id": 1, "file_name": "one.png", "segments_info": segments},
        {"image_id": 3, "file_name": "three.png", "segments_info": [{"id": 1, "category_id": 999}]},
    ]
    path = base / "annotations/panoptic_val2017.json"
    path.write_text(json.dumps({"images": images, "annotations": rows, "categories": []}))
    return tmp_path


def test_coco_separated(coco):
    loaded = load_coco_2017_panoptic(coco, "val")
    (record,) = loaded.dicts
    assert os.path.basename(record["file_name"]) == "one.jpg"
    assert [a["category_id"] for a in record["annotations"]] == [16]
    assert record["segments_info"] == [
        {"id": 70000, "category_id": 40, "isthing": False, "iscrowd": 0},
        {"id": 300, "category_id": 16, "isthing": True, "iscrowd": 0},
    ]
    assert loaded.metadata["stuff_classes"][40] == "sky"
    assert len(loaded.metadata["stuff_classes"]) == 54
    assert loaded.metadata["stuff_dataset_id_to_contiguous_id"][187] == 40
    assert dict(loaded.problems.counts) == {"bad-label": 1, "image-without-labels": 2}
    stuff = stuff_map_of(record, 255)
    assert np.unique(stuff).tolist() == [0, 40, 255]
    assert stuff[10, 10] == 0
    alone = load_coco_2017_panoptic(coco, "val", stuff_only=True)
    assert "annotations" not in alone.dicts[0]
    np.testing.assert_array_equal(stuff_map_of(alone.dicts[0], 255), stuff)


@pytest.mark.parametrize(
    ("name", "things", "stuff"),
    [
        ("bdd100k_pan_seg_train", 10, 31),
        ("coco_2017_train_panoptic_separated", 80, 54),
        ("coco_2017_val_panoptic_stuffonly", 80, 54),
        ("synthetic_bdd_pan_seg_val", 10, 31),
    ],
)
def test_classes_are_known_before_anything_is_loaded(name, things, stuff):
    assert name in DatasetCatalog
    known = MetadataCatalog.get(name)
    assert (len(known.thing_classes), len(known.stuff_classes)) == (things, stuff)
