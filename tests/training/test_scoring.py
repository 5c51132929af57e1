"""What a run says of its figures at the end."""

from __future__ import annotations

from pathlib import Path

from bdd_inst.evaluation.label_map import LabelMapCounter, report
from bdd_inst.masks import run_lengths
from bdd_inst.training.scoring import result_text
from tests.formats import examples

FIGURES = {"AP": 12.34, "AP50": None, "AP-skin": 12.34}


def test_text_has_a_row_a_kind_and_no_label_map_where_there_is_none():
    text = result_text({"val": {"protocol": "coco", "segm": FIGURES}}, Path("run"))
    assert text.startswith("val:\n")
    row = next(line.split() for line in text.splitlines() if line.startswith("COCO masks"))
    assert row == ["COCO", "masks", "12.34", "-", "-", "-", "-", "-"]
    assert ["skin", "12.34"] in [line.split() for line in text.splitlines()]
    assert "label map" not in text
    assert text.endswith("results in run")


def test_text_of_label_maps_has_iou_by_class():
    counter = LabelMapCounter(["skin", "hair"])
    truth = examples.square(0, 0, 10, 10).astype(int)
    counter.add(truth, [run_lengths.encode(examples.square(0, 0, 5, 10))], [0], [0.9])
    metrics = {"protocol": "coco", "segm": FIGURES, "label_map": report(counter, 0.5, "test")}
    text = result_text({"val": metrics}, Path("run"))
    rows = [line.split() for line in text.splitlines() if line.startswith("skin")]
    assert rows == [["skin", "12.34"], ["skin", "50.00", "66.67"]]
