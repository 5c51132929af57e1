"""COCO persons: the chosen categories, contiguous ids, crowds as crowds."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools.coco import COCO

from bdd_inst.base.errors import DataError
from bdd_inst.datasets.coco_person import load_coco, load_coco_2017
from bdd_inst.datasets.layout import MissingDataError
from bdd_inst.masks import run_lengths
from bdd_inst.structures.polygon_masks import fill_polygons

from .conftest import write_image, write_json


@pytest.fixture
def source(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        write_image(tmp_path / "images" / name)
    triangle = [5.0, 5.0, 25.0, 5.0, 5.0, 25.0]
    region = {"size": [48, 64], "counts": [100, 50, 48 * 64 - 150]}
    annotations = [
        {
            "id": 11,
            "image_id": 7,
            "category_id": 90,
            "bbox": [5, 5, 20, 20],
            "area": 200,
            "iscrowd": 0,
            "segmentation": [triangle],
        },
        {
            "id": 12,
            "image_id": 7,
            "category_id": 1,
            "bbox": [2, 4, 2, 44],
            "area": 50,
            "iscrowd": 1,
            "segmentation": region,
        },
        {
            "id": 13,
            "image_id": 9,
            "category_id": 1,
            "bbox": [5.5, 5, 20, 20],
            "area": 200,
            "iscrowd": 0,
            "segmentation": [triangle],
        },
        {
            "id": 14,
            "image_id": 9,
            "category_id": 50,
            "bbox": [5, 5, 20, 20],
            "area": 200,
            "iscrowd": 0,
            "segmentation": [triangle],
        },
    ]
    content = {
        "images": [
            {"id": i, "file_name": n, "width": 64, "height": 48}
            for i, n in ((7, "a.jpg"), (9, "b.jpg"))
        ],
        "categories": [
            {"id": 90, "name": "toothbrush"},
            {"id": 1, "name": "person"},
            {"id": 50, "name": "spoon"},
        ],
        "annotations": annotations,
    }
    write_json(tmp_path / "labels.json", content)
    return tmp_path


def test_one_category_with_crowds(source):
    records = load_coco(source / "labels.json", source / "images")
    first, second = records.dicts
    assert (first["image_id"], second["image_id"]) == (7, 9)
    (crowd,) = first["annotations"]
    assert crowd["iscrowd"] == 1
    assert isinstance(crowd["segmentation"]["counts"], str)
    assert run_lengths.area(crowd["segmentation"]) == 50
    (person,) = second["annotations"]
    assert person["category_id"] == 0
    assert person["bbox"] == [5.5, 5.0, 25.5, 25.0]
    assert person["segmentation"] == [[5.0, 5.0, 25.0, 5.0, 5.0, 25.0]]
    assert person["attributes"]["id"] == 13
    assert records.metadata["thing_dataset_id_to_contiguous_id"] == {1: 0}
    assert dict(records.problems.counts) == {"category-left-out": 2}


def test_several_categories_in_the_order_asked_for(source):
    records = load_coco(source / "labels.json", source / "images", ("toothbrush", "person"))
    assert records.metadata["thing_dataset_id_to_contiguous_id"] == {90: 0, 1: 1}
    assert [a["category_id"] for a in records.dicts[0]["annotations"]] == [0, 1]


def test_a_category_that_the_file_lacks_is_named(source):
    with pytest.raises(DataError, match="unicorn"):
        load_coco(source / "labels.json", source / "images", ("unicorn",))


def test_missing_coco_says_where_to_get_it(tmp_path):
    with pytest.raises(MissingDataError, match=r"cocodataset\.org"):
        load_coco_2017(tmp_path, "val")


def test_real_persons_are_those_of_pycocotools(shared_dir, capsys):
    labels, images = (
        shared_dir / "data/coco_mini/annotations/instances_train2017.json",
        shared_dir / "data/coco_mini/train2017",
    )
    records, reference = load_coco(labels, images), COCO(str(labels))
    assert len(records.dicts) == len(reference.imgs)
    for image in records.dicts:
        expected = reference.loadAnns(reference.getAnnIds(image["image_id"], catIds=[1]))
        assert [a["attributes"]["id"] for a in image["annotations"]] == [a["id"] for a in expected]
        for ours, theirs in zip(image["annotations"], expected):
            mask = ours["segmentation"]
            size = image["height"], image["width"]
            pixels = (
                fill_polygons([np.array(p) for p in mask], *size)
                if isinstance(mask, list)
                else run_lengths.decode(mask)
            )
            assert ours["iscrowd"] == theirs["iscrowd"]
            assert np.array_equal(pixels, reference.annToMask(theirs).astype(bool))
