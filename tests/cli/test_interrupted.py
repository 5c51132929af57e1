"""Ctrl-C and SIGTERM at any moment: one line, the exit code of the signal, nothing half-written, what is done kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.weights.checkpoint import save_weights
from tests.product.tiny import MODEL, coco_data
from tests.signaled import Run, runs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no fork")
SAID = {"SIGINT": (130, "interrupted"), "SIGTERM": (143, "terminated")}
FIGURES = {"metrics.json", "pr_curves.csv", "pr_curves.png", "analysis.json"}
FIGURES |= {"table.md", "table.csv", "table.tex"}
CLASSES = ["MODEL.ROI_HEADS.NUM_CLASSES", "2"]


def left(folder: Path) -> set[str]:
    """Every file below, hidden ones too."""
    found = folder.rglob("*") if folder.is_dir() else ()
    return {p.relative_to(folder).as_posix() for p in found if p.is_file()}


FILES = [
    ("SIGINT", "coco_files.py:read_truth", set()),
    ("SIGTERM", "base/files.py:atomic_write", set()),
    ("SIGINT", "html.py:write_report", FIGURES),
]
MODELS = [
    ("SIGINT", 3, "evaluator.py:process", 2),
    ("SIGTERM", 1, "evaluator.py:score", 4),
    ("SIGINT", 1, "predictor.py:load_model", 0),
]
IMPORTING = Run(["check", "--help"], "SIGINT", 1, "importlib/__init__.py:import_module")


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """All the runs of this file by one program, which imports everything once: each with its output folder and its end."""
    root = tmp_path_factory.mktemp("interrupted")
    data = coco_data(root / "data", 4)
    labels, images = str(data / "labels.json"), str(data / "images")
    model = build_model(load_cfg("demo.yaml", [*MODEL, *CLASSES]))
    save_weights(model, root / "weights.pth")
    wanted = []
    for signal, where, _ in FILES:
        words = ["evaluate", "--ground-truth", labels, "--images", images, "--predictions"]
        words += [str(data / "results.json"), "--output", str(root / str(len(wanted)))]
        wanted.append(Run(words, signal, 1, where))
    for signal, at, where, _ in MODELS:
        words = ["evaluate", "--config", "demo.yaml", "--output", str(root / str(len(wanted)))]
        words += ["--no-report", "MODEL.WEIGHTS", str(root / "weights.pth"), *MODEL, *CLASSES]
        words += ["DATASETS.TEST", f"['{labels}']", "DATASETS.TEST_IMAGES", f"['{images}']"]
        wanted.append(Run(words, signal, at, where))
    wanted.append(IMPORTING)
    done = runs(wanted, {"BDD_INST_CACHE": ""})
    return [
        (run, root / str(n), end) for n, (run, end) in enumerate(zip(wanted, done, strict=True))
    ]


def ended_well(run: Run, ended) -> None:
    code, word = SAID[run.signal]
    assert ended.code == code, ended
    assert not ended.killed
    assert ended.err.splitlines()[-1:] == [word]
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("number", range(len(FILES)))
def test_scoring_files(interrupted, number):
    run, folder, ended = interrupted[number]
    ended_well(run, ended)
    assert ended.err.count("\n") == 1
    assert left(folder) == FILES[number][2]


@pytest.mark.parametrize("number", range(len(MODELS)))
def test_a_model_on_a_data_set_keeps_its_detections(interrupted, number):
    run, folder, ended = interrupted[len(FILES) + number]
    images = MODELS[number][3]
    ended_well(run, ended)
    partial = folder / "coco_instances_results.partial.json"
    assert left(folder) == ({partial.name} if images else set())
    if images:
        assert f"{partial} holds the {images} images so far" in ended.err
        found = {row["image_id"] for row in json.loads(partial.read_text())}
        assert found <= set(range(1, images + 1))


def test_while_the_verb_is_imported(interrupted):
    run, _, ended = interrupted[-1]
    ended_well(run, ended)
    assert ended.err == "interrupted\n"
