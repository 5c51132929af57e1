"""The command: exit codes, one-line errors, what is printed and what is left behind."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from bdd_inst.cli import evaluate
from bdd_inst.masks import run_lengths


@pytest.fixture
def pair(tmp_path):
    """A ground truth file and a results file that finds half of it."""
    mask = np.zeros((20, 30), bool)
    mask[2:12, 3:13] = True
    rows = [
        {
            "category_id": 1,
            "bbox": [3, 2, 10, 10],
            "segmentation": run_lengths.encode(mask),
            "image_id": i,
        }
        for i in (1, 2)
    ]
    truth = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "height": 20, "width": 30} for i in (1, 2)],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [
            row | {"id": n, "area": 100, "iscrowd": 0} for n, row in enumerate(rows, 1)
        ],
    }
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    (tmp_path / "dt.json").write_text(json.dumps([rows[0] | {"score": 0.5}]))
    return ["--ground-truth", str(tmp_path / "gt.json"), "--predictions", str(tmp_path / "dt.json")]


@pytest.mark.parametrize("protocol", ["coco", "bdd", "both"])
def test_prints_the_table_and_leaves_the_files(pair, tmp_path, capsys, protocol):
    assert evaluate.main([*pair, "--protocol", protocol, "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert ("BDD100K masks" in printed) == (protocol != "coco")
    assert ("COCO masks" in printed) == (protocol != "bdd")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["protocol"] == protocol
    assert f"{metrics['segm']['AP']:.2f}" in printed
    assert metrics["segm"]["AP"] == pytest.approx(100 * 51 / 101)
    for name in ("pr_curves.csv", "pr_curves.png"):
        assert (tmp_path / "out" / name).stat().st_size > 100


def test_bad_data_is_one_line_and_exit_code_1(pair, tmp_path, capsys):
    (tmp_path / "dt.json").write_text(
        '[{"image_id": 9, "category_id": 1, "score": 0.5, "bbox": [0, 0, 1, 1]}]'
    )
    assert evaluate.main([*pair, "--output", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert len(captured.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--ground-truth", "a"],
        ["--predictions", "a"],
        ["--config", "a", "--ground-truth", "b", "--predictions", "c"],
        ["--ground-truth", "a", "--predictions", "b", "MODEL.WEIGHTS", "c"],
        ["--ground-truth", "a", "--predictions", "b", "--protocol", "voc"],
        ["--ground-truth", "a", "--predictions", "b", "--max-detections", "0"],
    ],
)
def test_usage_errors_exit_with_2(arguments):
    with pytest.raises(SystemExit) as stop:
        evaluate.main(arguments)
    assert stop.value.code == 2


def test_a_missing_file_is_named(pair, tmp_path, capsys):
    assert evaluate.main([pair[0], str(tmp_path / "nowhere.json"), *pair[2:]]) == 1
    assert "nowhere.json" in capsys.readouterr().err


def test_a_missing_run_folder_is_named(pair, tmp_path, capsys):
    assert (
        evaluate.main(
            [*pair, "--run", str(tmp_path / "nowhere"), "--output", str(tmp_path / "out")]
        )
        == 1
    )
    assert capsys.readouterr().err.splitlines() == [
        f"error: {tmp_path / 'nowhere'}: no such run folder"
    ]


def test_runs_as_a_command_with_help_and_an_example(project_root):
    done = subprocess.run(
        [sys.executable, "tools/evaluate.py", "--help"],
        cwd=project_root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Examples:" in done.stdout
    assert "--protocol" in done.stdout


def broken_truths():
    """Changes to a ground truth that the usual tools read as some other mask, or trip over."""

    def of_mask(**changes):
        return lambda gt: gt["annotations"][0]["segmentation"].update(changes)

    yield of_mask(counts="52")
    yield of_mask(counts="5\u00e9")
    yield of_mask(counts="0" * 3 + "oooooo1")
    yield of_mask(counts="oo")
    yield of_mask(size=[20, 31])


@pytest.mark.parametrize("change", broken_truths())
@pytest.mark.parametrize("protocol", ["coco", "both"])
def test_a_broken_mask_of_a_ground_truth_is_named_and_boxes_are_still_scored(
    pair, tmp_path, capsys, change, protocol
):
    truth = json.loads((tmp_path / "gt.json").read_text())
    change(truth)
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    words = [*pair, "--protocol", protocol, "--no-report", "--output", str(tmp_path / "out")]
    assert evaluate.main(words) == 0
    said = capsys.readouterr().out
    assert f"note: masks are not scored, only boxes: {tmp_path / 'gt.json'} (" in said
    assert "annotation 1: an RLE" in said
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["bbox"]["AP"] > 0
    assert "segm" not in metrics


@pytest.mark.parametrize("change", broken_truths())
def test_boxes_are_scored_though_a_mask_of_the_ground_truth_is_broken(pair, tmp_path, change):
    truth, found = (json.loads((tmp_path / name).read_text()) for name in ("gt.json", "dt.json"))
    change(truth)
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    for row in found:
        row.pop("segmentation")
    (tmp_path / "dt.json").write_text(json.dumps(found))
    assert evaluate.main([*pair, "--no-report", "--output", str(tmp_path / "out")]) == 0
    assert "bad-rle" in (tmp_path / "out" / "metrics.json").read_text()


@pytest.mark.parametrize("width", [-5, 10**25])
def test_a_size_of_no_image_is_told(pair, tmp_path, width):
    truth = json.loads((tmp_path / "gt.json").read_text())
    truth["images"][0]["width"] = width
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    assert evaluate.main([*pair, "--no-report", "--output", str(tmp_path / "out")]) == 0
    assert "bad-image-size" in (tmp_path / "out" / "metrics.json").read_text()


def test_packed_and_marked_files_are_read_like_any_other(pair, tmp_path):
    for name in ("gt.json", "dt.json"):
        data = (tmp_path / name).read_bytes()
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(data))
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + data)
    assert evaluate.main([*pair, "--no-report", "--output", str(tmp_path / "out")]) == 0
    packed = [word + ".gz" if word.endswith(".json") else word for word in pair]
    assert evaluate.main([*packed, "--no-report", "--output", str(tmp_path / "out")]) == 0


def test_sizes_that_coco_files_do_not_say_come_from_the_images(pair, tmp_path):
    truth = json.loads((tmp_path / "gt.json").read_text())
    for row in truth["images"]:
        del row["width"], row["height"]
    for row in truth["annotations"]:
        row["segmentation"] = [[3, 2, 13, 2, 13, 12, 3, 12]]
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    (tmp_path / "im").mkdir()
    for name in ("1.jpg", "2.jpg"):
        Image.new("RGB", (30, 20)).save(tmp_path / "im" / name)
    words = [*pair, "--no-report", "--output", str(tmp_path / "out")]
    assert evaluate.main(words) == 1
    assert evaluate.main([*words, "--images", str(tmp_path / "im")]) == 0
