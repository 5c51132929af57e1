"""Pixel-wise figures equal an independent implementation; ignored pixels, absent classes and thresholds are as documented."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bdd_inst.base.errors import DataError
from bdd_inst.data.sem_seg import label_map_of
from bdd_inst.evaluation.boundary import boundary, width_of
from bdd_inst.evaluation.sem_seg import SemSegCounter, boundary_iou
from bdd_inst.evaluation.sem_seg_evaluator import SemSegEvaluator, image_name
from bdd_inst.evaluation.tables import summary
from bdd_inst.inference.label_maps import labels_of
from bdd_inst.report.html import write_report

NAMES = ["road", "car", "sky", "tree"]


def counted(maps: list, names: list[str] = NAMES) -> SemSegCounter:
    """A counter that has seen (truth, prediction) pairs."""
    counter = SemSegCounter(names)
    for n, (truth, predicted) in enumerate(maps):
        counter.add(truth, predicted, f"{n}.jpg")
    return counter


def detectron2_figures(maps: list, classes: int) -> dict:
    """SemSegEvaluator's arithmetic, class by class and pixel by pixel: an implementation that shares nothing with ours."""
    truth = np.concatenate([t.ravel() for t, _ in maps])
    predicted = np.concatenate([p.ravel() for _, p in maps])
    truth, predicted = truth[truth != 255], predicted[truth != 255]
    iou, acc, weight = {}, {}, {}
    for k in range(classes):
        mine, theirs = truth == k, predicted == k
        if mine.sum():
            acc[k] = (mine & theirs).sum() / mine.sum()
            iou[k] = (mine & theirs).sum() / (mine | theirs).sum()
            weight[k] = mine.sum() / len(truth)
    return {
        "mIoU": 100 * np.mean(list(iou.values())),
        "fwIoU": 100 * sum(iou[k] * weight[k] for k in iou),
        "mACC": 100 * np.mean(list(acc.values())),
        "pACC": 100 * (truth == predicted).mean(),
        "iou": {k: 100 * v for k, v in iou.items()},
        "acc": {k: 100 * v for k, v in acc.items()},
    }


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
@settings(max_examples=40)
def test_figures_equal_an_independent_count(seed, images):
    rng = np.random.default_rng(seed)
    maps = []
    for _ in range(images):
        size = tuple(rng.integers(1, 12, 2))
        truth = rng.choice([0, 1, 2, 3, 255], size, p=rng.dirichlet([0.5] * 5))
        maps.append((truth, rng.integers(0, 4, size)))
    maps[0][0][0, 0] = 2  # at least one pixel counts
    figures, expected = counted(maps).figures(), detectron2_figures(maps, 4)
    for name in ("mIoU", "fwIoU", "mACC", "pACC"):
        assert figures[name] == pytest.approx(expected[name])
    for k, name in enumerate(NAMES):
        assert figures[f"IoU-{name}"] == (
            pytest.approx(expected["iou"][k]) if k in expected["iou"] else None
        )
        assert figures[f"ACC-{name}"] == (
            pytest.approx(expected["acc"][k]) if k in expected["acc"] else None
        )


def test_equal_to_torchmetrics(rng):
    classification = pytest.importorskip("torchmetrics.functional.classification")
    import torch

    truth, predicted = rng.integers(0, 4, (2, 40, 50)), rng.integers(0, 4, (2, 40, 50))
    truth[0, :5] = 255
    figures = counted(list(zip(truth, predicted))).figures()
    pair = torch.from_numpy(predicted), torch.from_numpy(truth)
    options = {"num_classes": 4, "ignore_index": 255, "average": None}
    iou = classification.multiclass_jaccard_index(*pair, **options)
    dice = classification.multiclass_f1_score(*pair, **options)
    for k, name in enumerate(NAMES):
        assert figures[f"IoU-{name}"] == pytest.approx(100 * float(iou[k]), abs=1e-4)
        assert figures[f"Dice-{name}"] == pytest.approx(100 * float(dice[k]), abs=1e-4)


def test_dice_is_never_iou_unless_all_or_nothing(rng):
    figures = counted([(rng.integers(0, 4, (20, 20)), rng.integers(0, 4, (20, 20)))]).figures()
    for name in NAMES:
        assert figures[f"Dice-{name}"] > figures[f"IoU-{name}"]
    assert figures["Dice"] > figures["mIoU"]


def test_background_is_left_out_of_means_and_kept_in_pixel_figures():
    truth = np.array([[0, 0, 0, 1]])
    figures = counted([(truth, np.array([[0, 0, 1, 1]]))], ["background", "person"]).figures()
    assert figures["mIoU"] == figures["IoU-person"] == 50
    assert figures["mIoU-with-background"] == pytest.approx((50 + 100 * 2 / 3) / 2)
    assert figures["pACC"] == 75


def test_images_without_a_class_are_scored_by_what_is_marked():
    empty = np.zeros((10, 10), int)
    marked = empty.copy()
    marked[:2, :5] = 1
    full = np.ones((10, 10), int)
    figures = counted([(empty, marked), (full, full)], ["background", "person"]).figures()
    assert figures["marked-without"] == 10
    assert figures["mIoU-pictures"] == 100


def test_ignored_pixels_count_nowhere_at_all(rng):
    truth, predicted = rng.integers(0, 2, (2, 30, 30))
    truth[:, 20:] = 255
    other = predicted.copy()
    other[:, 20:] = 1 - other[:, 20:]
    names = ["background", "person"]
    assert (
        counted([(truth, predicted)], names).report() == counted([(truth, other)], names).report()
    )


def test_boundary_iou_is_that_of_the_whole_masks(rng):
    truth = np.zeros((60, 80), bool)
    truth[10:50, 20:60] = True
    predicted = np.roll(truth, 3, axis=1)
    a, b = (boundary(mask, width_of(60, 80)) for mask in (truth, predicted))
    assert boundary_iou(truth, predicted) == (a & b).sum() / (a | b).sum()
    assert boundary_iou(truth, truth) == 1
    assert np.isnan(boundary_iou(truth & False, truth & False))


def test_the_sweep_is_the_figure_at_each_threshold(rng):
    truth, scores = rng.integers(0, 2, (40, 40)), rng.random((40, 40))
    counter = SemSegCounter(["background", "person"])
    counter.add(truth, (scores >= 0.5).astype(int), scores=scores)
    for row in counter.sweep():
        mask = scores >= row["threshold"]
        iou = (mask & (truth == 1)).sum() / (mask | (truth == 1)).sum()
        assert row["mIoU"] == pytest.approx(100 * iou)
    assert counter.sweep()[9]["mIoU"] == pytest.approx(counter.figures()["IoU-person"])


def test_worst_images_come_first(rng):
    good = np.ones((5, 5), int)
    bad = good.copy()
    bad[:3] = 0
    rows = counted([(good, good), (good, bad)], ["background", "person"]).worst()
    assert [row["picture"] for row in rows] == ["1.jpg", "0.jpg"]
    assert rows[0]["mIoU"] == pytest.approx(40)


def test_numbers_that_are_no_class_are_refused():
    with pytest.raises(ValueError, match="class 7 of 4"):
        counted([(np.zeros((2, 2), int), np.full((2, 2), 7))])


@pytest.fixture
def records(tmp_path, rng) -> list[dict]:
    """Three images with label maps of background and two classes; the third has ignored pixels."""
    out = []
    for n in range(3):
        truth = rng.integers(0, 3, (24, 32)).astype(np.uint8)
        truth[:2] = 255 if n == 2 else truth[:2]
        Image.fromarray(truth).save(tmp_path / f"{n}_labels.png")
        Image.fromarray(rng.integers(0, 255, (24, 32, 3), np.uint8)).save(tmp_path / f"{n}.png")
        out.append(
            {
                "file_name": str(tmp_path / f"{n}.png"), "height": 24, "width": 32, "image_id": n,
                "sem_seg_file_name": str(tmp_path / f"{n}_labels.png"),
            }
        )  # fmt: skip
    return out


def test_a_model_is_scored_and_its_figures_written(records, tmp_path, rng):
    evaluator = SemSegEvaluator(
        records, {"stuff_classes": ["background", "cat", "dog"]}, output_dir=tmp_path / "out"
    )
    expected = SemSegCounter(["background", "cat", "dog"])
    for record in [*records, records[0]]:  # the first comes twice, as padded samplers have it
        logits = torch.from_numpy(rng.normal(size=(3, 24, 32)))
        evaluator.process([record], [{"sem_seg": logits}])
        if record["image_id"] == len(expected.images):
            expected.add(
                label_map_of(record), logits.argmax(0).numpy(), f"{record['image_id']}.png"
            )
    metrics = evaluator.evaluate()
    assert metrics["sem_seg"] == expected.report()
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == metrics
    rows = list(csv.DictReader((tmp_path / "out" / "sem_seg.csv").open()))
    assert [row["class"] for row in rows] == ["background", "cat", "dog"]
    assert float(rows[1]["IoU"]) == metrics["sem_seg"]["IoU-cat"]
    assert len(list(csv.reader((tmp_path / "out" / "sem_seg_pictures.csv").open()))) == 4
    report = write_report(evaluator.outcome, tmp_path / "out").read_text(encoding="utf-8")
    assert "derived from IoU" in report
    assert "IoU-cat" in report
    assert "derived from IoU" in summary(metrics)


def test_one_plane_is_a_probability():
    labels, scores = labels_of(torch.tensor([[[-2.0, 0.0, 3.0]]]))
    assert labels.tolist() == [[0, 1, 1]]
    assert scores[0, 2] == pytest.approx(1 / (1 + np.exp(-3)))
    with pytest.raises(DataError, match="not finite"):
        labels_of(torch.full((1, 2, 2), torch.nan))


def test_images_that_are_not_there_and_never_came(records):
    evaluator = SemSegEvaluator(records, {"stuff_classes": ["background", "a", "b"]})
    evaluator.process(records[:1], [{"sem_seg": torch.zeros(3, 24, 32)}])
    assert "2 of 3 images were never predicted" in evaluator.evaluate()["notes"][0]
    with pytest.raises(DataError, match="'x', which the data set does not have"):
        evaluator.process([{"image_id": "x"}], [{"sem_seg": torch.zeros(3, 24, 32)}])


def test_images_of_several_folders_have_figures_of_each():
    counter = SemSegCounter(["background", "person"])
    whole, half, none = np.ones((4, 4), int), np.ones((4, 4), int), np.zeros((4, 4), int)
    half[:2] = 0
    counter.add(whole, whole, "indoors/1.jpg")
    assert counter.sources() == []
    counter.add(whole, half, "street/a/1.jpg")
    counter.add(whole, whole, "street/b/1.jpg")
    counter.add(none, half, "street/empty.jpg")
    indoors, street = counter.sources()
    assert (indoors["source"], indoors["pictures"], indoors["mIoU-pictures"]) == ("indoors", 1, 100)
    assert indoors["marked-without"] is None
    assert street["pictures"] == 3
    assert street["mIoU-pictures"] == 75
    assert street["marked-without"] == 50
    assert street["BoundaryIoU"] == pytest.approx(100 * (1 + 6 / 14) / 2)
    text = summary({"protocol": "label-map", "sem_seg": counter.report()})
    assert [line.split()[:3] for line in text.splitlines() if line.startswith("street")] == [
        ["street", "3", "75.00"]
    ]


def test_an_image_is_called_by_its_path_within_the_set():
    assert image_name({"image_id": "a/images/1.jpg", "file_name": "/x/1.jpg"}) == "a/images/1.jpg"
    assert image_name({"image_id": 7, "file_name": "/x/1.jpg"}) == "1.jpg"
