"""A thousand classes: pages, tables and files stay of a size that can be opened."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bdd_inst.cli import evaluate
from bdd_inst.evaluation.confusion import CELLS, WHOLE, matrix_content, matrix_from
from bdd_inst.evaluation.curves import MEAN, MOST_ROWS, Curve, csv_rows, fitted
from bdd_inst.evaluation.evaluation_result import EvaluationResult
from bdd_inst.evaluation.ground_truth import GroundTruthBuilder
from bdd_inst.evaluation.outputs import write_sem_seg
from bdd_inst.evaluation.results import ResultsBuilder
from bdd_inst.evaluation.sem_seg import ImageScore, SemSegCounter
from bdd_inst.evaluation.tables import grid
from bdd_inst.report.html import write_report
from bdd_inst.report.many_classes import MOST_CLASSES, curves_shown, matrix_shown


def curves(classes: int, ious=10) -> list[Curve]:
    line = np.linspace(0, 1, 101)
    names = (MEAN, *(f"class {k}" for k in range(classes)))
    steps = [0.5 + 0.05 * t for t in range(ious)]
    return [Curve(kind, n, t, line, line, line) for kind in "ab" for t in steps for n in names]


def test_eighty_classes_keep_every_curve():
    kept, step = fitted(curves(80))
    assert (len(kept), step) == (2 * 10 * 81, 1)


@pytest.mark.parametrize(
    ("classes", "ious", "step"), [(200, {0.5, 0.75}, 1), (900, {0.5}, 1), (1203, {0.5}, 2)]
)
def test_of_more_classes_fewer_thresholds_then_fewer_points(classes, ious, step):
    kept, found = fitted(curves(classes))
    assert found == step
    assert {round(c.iou, 2) for c in kept if c.name != MEAN} == ious
    assert len({round(c.iou, 2) for c in kept if c.name == MEAN}) == 10
    assert {c.name for c in kept} == {MEAN, *(f"class {k}" for k in range(classes))}
    rows = list(csv_rows(curves(classes)))
    assert len(rows) - 1 <= MOST_ROWS
    assert {row[3] for row in rows[1:]} >= {"0.00", "0.50", "1.00"}


def test_a_page_shows_the_curves_of_the_most_frequent_classes():
    objects = np.arange(100)
    names = [f"class {k}" for k in range(100)]
    shown = {c.name for c in curves_shown(curves(100), names, objects)}
    assert shown == {MEAN, *names[-MOST_CLASSES:]}
    assert len(curves_shown(curves(9), names[:9], objects[:9])) == len(curves(9))


def test_a_page_shows_the_most_confused_classes_and_loses_no_count():
    rng = np.random.default_rng(0)
    matrix = np.diag(rng.integers(5, 9, 301))
    matrix[300, :] = matrix[:, 300] = 1  # background
    matrix[7, 250] = 99
    names = [*(f"class {k}" for k in range(300)), "background"]
    small, shown = matrix_shown(matrix, names)
    assert len(small) == len(shown) == MOST_CLASSES + 2
    assert shown[-2:] == [f"{300 - MOST_CLASSES} others", "background"]
    assert small[shown.index("class 7")][shown.index("class 250")] == 99
    assert np.sum(small) == matrix.sum()
    assert matrix_shown(matrix[:5, :5], names[:5]) == (matrix[:5, :5].tolist(), names[:5])


def test_a_file_holds_the_fullest_cells_of_a_large_matrix():
    assert matrix_content(np.eye(WHOLE, dtype=int))["matrix"][1][1] == 1
    large = np.ones((400, 400), int)
    large[3, 5] = 7
    content = matrix_content(large)
    assert content["cells"][0] == [3, 5, 7]
    assert len(content["cells"]) == CELLS
    assert sum(cell[2] for cell in content["cells"]) + content["left_out"] == large.sum()
    again = matrix_from(content, 400)
    assert again[3, 5] == 7
    assert again.sum() + content["left_out"] == large.sum()
    small = np.arange(9).reshape(3, 3)
    assert matrix_from(matrix_content(small, "pixels"), 3, "pixels").tolist() == small.tolist()


@pytest.mark.parametrize("classes", [300, pytest.param(1203, marks=pytest.mark.slow)])
def test_many_classes_leave_files_that_can_be_opened(classes, tmp_path, capsys):
    """LVIS has 1203; with an object each, two in three found: the sizes follow from the classes, not from the objects."""
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in range(1, 41)]
    labels, found = [], []
    for k in range(1, classes + 1):
        x, y = k % 37 * 10, k % 29 * 10
        outline = [[x, y, x + 90, y, x + 90, y + 90, x, y + 90]]
        entry = {"image_id": 1 + k % 40, "category_id": k, "bbox": [x, y, 90, 90]}
        entry["segmentation"] = outline
        labels.append(entry | {"id": k, "area": 8100, "iscrowd": 0})
        right = {"category_id": k if k % 3 else 1 + k * 7 % classes}
        found.append(entry | right | {"score": k / classes})
    names = [{"id": k, "name": f"class number {k}"} for k in range(1, classes + 1)]
    tree = {"images": images, "annotations": labels, "categories": names}
    (tmp_path / "gt.json").write_text(json.dumps(tree))
    (tmp_path / "dt.json").write_text(json.dumps(found))
    words = ["--ground-truth", str(tmp_path / "gt.json"), "--predictions"]
    out = tmp_path / "out"
    words += [str(tmp_path / "dt.json"), "--output", str(out)]
    assert evaluate.main([*words, "--label-maps"]) == 1
    assert f"{classes} classes, and a label map has numbers for 254" in capsys.readouterr().err
    assert evaluate.main(words) == 0
    sizes = {p.name: p.stat().st_size / 1e6 for p in out.iterdir()}
    assert sizes["report.html"] < 4
    assert sizes["analysis.json"] < 2
    assert max(sizes.values()) < 10, sizes
    assert len(json.loads((out / "metrics.json").read_text())["segm"]) > classes


@pytest.mark.parametrize("classes", [300, 1203])
def test_many_pixel_classes_leave_files_that_can_be_opened(classes, tmp_path):
    """Every class on every image, and confused with many others: what fills a matrix most."""
    names = ["background", *(f"class number {k}" for k in range(1, classes + 1))]
    rng = np.random.default_rng(0)
    counter = SemSegCounter(names)
    counter.confusion += rng.integers(0, 10**6, (classes + 1, classes + 1))
    for n in range(30):
        share = rng.random(classes + 1)
        counter.images.append(ImageScore(f"{n}.png", share, share, 0.5))
    metrics = {"protocol": "label-map", "sem_seg": counter.report()}
    truth = GroundTruthBuilder(names[1:], range(1, classes + 1), "maps").build()
    outcome = EvaluationResult(metrics, truth, ResultsBuilder().build("predicted"), {}, [])
    outcome.write(tmp_path)
    write_sem_seg(counter, tmp_path)
    page = write_report(outcome, tmp_path)
    sizes = {p.name: p.stat().st_size / 1e6 for p in tmp_path.iterdir()}
    assert {"metrics.json", "sem_seg.csv", page.name} <= set(sizes)
    assert max(sizes.values()) < 3, sizes
    kept = json.loads((tmp_path / "metrics.json").read_text())["sem_seg"]["confusion"]
    assert sum(c[2] for c in kept["cells"]) + kept["left_out"] == counter.confusion.sum()


def test_a_printed_table_commands_no_terminal():
    lines = grid(["class", "a\x1b[31m\n.json"], [["x" * 10**6 + "\0", "1.00"]])
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) < 200
