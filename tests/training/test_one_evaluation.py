"""One evaluation: the command, ``train --eval-only`` and Python's ``evaluate`` leave the same figures, files and tables."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from bdd_inst.cli import evaluate as command
from bdd_inst.engines import build_model
from bdd_inst.training.train import evaluate, train
from bdd_inst.weights.checkpoint import save_weights

CHANGING = ("log.txt", "report.html")  # they hold times


@pytest.fixture
def weights(tiny_cfg, tmp_path):
    """Random weights of the tiny model that find something everywhere."""
    torch.manual_seed(0)
    path = tmp_path / "weights.pth"
    save_weights(build_model(tiny_cfg()), path)
    return path


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_the_command_and_eval_only_leave_the_same(tiny_cfg, tiny_config, weights, tmp_path, capsys):
    overrides = ["MODEL.WEIGHTS", str(weights), "TEST.PROTOCOL", "both"]
    result = train(tiny_cfg(*overrides), str(tmp_path / "run"), eval_only=True)
    words = ["--config", str(tiny_config), "--output", str(tmp_path / "eval"), *overrides]
    assert command.main(words) == 0
    printed = capsys.readouterr().out
    assert metrics_of(tmp_path / "run") == metrics_of(tmp_path / "eval")
    trees = [
        {
            str(path.relative_to(folder))
            for path in folder.rglob("*")
            if path.is_file() and path.name not in ("log.txt", ".lock")
        }
        for folder in (tmp_path / "run", tmp_path / "eval")
    ]
    assert trees[0] == trees[1]
    assert {"table.tex", "analysis.json", "report.html"} <= trees[0]
    assert any(name.startswith("pictures/") for name in trees[0])
    table = result.text.split("\nresults in")[0]
    assert "COCO masks" in table
    assert table in printed


def test_switches_of_the_command_reach_a_model(tiny_config, tiny_cfg, weights, tmp_path):
    words = ["--config", str(tiny_config), "--output", str(tmp_path / "eval"), "--no-report"]
    words += ["--max-detections", "3", "--label-maps", "--label-threshold", "0.25"]
    tiny_cfg()  # the data sets are those of this test
    assert command.main([*words, "MODEL.WEIGHTS", str(weights)]) == 0
    found = metrics_of(tmp_path / "eval")
    assert "AR3" in found["segm"]
    assert any("AP is taken at 3 detections" in note for note in found["notes"])
    assert found["label_map"]["threshold"] == 0.25
    assert not (tmp_path / "eval" / "report.html").exists()


def test_several_data_sets_have_a_folder_each_and_one_file_of_all(
    tiny_cfg, tiny_config, weights, tiny_data, tmp_path
):
    second = tiny_data / "coco" / "annotations" / "again.json"
    shutil.copy(tiny_data / "coco" / "annotations" / "instances_val2017.json", second)
    names = f"['coco_2017_person_val', {str(second)!r}]"
    images = f"['', {str(tiny_data / 'coco' / 'val2017')!r}]"
    words = ["MODEL.WEIGHTS", weights, "DATASETS.TEST", names, "DATASETS.TEST_IMAGES", images]
    words = [*map(str, words), "TEST.PICTURES", "0"]
    found = evaluate(tiny_cfg(*words), str(tmp_path / "run"))
    command_words = ["--config", str(tiny_config), "--output", str(tmp_path / "eval"), *words]
    assert command.main(command_words) == 0
    assert metrics_of(tmp_path / "eval") == metrics_of(tmp_path / "run")
    assert metrics_of(tmp_path / "eval")["datasets"] == found
    assert (tmp_path / "eval" / "coco_2017_person_val" / "metrics.json").is_file()


@pytest.mark.parametrize("option", ["--images", "--scores"])
def test_options_of_files_are_refused_for_a_model(option, capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(["--weights", "model.pth", option, "somewhere"])
    assert stop.value.code == 2
    assert option in capsys.readouterr().err
