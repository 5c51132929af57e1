"""Names of the drawings that show labels and predictions side by side."""

from __future__ import annotations

from bdd_inst.report.side_by_side import image_names


def test_drawings_of_one_name_in_several_folders_are_told_apart():
    files = ["v/a/1.jpg", "v/b/1.jpg", "w/b/1.jpg", "w/2.jpg", "w/2.png", "x/w_2.jpg"]
    names = image_names({"file_name": file} for file in files)
    assert names["v/a/1.jpg"] == "a_1"
    assert names["v/b/1.jpg"] == "v_b_1"
    assert names["w/2.jpg"] == "w_2"
    assert len({name.casefold() for name in names.values()}) == len(files)
    assert image_names([{"file_name": "/data/street.jpg"}]) == {"/data/street.jpg": "street"}
