"""What a run says of its figures at the end."""

from __future__ import annotations

from pathlib import Path

from bdd_inst.evaluation.label_map import LabelMapCounter, report
from bdd_inst.masks import run_lengths
from bdd_inst.training.scoring import picture_names, result_text
from tests.formats import examples

FIGURES = {"AP": 12.34, "AP50": None, "AP-skin": 12.34}


def test_text_has_a_row_a_kind_and_no_label_map_where_there_is_none():
    text = result_text({"val": {"protocol": "coco", "segm": FIGURES}}, Path("run"))
    assert "segm      12.3       -" in text
    assert "skin 12.3" in text
    assert "label map" not in text
    assert text.endswith("results in run")


def test_text_of_label_maps_has_iou_by_class():
    counter = LabelMapCounter(["skin", "hair"])
    truth = examples.square(0, 0, 10, 10).astype(int)
    counter.add(truth, [run_lengths.encode(examples.square(0, 0, 5, 10))], [0], [0.9])
    text = result_text(
        {"val": {"segm": FIGURES, "label_map": report(counter, 0.5, "test")}}, Path("run")
    )
    row = next(line.split() for line in text.splitlines() if line.startswith("skin"))
    assert row == ["skin", "50.00", "66.67"]


def test_drawings_of_one_name_in_several_folders_are_told_apart():
    files = ["v/a/1.jpg", "v/b/1.jpg", "w/b/1.jpg", "w/2.jpg", "w/2.png", "x/w_2.jpg"]
    names = picture_names({"file_name": file} for file in files)
    assert names["v/a/1.jpg"] == "a_1"
    assert names["v/b/1.jpg"] == "v_b_1"
    assert names["w/2.jpg"] == "w_2"
    assert len({name.casefold() for name in names.values()}) == len(files)
    assert picture_names([{"file_name": "/data/street.jpg"}]) == {"/data/street.jpg": "street"}
