"""Panoptic files against panoptic files: hotcoco, which follows panopticapi, gives the same figures; what does not fit is named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bdd_inst.base.errors import DataError
from bdd_inst.evaluation.files import result_of_files
from bdd_inst.formats.panoptic_png import write_ids
from bdd_inst.formats.write_panoptic import segment_rows
from tests.evaluation.test_panoptic import CLASSES, random_case


def files_of(folder, name, maps, size=(24, 30)):
    """A COCO panoptic JSON and its PNGs of ``maps``: (ids, segments) an image."""
    own = {n: 10 * (i + 1) for i, n in enumerate(CLASSES.names)}
    (folder / name).mkdir(parents=True)
    rows, images = [], []
    for number, (ids, segments) in enumerate(maps, 1):
        shown = [{**s, "category_id": own[CLASSES.names[CLASSES.number(s)]]} for s in segments]
        ids = np.where(np.isin(ids, [s["id"] for s in segments]), ids, 0)
        write_ids(folder / name / f"{number}.png", ids)
        info = segment_rows(ids, shown)
        rows.append({"image_id": number, "file_name": f"{number}.png", "segments_info": info})
        images.append(
            {"id": number, "file_name": f"{number}.jpg", "height": size[0], "width": size[1]}
        )
    things = CLASSES.things
    categories = [{"id": i, "name": n, "isthing": int(n in things)} for n, i in own.items()]
    content = {"images": images, "annotations": rows, "categories": categories}
    (folder / f"{name}.json").write_text(json.dumps(content))
    return folder / f"{name}.json"


@pytest.fixture
def pair(tmp_path):
    cases = [random_case(seed) for seed in range(30)]
    return [files_of(tmp_path, name, maps) for name, maps in zip(("gt", "dt"), zip(*cases))]


def test_figures_are_hotcocos(pair):
    panoptic = pytest.importorskip("hotcoco").__dict__.get("panoptic")
    if panoptic is None:
        pytest.skip("this hotcoco has no panoptic evaluation")
    theirs = panoptic.pq_compute(*map(str, pair))
    ours = result_of_files(*pair).metrics["panoptic_seg"]
    for group, suffix in (("All", ""), ("Things", "_th"), ("Stuff", "_st")):
        for name in ("pq", "sq", "rq"):
            assert ours[f"{name.upper()}{suffix}"] == pytest.approx(
                100 * theirs[group][name], rel=1e-9
            )
    assert sum(row["hits"] for row in ours["counts"].values()) > 20


def test_both_rules_stand_side_by_side(pair):
    metrics = result_of_files(*pair, "both").metrics
    assert metrics["panoptic_seg"] == metrics["coco"]["panoptic_seg"]
    assert metrics["bdd"]["panoptic_seg"] == result_of_files(*pair, "bdd").metrics["panoptic_seg"]
    assert metrics["bdd"]["panoptic_seg"]["PQ"] != metrics["coco"]["panoptic_seg"]["PQ"]
    with pytest.raises(DataError, match="--protocol voc"):
        result_of_files(*pair, "voc")


def changed(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_an_image_without_prediction_misses_all_its_segments(pair):
    def drop(content):
        del content["images"][0], content["annotations"][0]

    before = result_of_files(*pair).metrics["panoptic_seg"]["counts"]
    changed(pair[1], drop)
    metrics = result_of_files(*pair).metrics
    assert any("image-without-prediction" in note for note in metrics["notes"])
    after = metrics["panoptic_seg"]["counts"]
    assert sum(r["missed"] for r in after.values()) > sum(r["missed"] for r in before.values())


def test_what_does_not_fit_is_one_line(pair):
    def rename(content):
        content["images"][3]["file_name"] = "elsewhere.jpg"

    changed(pair[1], rename)
    with pytest.raises(DataError, match=r"elsewhere\.jpg is no image of .*gt\.json"):
        result_of_files(*pair)


def test_a_size_that_does_not_fit_is_named(tmp_path):
    cases = [random_case(seed) for seed in range(2)]
    truth = files_of(tmp_path, "gt", [c[0] for c in cases])
    small = [(ids[:-2], [s for s in segments if (ids[:-2] == s["id"]).any()]) for _, (ids, segments) in cases]  # fmt: skip
    predicted = files_of(tmp_path, "dt", small, (22, 30))
    with pytest.raises(DataError, match="1.jpg.*30x22, but its labels are 30x24"):
        result_of_files(truth, predicted)


def test_classes_that_the_truth_lacks_are_counted_and_left_out(pair):
    def rename(content):
        content["categories"][0]["name"] = "lorry"

    changed(pair[1], rename)
    metrics = result_of_files(*pair).metrics
    assert any("unknown-category" in note and "lorry" in note for note in metrics["notes"])
    assert metrics["panoptic_seg"]["counts"]["car"]["hits"] == 0
