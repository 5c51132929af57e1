"""Strict reading: every kind of bad results or labels is refused by name, and what is odd but clear is scored right."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bdd_inst.base.errors import DataError
from bdd_inst.evaluation import files
from bdd_inst.masks import run_lengths

SQUARE = np.zeros((20, 30), bool)
SQUARE[2:12, 3:13] = True
MASK = run_lengths.encode(SQUARE)


def truth_tree(**changes):
    tree = {
        "images": [
            {"id": 1, "file_name": "a.jpg", "height": 20, "width": 30},
            {"id": 2, "file_name": "b.jpg", "height": 20, "width": 30},
        ],
        "categories": [{"id": 3, "name": "car"}, {"id": 7, "name": "bus"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 3,
                "bbox": [3, 2, 10, 10],
                "area": 100,
                "iscrowd": 0,
                "segmentation": MASK,
            },
        ],
    }
    return tree | changes


def entry(**changes):
    row = {
        "image_id": 1,
        "category_id": 3,
        "score": 0.9,
        "bbox": [3, 2, 10, 10],
        "segmentation": MASK,
    }
    return {k: v for k, v in (row | changes).items() if v is not ...}


@pytest.fixture
def evaluate(tmp_path):
    def run(results, truth=None, **options):
        gt, dt = tmp_path / "gt.json", tmp_path / "dt.json"
        gt.write_text(json.dumps(truth or truth_tree()))
        dt.write_text(results if isinstance(results, str) else json.dumps(results))
        return files.evaluate_files(gt, dt, **options)

    return run


def test_good_entries_score(evaluate):
    metrics = evaluate([entry()])
    assert metrics["protocol"] == "coco"
    for kind in ("bbox", "segm"):
        assert metrics[kind]["AP"] == pytest.approx(100)
        assert metrics[kind]["AP-car"] == pytest.approx(100)
        assert metrics[kind]["AP-bus"] is None
    assert any("no ground truth for bus" in note for note in metrics["notes"])


BAD = {
    "unknown image": (
        [entry(), entry(image_id=5)],
        ["entry 2", "image 5 is not in the ground truth"],
    ),
    "unknown class": ([entry(category_id=4)], ["entry 1", "category_id 4", "3 car"]),
    "missing score": ([entry(), entry(score=...)], ["entry 2", "score"]),
    "null score": ([entry(score=None)], ["entry 1", "score"]),
    "text score": ([entry(score="0.9")], ["entry 1", "score"]),
    "infinite score": (
        json.dumps([entry()]).replace("0.9", "Infinity"),
        ["entry 1", "score"],
    ),
    "NaN score": (json.dumps([entry()]).replace("0.9", "NaN"), ["entry 1", "score"]),
    "huge score": (json.dumps([entry()]).replace("0.9", "1e999"), ["entry 1", "score"]),
    "wrong RLE size": (
        [entry(bbox=..., segmentation=run_lengths.encode(np.ones((30, 20), bool)))],
        ["entry 1", "30x20", "20x30"],
    ),
    "null counts": (
        [entry(bbox=..., segmentation={"size": [20, 30], "counts": None})],
        ["entry 1", "counts"],
    ),
    "counts that stop short": (
        [entry(bbox=..., segmentation={"size": [20, 30], "counts": "0"})],
        ["entry 1", "covers 0 pixels"],
    ),
    "counts that run over": (
        [entry(bbox=..., segmentation={"size": [20, 30], "counts": "XXX9"})],
        ["entry 1", "an RLE"],
    ),
    "counts outside the alphabet": (
        [entry(bbox=..., segmentation={"size": [20, 30], "counts": "!!"})],
        ["entry 1", "characters"],
    ),
    "counts cut off": (
        [entry(bbox=..., segmentation={"size": [20, 30], "counts": "o"})],
        ["entry 1", "break off"],
    ),
    "list counts that do not add up": (
        [entry(bbox=..., segmentation={"size": [20, 30], "counts": [1, 2]})],
        ["entry 1", "covers 3 pixels"],
    ),
    "box of three": ([entry(bbox=[1, 2, 3])], ["entry 1", "bbox", "length 4"]),
    "negative box": ([entry(bbox=[5, 5, -1, 3])], ["entry 1", "negative width"]),
    "a box missing among boxes": ([entry(), entry(bbox=None)], ["entry 2", "no bbox"]),
    "neither box nor mask": (
        [entry(bbox=..., segmentation=...)],
        ["neither bbox nor segmentation"],
    ),
    "another name for the class": ([entry(category_name="bus")], ["entry 1", "'car'", "'bus'"]),
    "another file for the image": ([entry(file_name="b.jpg")], ["entry 1", "a.jpg", "b.jpg"]),
    "not a list": ({"results": [entry()]}, ["no label format"]),
    "ground truth for predictions": (truth_tree(), ["ground truth"]),
    "truncated": (json.dumps([entry()])[:-20], [""]),
    "a list of numbers": ([1, 2, 3], [""]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_results_are_refused_by_name(evaluate, name):
    results, words = BAD[name]
    with pytest.raises(DataError) as caught:
        evaluate(results)
    message = str(caught.value)
    assert "\n" not in message
    assert "dt.json" in message
    for word in words:
        assert word in message, message


ANNOTATION = truth_tree()["annotations"][0]
ODD_TRUTH = {
    "two images of one id": (
        {"images": [truth_tree()["images"][0]] * 2},
        "duplicate-image-id",
    ),
    "object of no image": (
        {"annotations": [ANNOTATION, ANNOTATION | {"id": 2, "image_id": 9}]},
        "unknown-image",
    ),
    "object of no class": (
        {"annotations": [ANNOTATION, ANNOTATION | {"id": 2, "category_id": 9}]},
        "unknown-category",
    ),
    "negative box": ({"annotations": [ANNOTATION | {"bbox": [1, 1, -4, 2]}]}, "bad-box"),
    "polygon of two points": (
        {"annotations": [ANNOTATION | {"segmentation": [[1, 1, 2, 2]]}]},
        "bad-polygon",
    ),
    "neither box nor mask": (
        {"annotations": [ANNOTATION, {"id": 2, "image_id": 1, "category_id": 3}]},
        "no-shape",
    ),
}


@pytest.mark.parametrize("name", ODD_TRUTH)
def test_what_other_tools_read_of_bad_ground_truth_is_scored_and_the_rest_told(evaluate, name):
    changes, code = ODD_TRUTH[name]
    metrics = evaluate([entry()], truth_tree(**changes))
    assert metrics["bbox"]["AP"] == pytest.approx(100)
    assert any(code in note for note in metrics["notes"])


def test_damaged_masks_of_the_ground_truth_leave_boxes_to_be_scored(evaluate):
    truth = truth_tree(annotations=[ANNOTATION | {"segmentation": run_lengths.encode(SQUARE.T)}])
    with pytest.raises(DataError, match="its mask is 20x30, the image 30x20"):
        evaluate([entry(bbox=...)], truth)
    metrics = evaluate([entry()], truth)
    assert metrics["bbox"]["AP"] == pytest.approx(100)
    assert "segm" not in metrics
    assert any("its mask is 20x30, the image 30x20" in note for note in metrics["notes"])


@pytest.mark.parametrize("counts", ["0", "XXX9", "!!", "o", [1, 2], None])
def test_damaged_masks_leave_boxes_to_be_scored(evaluate, counts):
    bad = entry(segmentation={"size": [20, 30], "counts": counts})
    metrics = evaluate([entry(score=0.2, image_id=2), bad, bad | {"image_id": 2}])
    assert metrics["bbox"]["AP"] == pytest.approx(100)
    assert "segm" not in metrics
    assert any("2 x masks-not-scored" in note and "entry 2" in note for note in metrics["notes"])


def test_masks_are_not_looked_at_where_the_ground_truth_has_none(evaluate):
    boxes = truth_tree(annotations=[{k: v for k, v in ANNOTATION.items() if k != "segmentation"}])
    metrics = evaluate([entry(segmentation={"size": "?", "counts": 7})], boxes)
    assert metrics["bbox"]["AP"] == pytest.approx(100)
    assert any("1 x masks-not-scored" in note for note in metrics["notes"])


def test_classes_of_one_id_are_refused(evaluate):
    with pytest.raises(DataError, match="share the id 3"):
        evaluate(
            [entry()], truth_tree(categories=[{"id": 3, "name": "car"}, {"id": 3, "name": "bus"}])
        )


def test_ids_as_text_are_the_numbers_that_they_mean(evaluate):
    metrics = evaluate([entry(image_id="1", category_id="3")])
    assert metrics["segm"]["AP"] == pytest.approx(100)


def test_predictions_without_a_mask_are_left_out_of_mask_scores(evaluate):
    metrics = evaluate([entry(), entry(segmentation=None, image_id=2)])
    assert metrics["segm"]["AP"] == pytest.approx(100)
    assert any("prediction-without-mask" in note for note in metrics["notes"])


def test_swapped_files_are_told(evaluate):
    with pytest.raises(DataError, match="swapped"):
        evaluate([entry()], [entry()])


def test_no_predictions_are_zero_not_an_error(evaluate):
    metrics = evaluate([])
    assert metrics["bbox"]["AP"] == 0.0
    assert metrics["segm"]["AP"] == 0.0


def test_ground_truth_ids_of_zero_count(evaluate):
    truth = truth_tree(
        images=[{"id": 0, "file_name": "a.jpg", "height": 20, "width": 30}],
        categories=[{"id": 0, "name": "car"}],
        annotations=[ANNOTATION | {"id": 0, "image_id": 0, "category_id": 0}],
    )
    metrics = evaluate([entry(image_id=0, category_id=0)], truth)
    assert metrics["segm"]["AP"] == pytest.approx(100)


def test_string_ids_match_strings(evaluate):
    truth = truth_tree(
        images=[{"id": "a", "file_name": "a.jpg", "height": 20, "width": 30}],
        annotations=[ANNOTATION | {"image_id": "a"}],
    )
    assert evaluate([entry(image_id="a")], truth)["bbox"]["AP"] == pytest.approx(100)


def test_names_decide_where_ids_do_not_fit(evaluate):
    metrics = evaluate([entry(image_id=77, file_name="some/folder/a.jpg")])
    assert metrics["bbox"]["AP"] == pytest.approx(100)
    assert any("matched by name" in note for note in metrics["notes"])


def test_repeated_entries_count_as_false_and_are_told(evaluate):
    metrics = evaluate([entry(), entry(), entry(score=0.95, image_id=2)])
    assert any("repeated-entry" in note for note in metrics["notes"])
    assert metrics["bbox"]["AP"] < 60


def test_a_box_without_area_is_false_and_told(evaluate):
    metrics = evaluate([entry(), entry(bbox=[1, 1, 0, 5], score=0.99)])
    assert metrics["bbox"]["AP"] == pytest.approx(50)
    assert any("empty-box" in note for note in metrics["notes"])


def test_boxes_alone_and_masks_alone(evaluate):
    assert "segm" not in evaluate([entry(segmentation=...)])
    only_masks = evaluate([entry(bbox=...)])
    assert "bbox" not in only_masks
    assert only_masks["segm"]["AP"] == pytest.approx(100)


def test_uncompressed_counts_are_the_same_mask(evaluate):
    counts = run_lengths.counts_of(MASK).tolist()
    assert evaluate([entry(segmentation={"size": [20, 30], "counts": counts})])["segm"][
        "AP"
    ] == pytest.approx(100)


def test_masks_are_scored_by_mask_area_though_boxes_lie(evaluate):
    figures = evaluate([entry(bbox=[0, 0, 30, 20])])["segm"]
    assert figures["APs"] == pytest.approx(100)


def test_other_detection_limits_are_named(evaluate):
    metrics = evaluate([entry()] + [entry(score=0.95, bbox=[20, 2, 3, 3])] * 3, max_detections=2)
    assert "AR2" in metrics["bbox"]
    assert metrics["bbox"]["AP"] == 0.0
    assert any("AP is taken at 2 detections" in note for note in metrics["notes"])
    assert any("cut off" in note for note in metrics["notes"])


@pytest.mark.parametrize("seed", range(30))
def test_damaged_counts_never_pass_for_another_mask(evaluate, seed):
    rng = np.random.default_rng(seed)
    text = list(MASK["counts"])
    text[rng.integers(len(text))] = chr(rng.integers(48, 112))
    damaged = "".join(text)
    if damaged == MASK["counts"]:
        return
    try:
        good = run_lengths.decode({"size": [20, 30], "counts": damaged})
    except DataError:
        with pytest.raises(DataError, match="entry 1"):
            evaluate([entry(bbox=..., segmentation={"size": [20, 30], "counts": damaged})])
    else:
        metrics = evaluate([entry(segmentation={"size": [20, 30], "counts": damaged})])
        iou = (good & SQUARE).sum() / (good | SQUARE).sum()
        assert metrics["segm"]["AP50"] == pytest.approx(100 if iou >= 0.5 else 0)
