"""Environment variables: nonsense is one line from every command, and the document lists each that is read."""

from __future__ import annotations

import json
import re

import cv2
import numpy as np
import pytest

from bdd_inst.base.cache_folder import cache_folder
from bdd_inst.base.environment import LIMITS, check_environment, whole_number
from bdd_inst.base.errors import ConfigError
from bdd_inst.cli.main import VERBS, main
from bdd_inst.training.launch import find_launch_config


@pytest.fixture
def commands(tmp_path):
    """A command line of every verb that would do its work, were it not for the variable."""
    (tmp_path / "img").mkdir()
    cv2.imwrite(str(tmp_path / "img" / "a.png"), np.zeros((20, 30, 3), np.uint8))
    box = {"image_id": 1, "category_id": 1, "bbox": [2, 2, 9, 9], "area": 81, "iscrowd": 0}
    tree = {
        "images": [{"id": 1, "file_name": "a.png", "width": 30, "height": 20}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [box | {"id": 1, "segmentation": [[2, 2, 11, 2, 11, 11, 2, 11]]}],
    }
    (tmp_path / "gt.json").write_text(json.dumps(tree))
    (tmp_path / "dt.json").write_text(json.dumps([box | {"score": 0.5}]))
    labels, images = str(tmp_path / "gt.json"), str(tmp_path / "img")
    out = ["--output", str(tmp_path / "out")]
    scored = ["--ground-truth", labels, "--predictions", str(tmp_path / "dt.json")]
    source = ["--input", labels, "--images", images]
    return {
        "check": ["check", *source, *out],
        "convert": ["convert", *source, "--to", "overlay", *out],
        "evaluate": ["evaluate", *scored, "--images", images, *out],
        "live": ["live", "--input", images, "--background", "blur", *out],
        "make-masks": ["make-masks", *source, "--category", "car", *out],
        "predict": ["predict", "--config", "demo.yaml", "--input", images, *out],
        "train": ["train", "--config", "demo.yaml", "--train", labels, *out],
        "visualize": ["visualize", "--ground-truth", labels, "--images", images, *out],
    }


@pytest.mark.parametrize("variable", sorted(LIMITS))
@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"demo", "benchmark"}))
def test_nonsense_is_one_line_and_exit_code_1(commands, verb, variable, monkeypatch, capsys):
    monkeypatch.setenv(variable, "x\ny")
    assert main(commands[verb]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {variable}='x\\ny': give a number of ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "1e9", "\u0663", "9" * 16, "1 000"])
def test_only_whole_numbers_are_numbers(text, monkeypatch):
    monkeypatch.setenv("BDD_INST_MAX_PIXELS", text)
    with pytest.raises(ConfigError, match="BDD_INST_MAX_PIXELS"):
        check_environment()


def test_what_is_not_set_has_no_number(monkeypatch):
    monkeypatch.delenv("A_NUMBER", raising=False)
    assert whole_number("A_NUMBER", "things", 3) is None
    monkeypatch.setenv("A_NUMBER", " 12 ")
    assert whole_number("A_NUMBER", "things", 3) == 12


def test_the_folder_of_nobody_is_named(monkeypatch):
    monkeypatch.setenv("BDD_INST_CACHE", "~no-such-user-at-all/x")
    with pytest.raises(ConfigError, match="no such user's folder"):
        cache_folder()


def test_a_launcher_that_counts_nonsense_is_named(monkeypatch):
    for variable in ("LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID", "RANK", "GROUP_RANK"):
        monkeypatch.setenv(variable, "1")
    for variable in ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE"):
        monkeypatch.setenv(variable, "two")
    with pytest.raises(ConfigError, match="WORLD_SIZE='two'"):
        find_launch_config()


def test_the_document_lists_every_variable_that_is_read(project_root):
    code = "\n".join(p.read_text() for p in (project_root / "bdd_inst").rglob("*.py"))
    places = r"environ(?:\.get|\.setdefault)?\s*[(\[]\s*\"(\w+)|env(?:\.get\(|\[)\s*\"(\w+)|\"(\w+)\" (?:not )?in (?:os\.)?env"
    read = {name for found in re.findall(places, code) for name in found if name}
    read |= set(LIMITS) | {"BDD_INST_CACHE", "TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"}
    assert {"DETECTRON2_DATASETS", "TORCH_HOME", "LOCAL_RANK", "DISPLAY"} <= read
    text = (project_root / "docs" / "environment.md").read_text()
    assert not {name for name in read if f"`{name}" not in text}
