"""What the images show: colors where the objects are, names beside them, nothing elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bdd_inst.base.errors import DataError
from bdd_inst.drawing import colors, draw
from bdd_inst.drawing.colors import (
    INK,
    PALETTE,
    PAPER,
    VERDICTS,
    class_color,
    class_colors,
    contrast,
    instance_color,
)
from bdd_inst.drawing.matching import with_verdicts
from bdd_inst.drawing.objects import from_fields, from_record, gather
from bdd_inst.structures import Boxes, BoxMode, Instances, RLEMasks

NAMES = ("person", "car")


def street(height=360, width=640):
    rng = np.random.default_rng(0)
    return rng.integers(60, 90, (height, width, 3), dtype=np.uint8)


def boxes_and_masks(number, height=720, width=1280, seed=0):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.8, (number, 2)) * [width, height]
    boxes = np.hstack(
        [low, np.minimum(low + rng.uniform(8, 200, (number, 2)), [width, height])]
    ).round()
    masks = np.zeros((number, height, width), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
        mask[y1:y2, x1:x2] = rng.random((y2 - y1, x2 - x1)) > 0.02
    return boxes, masks


def test_the_image_given_is_left_alone_and_far_pixels_too():
    image = street()
    before = image.copy()
    out = draw.draw_instances(
        image, boxes=[[300, 150, 400, 250]], classes=[1], scores=[0.97], names=NAMES
    )
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(out[300:, :250], before[300:, :250])
    assert (out != before).any()


def test_the_mask_is_tinted_with_its_class_color():
    image = np.full((200, 300, 3), 100, np.uint8)
    mask = np.zeros((200, 300), bool)
    mask[50:150, 100:200] = True
    out = draw.draw_instances(
        image,
        masks=[mask],
        classes=[1],
        names=("road", "lane"),
        style=draw.Style(show_labels=False),
    )
    blue, green, red = (out[100, 150].astype(int) - 100).tolist()
    wanted = np.array(PALETTE[1])[::-1].astype(int) - 100
    assert np.sign([blue, green, red]).tolist() == np.sign(wanted).tolist()
    assert (out[20, 20] == 100).all()


def test_every_kind_of_mask_draws_the_same_image():
    image, (boxes, masks) = street(), boxes_and_masks(6, 360, 640)
    from pycocotools import mask as coco_mask

    rles = [coco_mask.encode(np.asfortranarray(m.astype(np.uint8))) for m in masks]
    first = draw.draw_instances(image, boxes=boxes, masks=masks, names=NAMES)
    for other in (torch.from_numpy(masks), rles, RLEMasks(rles, (360, 640))):
        for rows in (
            boxes,
            torch.from_numpy(boxes),
            Boxes(torch.from_numpy(boxes)),
            boxes.tolist(),
        ):
            np.testing.assert_array_equal(
                draw.draw_instances(image, boxes=rows, masks=other, names=NAMES), first
            )


def test_labels_say_name_and_percent():
    objects = gather(
        (10, 10),
        boxes=[[1, 1, 5, 5]] * 4,
        classes=[0, 1, 1, 7],
        scores=[0.5, 0.974, np.nan, 1],
        names=NAMES,
    )
    assert [objects.label(i) for i in range(4)] == ["person 50%", "car 97%", "car", "class 7 100%"]
    assert objects.label(1, with_score=False) == "car"
    crowd = gather((10, 10), boxes=[[1, 1, 5, 5]], crowd=[True], names=("a\nb",))
    assert crowd.label(0) == "a b (ignored)"


def test_a_small_object_stays_visible():
    image = np.full((720, 1280, 3), 120, np.uint8)
    image[400:406, 600:606] = (30, 200, 30)
    mask = np.zeros((720, 1280), bool)
    mask[400:406, 600:606] = True
    out = draw.draw_instances(
        image, masks=[mask], classes=[0], names=("pedestrian",), scores=[0.9]
    ).astype(int)
    assert (out[402:404, 602:604, 1] > out[402:404, 602:604, 0]).all()  # still green inside
    assert (out[395:412, 595:612] != 120).any(2).sum() > 36  # and marked around


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 9)])
def test_tiny_images(size):
    image = np.zeros((*size, 3), np.uint8)
    assert (
        draw.draw_instances(
            image, boxes=[[0, 0, size[1], size[0]]], scores=[1.0], names=NAMES
        ).shape
        == image.shape
    )
    objects = gather(
        size, boxes=[[0, 0, size[1], size[0]]], masks=[np.ones(size, bool)], names=NAMES
    )
    assert draw.side_by_side(image, objects, objects, verdicts=True).ndim == 3


@pytest.mark.parametrize(
    "boxes",
    [
        [[np.nan] * 4],
        [[np.inf, 0, 5, 5]],
        [[5, 5, 5, 5]],
        [[50, 50, 5, 5]],
        [[-1e9, -1e9, 1e9, 1e9]],
        [],
    ],
)
def test_boxes_that_make_no_sense_do_no_harm(boxes):
    assert draw.draw_instances(
        street(), boxes=np.array(boxes).reshape(-1, 4), names=NAMES
    ).shape == (360, 640, 3)


def test_wrong_lengths_and_images_are_refused():
    with pytest.raises(DataError, match="2 classes"):
        draw.draw_instances(street(), boxes=[[0, 0, 1, 1]], classes=[0, 1])
    with pytest.raises(DataError, match="H,W,3 uint8"):
        draw.draw_instances(np.zeros((5, 5), np.uint8), boxes=[[0, 0, 1, 1]])


def test_dataset_dicts_and_instances_give_the_same_objects():
    record = {
        "height": 100,
        "width": 200,
        "annotations": [
            {
                "bbox": [10, 20, 30, 40],
                "bbox_mode": BoxMode.XYWH_ABS,
                "category_id": 1,
                "segmentation": [[10, 20, 40, 20, 40, 60, 10, 60]],
            },
            {"bbox": [5, 5, 9, 9], "bbox_mode": 0, "category_id": 0, "iscrowd": 1},
            {
                "bbox": [5, 5, 9, 9],
                "bbox_mode": 0,
                "category_id": 0,
                "attributes": {"ignored": True},
            },
        ],
    }
    metadata = {"thing_classes": NAMES, "thing_colors": [(1, 2, 3), (4, 5, 6)]}
    objects = from_record(record, metadata)
    np.testing.assert_array_equal(objects.boxes, [[10, 20, 40, 60], [5, 5, 9, 9], [5, 5, 9, 9]])
    assert objects.crowd == [False, True, True]
    assert objects.color(0, "class") == (4, 5, 6)
    fields = Instances((100, 200))
    fields.pred_boxes = Boxes(torch.tensor([[10.0, 20, 40, 60], [5, 5, 9, 9]]))
    fields.pred_classes, fields.scores = torch.tensor([1, 0]), torch.tensor([0.9, 0.3])
    kept = from_fields(fields, metadata, score_threshold=0.5)
    assert (kept.classes, len(kept)) == ([1], 1)
    image = np.zeros((100, 200, 3), np.uint8)
    assert (
        draw.from_instances(image, fields, metadata).shape
        == draw.from_dataset_dict(image, record, metadata).shape
        == image.shape
    )


def test_side_by_side_shows_both_and_a_key():
    image = street(400, 800)
    record = {
        "annotations": [{"bbox": [100, 100, 200, 200], "bbox_mode": 0, "category_id": 1}],
        "height": 400,
        "width": 800,
    }
    labels = from_record(record, {"thing_classes": NAMES})
    nothing = gather((400, 800), names=NAMES, boxes=[])
    out = draw.side_by_side(image, labels, nothing, verdicts=True, title="street.jpg")
    assert out.shape[1] == 2 * 800 + 6
    orange = (np.abs(out.astype(int) - np.array(VERDICTS["missed"])[::-1]) < 12).all(2)
    assert orange[-40:].any()  # the key below
    assert orange[:-40, :800].any()  # the box at the left
    assert not orange[:-40, 806:].any()


def test_small_images_grow_until_names_can_be_read():
    image, objects = draw.enlarge(street(90, 160), gather((90, 160), boxes=[[1, 2, 3, 4]]))
    assert image.shape == (540, 960, 3)
    assert objects.boxes.tolist() == [[6, 12, 18, 24]]
    assert draw.enlarge(street(720, 1280), objects)[0].shape == (720, 1280, 3)


def test_colors_are_stable_and_readable():
    assert class_colors(["a", "b", "c"], [(1, 2, 3)]) == [(1, 2, 3), class_color(1), class_color(2)]
    assert class_colors(["person", "dog", "car"])[::2] == [PALETTE[0], PALETTE[2]]
    assert class_colors(["dog", "car", "cat"])[0] not in PALETTE
    assert len({class_color(i) for i in range(80)}) == 80
    assert len({instance_color(i) for i in range(100)}) == 100
    assert contrast((255, 255, 0)) == INK
    assert contrast((0, 0, 120)) == PAPER


def test_verdicts_by_hand():
    boxes = [[0, 0, 10, 10], [20, 0, 30, 10], [50, 50, 90, 90], [0, 60, 10, 70]]
    labels = gather((100, 100), boxes=boxes, classes=[0, 1, 0, 0], crowd=[0, 0, 1, 0])
    found = gather(
        (100, 100),
        boxes=[[0, 0, 10, 9], [0, 0, 10, 10], [20, 0, 30, 10], [55, 55, 60, 60], [70, 0, 80, 10]],
        classes=[0, 0, 0, 0, 1],
        scores=[0.9, 0.8, 0.7, 0.6, 0.5],
    )
    left, right = with_verdicts(labels, found)
    assert left.verdicts == ["matched", "confused", "ignored", "missed"]
    assert right.verdicts == ["matched", "false", "confused", "ignored", "false"]


def test_matching_agrees_with_pycocotools():
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    rng = np.random.default_rng(1)
    low = rng.uniform(0, 300, (40, 2))
    truth = np.hstack([low, low + rng.uniform(10, 60, (40, 2))])
    guess = truth[rng.integers(0, 40, 60)] + rng.normal(0, 4, (60, 4))
    guess[:, 2:] = np.maximum(guess[:, 2:], guess[:, :2] + 2)
    truth_classes, guess_classes = rng.integers(0, 2, 40), rng.integers(0, 2, 60)
    scores, crowd = rng.permutation(60) / 60 + 0.001, rng.random(40) < 0.15
    labels = gather((400, 400), boxes=truth, classes=truth_classes, crowd=crowd)
    left, right = with_verdicts(
        labels, gather((400, 400), boxes=guess, classes=guess_classes, scores=scores)
    )

    def entry(i, box, c, **more):
        x1, y1, x2, y2 = box.tolist()
        width, height = x2 - x1, y2 - y1
        return {
            "id": i + 1,
            "image_id": 1,
            "category_id": int(c) + 1,
            "bbox": [x1, y1, width, height],
            "area": width * height,
            **more,
        }

    truths = COCO()
    truths.dataset = {
        "images": [{"id": 1, "width": 400, "height": 400}],
        "categories": [{"id": 1}, {"id": 2}],
        "annotations": [
            entry(i, b, c, iscrowd=int(k))
            for i, (b, c, k) in enumerate(zip(truth, truth_classes, crowd, strict=True))
        ],
    }
    truths.createIndex()
    results = truths.loadRes(
        [
            entry(i, b, c, score=float(s))
            for i, (b, c, s) in enumerate(zip(guess, guess_classes, scores, strict=True))
        ]
    )
    evaluation = COCOeval(truths, results, "bbox")
    evaluation.evaluate()
    everything = [e for e in evaluation.evalImgs if e and e["aRng"] == [0, 1e10]]
    matched = sum(int(((e["dtMatches"][0] > 0) & ~e["dtIgnore"][0]).sum()) for e in everything)
    excused = sum(int((e["dtIgnore"][0] > 0).sum()) for e in everything)
    assert right.verdicts.count("matched") == matched == left.verdicts.count("matched")
    assert right.verdicts.count("ignored") == excused


@pytest.mark.parametrize("word", ["car", "Car", "van"])
def test_a_class_has_its_color_in_every_spelling(word):
    """Which class a word means has one answer: a file that writes Car shows the same blue."""
    assert colors.street_color(word) == colors.PALETTE[2]
    assert colors.street_color("other vehicle") is colors.street_color("tree") is None
