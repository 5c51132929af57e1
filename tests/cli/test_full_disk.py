"""Every command that writes, where the disk takes no more: one line that names the file, nothing half-written, what is done is kept."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.weights.checkpoint import save_weights
from tests.product.tiny import MODEL, SHORT, coco_data
from tests.signaled import Ended, Run, runs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no fork")
CLASSES = ["MODEL.ROI_HEADS.NUM_CLASSES", "2"]
FOLDERS = ("bitmask", "label-map", "binary-masks", "yolo", "overlay")
FILES = ("coco", "rle", "scalabel", "dicts", "panoptic")
# What a run writes as it goes: the rows before the error stay.
GROWING = {
    "log.txt",
    "training.csv",
    "evaluations.csv",
    "run.json",
    "last_checkpoint",
    "config.yaml",
}
MINUTE = re.compile(rb"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?")
FEW = ("coco", "bitmask", "predict", "evaluate")


def data(folder: Path) -> None:
    """Labels and results with images of noise, which no compression makes small, a video of them and three models."""
    place = coco_data(folder / "data", 4)
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(
        str(folder / "drive.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (80, 64)
    )
    for path in sorted((place / "images").iterdir()):
        noise = rng.integers(0, 256, (64, 80, 3), np.uint8)
        cv2.imwrite(str(path), noise)
        for _ in range(5):
            writer.write(rng.integers(0, 256, (64, 80, 3), np.uint8))
    writer.release()
    for name, config, keys in (
        ("objects", "demo.yaml", [*MODEL, *CLASSES]),
        ("panoptic", "demo_panoptic.yaml", MODEL),
        ("pixels", "people_unet.yaml", []),
    ):
        save_weights(build_model(load_cfg(config, keys)), folder / f"{name}.pth")


def commands(folder: Path) -> dict[str, list[str]]:
    """Words with ``OUT`` for the output, one for every kind of file that is written."""
    labels, found = str(folder / "data/labels.json"), str(folder / "data/results.json")
    images, video = str(folder / "data/images"), str(folder / "drive.avi")
    source = ["--ground-truth", labels, "--images", images]
    model = ["MODEL.WEIGHTS", str(folder / "objects.pth"), *MODEL, *CLASSES]
    seen = ["predict", "--workers", "1", "--score-threshold", "0", "--output", "OUT", "--input"]
    sets = ["DATASETS.TEST", f"['{labels}']", "DATASETS.TEST_IMAGES", f"['{images}']"]
    convert = ["convert", "--input", labels, "--images", images, "--workers", "1", "--to"]
    own = ["--train", labels, "--train-images", images, "--val", labels, "--val-images", images]
    out = {to: [*convert, to, "--output", "OUT/to"] for to in FOLDERS}
    out |= {to: [*convert, to, "--output", "OUT/to.json"] for to in FILES}
    return out | {
        "scores": ["convert", "--input", found, "--images", images, "--to", "bitmask", "--output", "OUT/to"],
        "make-masks": ["make-masks", "--input", labels, "--category", "cat", "--workers", "1", "--output", "OUT/to"],
        "predict": [*seen, images, "--config", "demo.yaml", *model],
        "video": [*seen, video, "--config", "demo.yaml", *model],
        "panoptic model": [*seen, images, "--config", "demo_panoptic.yaml", "MODEL.WEIGHTS", str(folder / "panoptic.pth"), *MODEL],
        "pixels": [*seen, images, "--config", "people_unet.yaml", "--probabilities", "--cutouts", "MODEL.WEIGHTS", str(folder / "pixels.pth"), "INPUT.MIN_SIZE_TEST", "64"],
        "evaluate": ["evaluate", *source, "--predictions", found, "--output", "OUT"],
        "evaluate a model": ["evaluate", "--config", "demo.yaml", "--output", "OUT", *model, *sets],
        "visualize": ["visualize", *source, "--workers", "1", "--output", "OUT"],
        "check": ["check", "--input", labels, "--images", images, "--samples", "2", "--output", "OUT"],
        "train": ["train", "--config", "demo.yaml", *own, "--output", "OUT", *MODEL, *SHORT, "LOGGERS", "['csv']"],
        "live": ["live", "--input", images, "--background", "none", "--output", "OUT"],
        "live video": ["live", "--input", video, "--runtime", "torch", "--output", "OUT/o.mp4"],
    }  # fmt: skip


def content(folder: Path) -> dict[str, bytes]:
    """Every file below, hidden ones too; without the minute in which it was made."""
    found = [p for p in folder.rglob("*") if p.is_file()]
    return {p.relative_to(folder).as_posix(): MINUTE.sub(b"", p.read_bytes()) for p in found}


@dataclass
class Case:
    """A command and its end where there was little room (``room`` bytes a file), or none at all (0), and what it leaves elsewhere."""

    name: str
    whole: dict[str, bytes]
    folder: Path
    room: int
    end: Ended


def run_all(root: Path, names: list[str]) -> list[Case]:
    """Each command with all the room, then twice with less, and where no folder can be made: below a file."""
    data(root)
    asked = {name: words for name, words in commands(root).items() if name in names}
    env = {"BDD_INST_CACHE": str(root / "cache")}

    def run(name: str, place: Path, room: int = 0) -> Run:
        words = [
            word.replace("OUT", str(place), 1) if word.startswith("OUT") else word
            for word in asked[name]
        ]
        return Run(words, room=room, seconds=600)

    done = runs([run(name, root / "whole" / name) for name in asked], env)
    wholes = {}
    for name, end in zip(asked, done, strict=True):
        assert end.code == 0, (name, end)
        wholes[name] = content(root / "whole" / name)
    wanted, cases = [], []
    for name, whole in wholes.items():
        largest = max(map(len, whole.values()))
        for room in (largest // 2, 60):
            folder = root / str(room) / name
            cases.append((name, whole, folder, room))
            wanted.append(run(name, folder, room))
        # No one can write below a file, the superuser neither.
        cases.append((name, whole, root / "file" / "out", 0))
        wanted.append(run(name, root / "file" / "out"))
    (root / "file").write_text("mine")
    ends = runs(wanted, env)
    return [Case(*case, end) for case, end in zip(cases, ends, strict=True)]


@pytest.fixture(scope="module", params=["few", pytest.param("all", marks=pytest.mark.slow)])
def cases(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("full")
    return run_all(root, list(FEW) if request.param == "few" else list(commands(root)))


def ended_in_one_line(name: str, folder: Path, end: Ended) -> None:
    """Exit code 1 and a last line that names a file of the output."""
    assert end.code == 1, (name, end)
    assert "Traceback" not in end.err, (name, end)
    lines = [line for line in end.err.splitlines() if "error:" in line]
    assert len(lines) == 1, (name, end)
    assert end.err.splitlines()[-1] == lines[0], (name, end)
    assert str(folder) in lines[0], (name, end)


def nothing_is_half_written(name: str, folder: Path, whole: dict[str, bytes]) -> None:
    """What is there is what the undisturbed run has, under the same name; parts of a conversion are for the next run."""
    for path, bytes_ in content(folder).items():
        parts = Path(path).parts
        if any(part.startswith(".") and part.endswith(".parts") for part in parts):
            continue
        assert not path.endswith(".part"), (name, path)
        if parts[-1] in GROWING or ".partial." in path or path.endswith(".pth"):
            continue
        assert path in whole, (name, path)
        same = bytes_ == whole[path]
        # Times that a run measured stand in its pages.
        assert same or (
            path.endswith((".html", ".json")) and len(bytes_) > len(whole[path]) // 2
        ), (name, path)


def test_a_full_disk(cases):
    for case in cases:
        if case.room:
            ended_in_one_line(case.name, case.folder, case.end)
            nothing_is_half_written(case.name, case.folder, case.whole)


def test_an_output_that_cannot_be_made(cases):
    for case in cases:
        if not case.room:
            ended_in_one_line(case.name, case.folder.parent, case.end)
            assert case.folder.parent.read_text() == "mine"


@pytest.fixture
def mounted(tmp_path):
    """Mounts small disks, where that is allowed."""
    places = []

    def mount(place: Path, options: str) -> None:
        place.mkdir(parents=True)
        words = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
        if subprocess.run(words, capture_output=True).returncode:
            pytest.skip("nothing can be mounted here")
        places.append(place)

    yield mount
    for place in places:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="no tmpfs")
def test_a_small_disk_and_one_that_takes_nothing(tmp_path, mounted):
    data(tmp_path)
    asked = commands(tmp_path)
    env = {"BDD_INST_CACHE": str(tmp_path / "cache")}

    def run(name: str, place: Path) -> Run:
        words = [
            word.replace("OUT", str(place), 1) if word.startswith("OUT") else word
            for word in asked[name]
        ]
        return Run(words, seconds=600)

    ends = runs([run(name, tmp_path / "whole" / name) for name in asked], env)
    for name, end in zip(asked, ends, strict=True):
        assert end.code == 0, (name, end)
    wanted, cases = [], []
    for name in asked:
        whole = content(tmp_path / "whole" / name)
        pages = sum(-(-len(one) // 4096) for one in whole.values())
        for kind, options in {
            "takes nothing": "size=1m,ro",
            "nearly full": "size=4k",
            "half": f"size={max(1, pages // 2) * 4096}",
        }.items():
            place = tmp_path / kind / name
            mounted(place, options)
            cases.append((name, place, whole))
            wanted.append(run(name, place))
    for (name, place, whole), end in zip(cases, runs(wanted, env), strict=True):
        ended_in_one_line(name, place, end)
        nothing_is_half_written(name, place, whole)
