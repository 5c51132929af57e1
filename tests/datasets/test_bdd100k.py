"""BDD100K's loader: what comes out, and that everything left out is counted by its reason."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from bdd_inst.base import vocabulary as classes
from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.datasets.bdd100k import load_bdd100k
from bdd_inst.datasets.layout import MissingDataError
from bdd_inst.masks import rasterize, run_lengths
from bdd_inst.structures import BoxMode

from .conftest import SQUARE, label, write_image, write_json


def by_name(records):
    return {os.path.basename(d["file_name"]): d for d in records.dicts}


def test_dicts_are_detectron2s_and_attributes_travel_along(bdd_root):
    records = load_bdd100k(bdd_root)
    image = by_name(records)["a.jpg"]
    assert (image["width"], image["height"]) == (64, 48)
    assert image["attributes"] == {
        "weather": "clear",
        "scene": "city street",
        "timeofday": "night",
    }
    car, person, trailer, crowd = image["annotations"]
    assert [a["category_id"] for a in (car, person, trailer, crowd)] == [2, 0, 3, 2]
    assert car["bbox_mode"] == BoxMode.XYXY_ABS
    assert (car["attributes"]["occluded"], car["attributes"]["truncated"]) == (True, True)
    assert [a["iscrowd"] for a in (car, person, trailer, crowd)] == [0, 0, 1, 1]
    assert (trailer["attributes"]["ignored"], trailer["attributes"]["crowd"]) == (True, False)
    assert (crowd["attributes"]["ignored"], crowd["attributes"]["crowd"]) == (False, True)
    assert records.metadata["thing_classes"] == list(classes.BDD100K_INS_SEG)
    assert len({d["image_id"] for d in records.dicts}) == len(records.dicts)


def test_everything_left_out_is_counted_by_reason(bdd_root):
    records = load_bdd100k(bdd_root)
    assert sorted(by_name(records)) == ["a.jpg", "b.jpg", "c.jpg", "unlabeled.jpg"]
    assert dict(records.problems.counts) == {
        "unknown-category": 1,
        "category-left-out": 1,
        "empty-object": 1,
        "no-mask": 1,
        "unlabelled-image": 1,
        "duplicate-image": 1,
        "missing-image": 1,
        "unreadable-image": 1,
        "wrong-size-image": 1,
        "image-without-labels": 1,
    }
    lines = "\n".join(records.problems.lines())
    assert "spaceship" in lines
    assert "truncated.jpg" in lines
    assert "gone.jpg" in lines


def test_masks_follow_the_rule_that_was_asked_for(bdd_root):
    official = by_name(load_bdd100k(bdd_root, raster="official"))["c.jpg"]["annotations"][0]
    assert official["segmentation"] == rasterize.polygons_to_rle(
        [np.array(SQUARE)], 48, 64, "official"
    )
    assert official["bbox"] == list(run_lengths.to_bbox(official["segmentation"]))
    coco = load_bdd100k(bdd_root, raster="coco")
    item = by_name(coco)["c.jpg"]["annotations"][0]
    assert item["segmentation"] == [[v for point in SQUARE for v in point]]
    assert item["bbox"] == [10.0, 10.0, 30.0, 24.0]
    assert (load_bdd100k(bdd_root).metadata["mask_rule"], coco.metadata["mask_rule"]) == (
        "official",
        "coco",
    )


def test_run_lengths_are_read_where_there_are_no_polygons(tmp_path):
    write_image(tmp_path / "bdd100k/images/10k/val/a.jpg")
    mask = np.zeros((48, 64), np.uint8, order="F")
    mask[5:20, 7:30] = 1
    counts = coco_mask.encode(mask)["counts"].decode()
    frames = [
        {
            "name": "a.jpg",
            "labels": [{"id": "1", "category": "bus", "rle": {"counts": counts, "size": [48, 64]}}],
        }
    ]
    write_json(tmp_path / "bdd100k/labels/ins_seg/rles/ins_seg_val.json", frames)
    records = load_bdd100k(tmp_path, split="val")
    assert records.metadata["source"] == "rles"
    assert records.dicts[0]["annotations"][0]["segmentation"] == {
        "size": [48, 64],
        "counts": counts,
    }
    assert records.dicts[0]["annotations"][0]["bbox"] == [7.0, 5.0, 30.0, 20.0]


def test_detection_takes_ten_classes_and_boxes_that_include_their_last_pixel(tmp_path):
    write_image(tmp_path / "bdd100k/images/100k/train/a.jpg")
    box = {"x1": 3.0, "y1": 4.0, "x2": 10.0, "y2": 12.0}
    labels = [
        {"id": "1", "category": "traffic sign", "box2d": box},
        label("2", "lane/single white"),
    ]
    write_json(
        tmp_path / "bdd100k/labels/det_20/det_train.json", [{"name": "a.jpg", "labels": labels}]
    )
    records = load_bdd100k(tmp_path, "det")
    (sign,) = records.dicts[0]["annotations"]
    assert sign["bbox"] == [3.0, 4.0, 11.0, 13.0]
    assert records.metadata["thing_classes"][sign["category_id"]] == "traffic sign"
    assert "segmentation" not in sign
    assert dict(records.problems.counts) == {"category-left-out": 1}


def test_missing_data_says_on_one_screen_what_to_put_where(tmp_path):
    with pytest.raises(MissingDataError) as caught:
        load_bdd100k(tmp_path)
    text = str(caught.value)
    assert "ins_seg_train.json" in text
    assert str(tmp_path) in text
    assert "bdd-data.berkeley.edu" in text
    assert "DETECTRON2_DATASETS" in text
    assert len(text.splitlines()) <= 24
    assert max(map(len, text.splitlines())) <= 140 + len(str(tmp_path))


def test_broken_json_is_one_line_with_the_file(bdd_root):
    path = bdd_root / "bdd100k/labels/ins_seg/polygons/ins_seg_train.json"
    path.write_text(path.read_text()[:200])
    with pytest.raises(DataError) as caught:
        load_bdd100k(bdd_root)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_source_or_rule_is_a_config_error(bdd_root):
    for wrong in ({"source": "masks"}, {"raster": "pil"}, {"task": "pan_seg"}):
        with pytest.raises(ConfigError, match=next(iter(wrong.values()))):
            load_bdd100k(bdd_root, **wrong)


def test_the_real_detection_labels_load(shared_dir, tmp_path):
    (tmp_path / "bdd100k").symlink_to(shared_dir / "data" / "bdd100k")
    records = load_bdd100k(tmp_path, "det", "train")
    assert len(records.dicts) == 2
    assert {d["attributes"]["timeofday"] for d in records.dicts} <= {
        "daytime",
        "night",
        "dawn/dusk",
        "undefined",
    }
    names = records.metadata["thing_classes"]
    found = {names[a["category_id"]] for d in records.dicts for a in d["annotations"]}
    assert {"car", "traffic light", "traffic sign"} <= found


def test_the_real_bitmask_loads(shared_dir, tmp_path):
    (tmp_path / "bdd100k").symlink_to(shared_dir / "data" / "bdd100k")
    records = load_bdd100k(tmp_path, "ins_seg", "train")
    assert records.metadata["source"] == "bitmasks"
    (image,) = records.dicts
    assert image["annotations"]
    for item in image["annotations"]:
        assert item["segmentation"]["size"] == [720, 1280]
        assert isinstance(item["segmentation"]["counts"], str)
        assert run_lengths.area(item["segmentation"]) > 0
    json.dumps([dict(a, bbox_mode=int(a["bbox_mode"])) for a in image["annotations"]])
