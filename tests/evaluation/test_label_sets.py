"""Labels of other formats as ground truth and predictions: Scalabel files, bitmask folders with scores, label maps."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from bdd_inst import formats
from bdd_inst.base.errors import DataError
from bdd_inst.evaluation import files
from bdd_inst.masks import run_lengths


def square(x, y, w, h, height=60, width=80):
    mask = np.zeros((height, width), bool)
    mask[y : y + h, x : x + w] = True
    return run_lengths.encode(mask)


def label(category, x, y, w, h, score=None, **more):
    out = {
        "id": str(x * 100 + y),
        "category": category,
        "box2d": {"x1": x, "y1": y, "x2": x + w - 1, "y2": y + h - 1},
    }
    out["rle"] = square(x, y, w, h)
    return out | ({"score": score} if score is not None else {}) | more


def write(path, content):
    path.write_text(json.dumps(content))
    return path


SIZE = {"size": {"width": 80, "height": 60}}
TRUTH = [
    {
        "name": "a-1.jpg",
        **SIZE,
        "labels": [label("person", 5, 5, 20, 20), label("car", 40, 10, 30, 30)],
    },
    {"name": "a-2.jpg", **SIZE, "labels": None},
    {
        "name": "a-3.jpg",
        **SIZE,
        "labels": [label("other vehicle", 5, 5, 20, 20), label("bike", 40, 10, 30, 30)],
    },
]
FOUND = [
    {
        "name": "a-1.jpg",
        "labels": [label("pedestrian", 5, 5, 20, 20, 0.9), label("car", 40, 10, 30, 30, 0.8)],
    },
    {
        "name": "a-3.jpg",
        "labels": [label("car", 5, 5, 20, 20, 0.95), label("bicycle", 40, 10, 30, 30, 0.7)],
    },
]


@pytest.mark.parametrize("protocol", ["coco", "bdd", "both"])
def test_scalabel_on_both_sides(tmp_path, protocol):
    truth, found = write(tmp_path / "gt.json", TRUTH), write(tmp_path / "dt.json", FOUND)
    metrics = files.evaluate_files(truth, found, protocol)
    # "person" and "bike" are other words for classes; "other vehicle" excuses the car found there.
    for kind in ("bbox", "segm"):
        assert metrics[kind]["AP"] == pytest.approx(100)
        assert metrics[kind]["AP-pedestrian"] == pytest.approx(100)
        assert metrics[kind]["AP-truck"] is None
    assert any("unlabelled-image" in note for note in metrics["notes"])


def test_labels_with_a_mask_and_an_outline_say_which_is_scored(tmp_path):
    outline = [{"vertices": [[0, 0], [70, 0], [70, 50], [0, 50]], "types": "LLLL", "closed": True}]
    truth = [{"name": "a-1.jpg", **SIZE, "labels": [label("car", 40, 10, 30, 30, poly2d=outline)]}]
    metrics = files.evaluate_files(
        write(tmp_path / "gt.json", truth), write(tmp_path / "dt.json", FOUND[:1]), "coco"
    )
    assert metrics["segm"]["AP-car"] == pytest.approx(100)
    assert any("mask-and-outline" in note for note in metrics["notes"])


def test_boxes_of_scalabel_are_inclusive(tmp_path):
    # One pixel wide in Scalabel's convention: x1 == x2 still has an area.
    thin = [
        {
            "name": "a.jpg",
            **SIZE,
            "labels": [
                {"id": "1", "category": "car", "box2d": {"x1": 4, "y1": 4, "x2": 4, "y2": 4}}
            ],
        }
    ]
    found = [{"name": "a.jpg", "labels": [thin[0]["labels"][0] | {"score": 0.5}]}]
    metrics = files.evaluate_files(
        write(tmp_path / "gt.json", thin), write(tmp_path / "dt.json", found), "bdd"
    )
    assert metrics["bbox"]["AP"] == pytest.approx(100)
    assert "segm" not in metrics


def test_coco_results_on_scalabel_labels_by_number_or_name(tmp_path):
    truth = write(tmp_path / "gt.json", TRUTH)
    rows = [
        {
            "image_id": 1,
            "category_id": 1,
            "score": 0.9,
            "bbox": [5, 5, 20, 20],
            "segmentation": square(5, 5, 20, 20),
        },
        {
            "image_id": 3,
            "category_id": 8,
            "score": 0.9,
            "bbox": [40, 10, 30, 30],
            "segmentation": square(40, 10, 30, 30),
        },
    ]
    numbered = files.evaluate_files(truth, write(tmp_path / "a.json", rows))
    named = [row | {"image_id": name} for row, name in zip(rows, ("a-1", "a-3.jpg"), strict=True)]
    assert files.evaluate_files(truth, write(tmp_path / "b.json", named)) == numbered
    assert numbered["segm"]["AP-pedestrian"] == pytest.approx(100)
    assert numbered["segm"]["AP-car"] == 0.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "z.jpg"}, "z.jpg is not in the ground truth"),
        ({"labels": [label("zebra", 1, 1, 5, 5, 0.5)]}, "zebra"),
        ({"labels": [label("car", 1, 1, 5, 5)]}, "no score"),
        ({"labels": [label("car", 1, 1, 5, 5, float("nan"))]}, "right or refused"),
    ],
)
def test_scalabel_predictions_that_cannot_be_scored(tmp_path, change, words):
    with pytest.raises(DataError, match=words):
        files.evaluate_files(
            write(tmp_path / "gt.json", TRUTH), write(tmp_path / "dt.json", [FOUND[0] | change])
        )


@pytest.mark.parametrize(
    "mask", [run_lengths.encode(np.ones((5, 5), bool)), {"size": [60, 80], "counts": "??"}]
)
def test_damaged_masks_of_scalabel_predictions_leave_boxes_to_be_scored(mask, tmp_path):
    change = {"labels": [label("car", 1, 1, 5, 5, 0.5) | {"rle": mask}]}
    truth, found = write(tmp_path / "gt.json", TRUTH), tmp_path / "dt.json"
    metrics = files.evaluate_files(truth, write(found, [FOUND[0] | change]))
    assert "segm" not in metrics
    assert any("1 x masks-not-scored" in note for note in metrics["notes"])
    del change["labels"][0]["box2d"]
    with pytest.raises(DataError, match=r"right or refused|for height x width 5x5"):
        files.evaluate_files(truth, write(found, [FOUND[0] | change]))


def bitmask(folder, name, objects):
    """objects: (category, flags, instance, x, y, w, h)."""
    image = np.zeros((60, 80, 4), np.uint8)
    for category, flags, instance, x, y, w, h in objects:
        image[y : y + h, x : x + w] = (category, flags, instance >> 8, instance & 255)
    folder.mkdir(exist_ok=True)
    Image.fromarray(image).save(folder / name)


def test_bitmasks_with_scores_beside_them(tmp_path):
    bitmask(tmp_path / "gt", "a.png", [(1, 0, 1, 5, 5, 20, 20), (3, 0, 300, 40, 10, 30, 30)])
    bitmask(tmp_path / "gt", "b.png", [(3, 1, 1, 5, 5, 20, 20)])
    bitmask(
        tmp_path / "pred",
        "a.png",
        [(1, 0, 7, 5, 5, 20, 20), (3, 0, 9, 0, 0, 4, 4), (3, 0, 256, 40, 10, 30, 30)],
    )
    bitmask(tmp_path / "pred", "b.png", [(3, 0, 1, 5, 5, 20, 20)])
    write(
        tmp_path / "pred.json",
        [
            {
                "name": "a.jpg",
                "labels": [
                    {"index": 7, "score": 0.9},
                    {"index": 9, "score": 0.1},
                    {"index": 256, "score": 0.8},
                ],
            },
            {"name": "b.jpg", "labels": [{"index": 1, "score": 0.99}, {"index": 2, "score": 0.5}]},
        ],
    )
    metrics = files.evaluate_files(tmp_path / "gt", tmp_path / "pred", "bdd")
    assert metrics["segm"]["AP"] == pytest.approx(
        100
    )  # the car of score 0.99 falls on an ignored one
    assert {k for k in metrics["segm"] if k.startswith("AP-")} == {f"AP-{n}" for n in bdd_classes()}
    write(tmp_path / "pred.json", [{"name": "a.jpg", "labels": [{"index": 7, "score": 0.9}]}])
    with pytest.raises(DataError, match=r"id 9.*no score"):
        files.evaluate_files(tmp_path / "gt", tmp_path / "pred", "bdd")
    (tmp_path / "pred.json").unlink()
    unscored = files.evaluate_files(tmp_path / "gt", tmp_path / "pred", "bdd")
    assert any("no-scores" in note for note in unscored["notes"])


def test_bitmasks_with_scores_in_their_folder(tmp_path):
    for name in ("gt", "pred"):
        bitmask(tmp_path / name, "a.png", [(1, 0, 1, 5, 5, 20, 20), (3, 0, 2, 40, 10, 30, 30)])
    write(
        tmp_path / "pred" / "scores.json",
        [{"name": "a.jpg", "labels": [{"index": 1, "score": 0.9}, {"index": 2, "score": 0.1}]}],
    )
    metrics = files.evaluate_files(tmp_path / "gt", tmp_path / "pred", "coco")
    assert metrics["segm"]["AP"] == pytest.approx(100)
    assert not any("no-scores" in note for note in metrics.get("notes", ()))


def test_a_converted_folder_of_bitmasks_has_no_scores(tmp_path):
    for name in ("gt", "pred"):
        bitmask(tmp_path / name, "a.png", [(1, 0, 1, 5, 5, 20, 20)])
    (tmp_path / "pred" / ".conversion.json").write_text(
        '{"mask_rule": "official", "categories": ["pedestrian"], "ids": [1]}'
    )
    metrics = files.evaluate_files(tmp_path / "gt", tmp_path / "pred", "coco")
    assert metrics["segm"]["AP"] == pytest.approx(100)
    assert any("no-scores" in note for note in metrics["notes"])


def test_predictions_as_a_coco_file_with_scores(tmp_path):
    frame = {
        "name": "a.jpg",
        "labels": [
            {
                "id": "1",
                "category": "car",
                "box2d": {"x1": 5, "y1": 5, "x2": 30, "y2": 40},
                "score": 0.5,
            }
        ],
    }
    write(tmp_path / "pred.json", [frame])
    formats.write(formats.read(tmp_path / "pred.json"), tmp_path / "coco.json", to="coco")
    assert files.evaluate_files(tmp_path / "pred.json", tmp_path / "coco.json", "coco")["bbox"][
        "AP"
    ] == pytest.approx(100)
    del frame["labels"][0]["score"]
    write(tmp_path / "gt.json", [frame])
    formats.write(formats.read(tmp_path / "gt.json"), tmp_path / "coco.json", to="coco")
    with pytest.raises(DataError, match="not a list of results with scores"):
        files.evaluate_files(tmp_path / "gt.json", tmp_path / "coco.json", "coco")


def bdd_classes():
    from bdd_inst.base.vocabulary import BDD100K_INS_SEG

    return BDD100K_INS_SEG


def label_map(folder, name, blocks):
    values = np.zeros((60, 80), np.uint8)
    for value, x, y, w, h in blocks:
        values[y : y + h, x : x + w] = value
    image = Image.fromarray(values, "P")
    image.putpalette([v for k in range(256) for v in (k, 255 - k, k // 2)])
    folder.mkdir(exist_ok=True)
    image.save(folder / name)


def test_label_map_pngs_against_each_other(tmp_path):
    label_map(tmp_path / "gt", "0001_clothes.png", [(1, 0, 0, 10, 10), (3, 20, 20, 20, 20)])
    label_map(tmp_path / "gt", "0002_clothes.png", [(6, 0, 0, 10, 10)])
    label_map(tmp_path / "pred", "0001.png", [(1, 0, 0, 10, 5), (3, 20, 20, 20, 20)])
    block = files.evaluate_files(tmp_path / "gt", tmp_path / "pred")["label_map"]
    assert block["IoU-skin"] == pytest.approx(50)
    assert block["IoU-t-shirt"] == 100.0
    assert block["IoU-dress"] == 0.0
    assert block["IoU-hair"] is None
    assert block["mIoU"] == pytest.approx(50)
    label_map(tmp_path / "pred", "0009.png", [])
    with pytest.raises(DataError, match=r"0009\.png has no label map"):
        files.evaluate_files(tmp_path / "gt", tmp_path / "pred")


def test_instances_against_label_map_pngs(tmp_path):
    label_map(tmp_path / "gt", "0001_clothes.png", [(1, 0, 0, 10, 10), (3, 20, 20, 20, 20)])
    label_map(tmp_path / "gt", "0002_clothes.png", [(1, 0, 0, 10, 10)])
    rows = [
        {
            "image_id": 1,
            "category_id": 1,
            "score": 0.9,
            "bbox": [0, 0, 10, 10],
            "segmentation": square(0, 0, 10, 10),
        },
        {
            "image_id": 1,
            "category_id": 2,
            "score": 0.3,
            "bbox": [20, 20, 20, 20],
            "segmentation": square(20, 20, 20, 20),
        },
        {
            "image_id": 1,
            "category_id": 3,
            "score": 0.6,
            "bbox": [20, 20, 20, 20],
            "segmentation": square(20, 20, 20, 20),
        },
        {
            "image_id": 2,
            "category_id": 1,
            "score": 0.2,
            "bbox": [40, 40, 20, 20],
            "segmentation": square(40, 40, 20, 20),
        },
        {
            "image_id": 2,
            "category_id": 1,
            "score": 0.8,
            "bbox": [0, 0, 10, 10],
            "segmentation": square(0, 0, 10, 10),
        },
    ]
    results = write(tmp_path / "dt.json", rows)
    metrics = files.evaluate_files(tmp_path / "gt", results)
    block = metrics["label_map"]
    assert block["mIoU"] == 100.0
    assert 0.2 < block["threshold"] <= 0.6
    assert block["threshold_chosen_on"] == "these images"
    assert metrics["segm"]["AP-skin"] == pytest.approx(100)
    low = files.evaluate_files(tmp_path / "gt", results, label_threshold=0.1)["label_map"]
    assert low["IoU-skin"] == pytest.approx(100 * 200 / 600)
    assert low["threshold_chosen_on"] == "the command line"


def test_bitmasks_in_folders_have_scores_of_their_own(tmp_path):
    """Two images of one name in two folders."""
    content = [
        {"name": f"{folder}/1.jpg", **SIZE, "labels": [label("car", 5, 5, 20, 20)]}
        for folder in ("a", "b")
    ]
    truth = write(tmp_path / "gt.json", content)
    content[0]["labels"][0]["score"], content[1]["labels"][0]["score"] = 0.9, 0.3
    formats.write(
        formats.read(write(tmp_path / "dt.json", content)), tmp_path / "masks", to="bitmask"
    )
    outcome = files.result_of_files(truth, tmp_path / "masks")
    assert outcome.metrics["segm"]["AP"] == pytest.approx(100)
    assert sorted(outcome.results.scores.tolist()) == [0.3, 0.9]


def test_dicts_of_ours_are_scored_by_the_ids_that_they_name(tmp_path):
    formats.write(
        formats.read(write(tmp_path / "in.json", TRUTH)), tmp_path / "gt.json", to="dicts"
    )
    truth = files.read_truth(tmp_path / "gt.json")
    assert truth.category_ids == list(range(1, 9))
