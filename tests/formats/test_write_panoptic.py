"""COCO panoptic files from labels: what lies on top, what is one segment, and the same labels when they are read again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bdd_inst import formats
from bdd_inst.base.errors import DataError
from bdd_inst.base.vocabulary import BDD100K_PAN_SEG
from bdd_inst.formats.bitmask import BitmaskInstance, to_bitmask, write_bitmask
from bdd_inst.formats.panoptic_png import read_ids
from bdd_inst.masks import run_lengths


def square(x, y, side, height=40, width=50):
    mask = np.zeros((height, width), bool)
    mask[y : y + side, x : x + side] = True
    return mask


def coco(path, annotations):
    names = ("person", "dog")
    content = {
        "images": [{"id": 7, "file_name": "day/a.jpg", "height": 40, "width": 50}],
        "categories": [{"id": 3 * (n + 1), "name": name} for n, name in enumerate(names)],
        "annotations": [
            {
                "id": n,
                "image_id": 7,
                "category_id": 3 * (c + 1),
                "segmentation": run_lengths.encode(mask),
                "bbox": [0, 0, 9, 9],
                "area": 81,
                "iscrowd": crowd,
            }
            for n, (c, mask, crowd) in enumerate(annotations, 1)
        ],
    }
    path.write_text(json.dumps(content))
    return path


def test_later_objects_lie_on_top_and_hidden_ones_are_counted(tmp_path):
    boxes = [square(0, 0, 10), square(5, 0, 10), square(30, 30, 4), square(29, 29, 8)]
    source = coco(tmp_path / "a.json", [(n % 2, mask, n == 1) for n, mask in enumerate(boxes)])
    done = formats.write(formats.read(source), tmp_path / "p.json", "panoptic")
    assert done.lost.counts["hidden-objects"] == 1
    content = json.loads((tmp_path / "p.json").read_text())
    assert [(c["id"], c["isthing"]) for c in content["categories"]] == [(3, 1), (6, 1)]
    assert content["images"] == [{"id": 7, "file_name": "day/a.jpg", "width": 50, "height": 40}]
    (row,) = content["annotations"]
    assert (row["image_id"], row["file_name"]) == (7, "day/a.png")
    ids = read_ids(tmp_path / "p/day/a.png")
    want = np.zeros((40, 50), int)
    for n, mask in enumerate(boxes, 1):
        want[mask] = n
    assert np.array_equal(ids, want)
    told = [
        (s["id"], s["category_id"], s["area"], s["bbox"], s["iscrowd"])
        for s in row["segments_info"]
    ]
    assert told == [(1, 3, 50, [0, 0, 5, 10], 0), (2, 6, 100, [5, 0, 10, 10], 1), (4, 6, 64, [29, 29, 8, 8], 0)]  # fmt: skip


def streets(folder):
    """Two official panoptic bitmasks: road (twice), sky, cars."""
    folder.mkdir()
    number = {name: n for n, name in enumerate(BDD100K_PAN_SEG, 1)}
    for name, x in (("a", 0), ("b", 20)):
        parts = [("road", square(0, 30, 10)), ("sky", square(0, 0, 12)), ("car", square(x, 15, 9)), ("car", square(x + 12, 15, 9)), ("road", square(20, 30, 10))]  # fmt: skip
        items = [
            BitmaskInstance(run_lengths.encode(mask), number[kind], 31 + n)
            for n, (kind, mask) in enumerate(parts)
        ]
        write_bitmask(folder / f"{name}.png", to_bitmask(items, 40, 50))
    return folder


def test_bdd100ks_panoptic_bitmasks_come_back_the_same(tmp_path):
    source = streets(tmp_path / "bitmasks")
    labels = formats.read(source, kind="pan-seg")
    formats.write(labels, tmp_path / "p.json", "panoptic")
    content = json.loads((tmp_path / "p.json").read_text())
    assert {c["name"]: c["id"] for c in content["categories"]} == {
        name: n for n, name in enumerate(BDD100K_PAN_SEG, 1)
    }
    assert {c["name"] for c in content["categories"] if c["isthing"]} >= {"car", "person"}
    for row in content["annotations"]:
        kinds = sorted(s["category_id"] for s in row["segments_info"])
        names = [BDD100K_PAN_SEG[k - 1] for k in kinds]
        assert sorted(names) == ["car", "car", "road", "sky"]  # all road is one segment
    back = formats.read(tmp_path / "p.json")
    assert back.things == tuple(c["name"] for c in content["categories"] if c["isthing"])
    formats.write(back, tmp_path / "again", "bitmask")
    for file in source.iterdir():
        assert classes_in(tmp_path / "again" / file.name) == classes_in(file)


def classes_in(file):
    """Each class of a panoptic bitmask with all its pixels, and how many cars there are."""
    (image,) = formats.read(file, kind="pan-seg").images
    masks = {}
    for instance in image.instances:
        masks.setdefault(instance.category, []).append(instance.rle)
    unions = {name: run_lengths.union(rles)["counts"] for name, rles in masks.items()}
    return unions, len(masks["car"])


def test_pngs_of_others_are_not_overwritten(tmp_path):
    source = coco(tmp_path / "a.json", [(0, square(0, 0, 10), 0)])
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "mine.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"holds \.png files of others"):
        formats.write(formats.read(source), tmp_path / "p.json", "panoptic")
    with pytest.raises(DataError, match="the output is the input"):
        formats.write(formats.read(source), source, "panoptic")
    # Over an earlier result of its own it writes again.
    for _ in range(2):
        formats.write(formats.read(source), tmp_path / "q.json", "panoptic")
