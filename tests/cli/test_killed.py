"""SIGKILL at any moment: what is run again ends like a run that nobody disturbed, byte for byte, and nothing is left beside it."""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.weights.checkpoint import save_weights
from tests.product.tiny import MODEL
from tests.signaled import Run, runs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no fork and no SIGKILL")
SEED = 20180828
NUMBER = 70  # three chunks of a conversion


def data(folder: Path) -> None:
    """Labels and results of many images, a few of which are there, and a model."""
    (folder / "images").mkdir(parents=True)
    images, labels = [], []
    for i in range(1, NUMBER + 1):
        images.append({"id": i, "file_name": f"{i}.png", "width": 64, "height": 48})
        x, y = i % 30, i % 17
        square = [x, y, x + 20, y, x + 20, y + 25, x, y + 25]
        entry = {"image_id": i, "category_id": 1 + i % 2, "bbox": [x, y, 20, 25]}
        labels.append(entry | {"id": i, "area": 500, "iscrowd": 0, "segmentation": [square]})
    tree = {"images": images, "annotations": labels}
    tree["categories"] = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    (folder / "gt.json").write_text(json.dumps(tree))
    found = [{k: v for k, v in one.items() if k != "id"} | {"score": 0.5} for one in labels[::2]]
    (folder / "dt.json").write_text(json.dumps(found))
    for i in (1, 2, 3):
        noise = np.random.default_rng(i).integers(0, 256, (48, 64, 3), np.uint8)
        cv2.imwrite(str(folder / "images" / f"{i}.png"), noise)
    save_weights(build_model(load_cfg("demo.yaml", MODEL)), folder / "weights.pth")


def commands(folder: Path) -> dict[str, list[str]]:
    """Words up to the output's name."""
    labels = str(folder / "gt.json")
    scored = ["--ground-truth", labels, "--predictions", str(folder / "dt.json")]
    seen = ["--config", "demo.yaml", "--input", str(folder / "images"), "--workers", "1"]
    return {
        "convert": ["convert", "--input", labels, "--to", "bitmask", "--workers", "1", "--output"],
        "make-masks": ["make-masks", "--input", labels, "--category", "cat", "--output"],
        "evaluate": ["evaluate", *scored, "--output"],
        "predict": ["predict", *seen, "--score-threshold", "0", "--output"],
        "convert to a file": ["convert", "--input", labels, "--to", "scalabel", "--output"],
    }


def content(place: Path) -> dict[str, bytes]:
    """Everything of a run's folder, hidden files and those beside its output too; pages without the minute that they were made in."""
    files = [p for p in place.rglob("*") if p.is_file()]
    minute = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d")
    return {p.relative_to(place).as_posix(): minute.sub(b"", p.read_bytes()) for p in files}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    data(folder)
    return folder


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_and_run_again_it_ends_the_same(source, tmp_path, kills):
    rng = random.Random(SEED + kills)
    wanted, asked = [], commands(source)
    for name, words in asked.items():
        last = "out.json" if "file" in name else "out"
        keys = ["MODEL.WEIGHTS", str(source / "weights.pth"), *MODEL] if name == "predict" else []
        whole, killed = (
            [*words, str(tmp_path / f"{name} {way}" / last), *keys] for way in ("whole", "killed")
        )
        wanted.append(Run(whole))
        wanted += [Run(killed, "SIGKILL", share=rng.random()) for _ in range(kills)]
        wanted.append(Run(killed))
    done = iter(runs(wanted, {"BDD_INST_CACHE": str(tmp_path / "cache")}))
    for name in asked:
        whole = next(done)
        assert whole.code == 0, whole
        disturbed = [next(done) for _ in range(kills)]
        # A run that takes up what another has done may be through before its moment comes.
        assert all(end.killed or end.code == 0 for end in disturbed), [e.err for e in disturbed]
        assert any(end.killed for end in disturbed), [e.err for e in disturbed]
        last = next(done)
        assert last.code == 0, last
        assert content(tmp_path / f"{name} killed") == content(tmp_path / f"{name} whole"), name
    left = [p for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.name.startswith(".")]
    assert not left
