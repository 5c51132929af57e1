"""The examples run as they stand."""

from __future__ import annotations

import json
import re
import runpy
import sys

import cv2
import numpy as np
import pytest

from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.weights.checkpoint import save_weights
from bdd_inst.weights.trained import identity_of
from tests.product.tiny import MODEL


@pytest.fixture
def run(project_root, monkeypatch, capsys):
    """Calls an example as a person would; what it printed."""

    def call(name, *words):
        file = str(project_root / "examples" / name)
        monkeypatch.setattr(sys, "argv", [file, *map(str, words)])
        runpy.run_path(file, run_name="__main__")
        return capsys.readouterr().out

    return call


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "images" / "a.png"
    path.parent.mkdir()
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8))
    return path


def test_predict(run, image, tmp_path):
    cfg = load_cfg("demo.yaml", MODEL)
    names = [f"kind{i}" for i in range(8)]
    weights = tmp_path / "w.pth"
    save_weights(build_model(cfg), weights, identity_of(cfg, {"thing_classes": names}).entry())
    assert f"{image}: " in run("predict.py", weights, image)


@pytest.fixture
def labels(image, tmp_path):
    outline = [5.0, 10, 45, 10, 45, 50, 5, 50]
    label = {"id": 1, "image_id": 1, "category_id": 3, "iscrowd": 0, "area": 1600.0}
    label |= {"bbox": [5.0, 10, 40, 40], "segmentation": [outline]}
    content = {"images": [{"id": 1, "file_name": "a.png", "width": 80, "height": 64}]}
    content |= {"annotations": [label], "categories": [{"id": 3, "name": "hat"}]}
    (tmp_path / "labels.json").write_text(json.dumps(content))
    return tmp_path / "labels.json"


def test_every_example_is_named(project_root):
    folder = project_root / "examples"
    text = (folder / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"\]\(([^)]+\.(?:py|ipynb))\)", text)
    there = [p for p in folder.rglob("*") if p.suffix in (".py", ".ipynb")]
    assert sorted(named) == sorted(path.relative_to(folder).as_posix() for path in there)


def test_convert(run, labels, tmp_path):
    said = run("convert.py", labels, "yolo", tmp_path / "yolo")
    assert "coco, 1 images, 1 hat" in said
    assert (tmp_path / "yolo" / "labels" / "a.txt").is_file()


def test_own_data(run, labels, image, tmp_path):
    short = "STAGES [{'NAME':'all','TRAIN':'all','FREEZE_AT':0,'MAX_ITER':2}] SOLVER.IMS_PER_BATCH 1 DATALOADER.NUM_WORKERS 0"
    words = [*MODEL, *short.split(), "LOGGERS", "['csv']"]
    said = run("own_data.py", labels, image.parent, tmp_path / "out", *words)
    assert "highest loss" in said
    assert (tmp_path / "out" / "model_final.pth").is_file()
    assert "hat" in (tmp_path / "out" / "config.yaml").read_text()
