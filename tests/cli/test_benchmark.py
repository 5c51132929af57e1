"""bdd-inst benchmark: the tools that measure, and the live benchmark on small images without a real model."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

from bdd_inst import formats
from bdd_inst.cli import benchmark
from bdd_inst.cli.benchmarks import _data_mapper, _data_source, _live_peers, common, live
from bdd_inst.live import weights
from bdd_inst.live.pyramid import Pyramid


class Red:
    """Red is the person; every way of running it is as fast."""

    name = "torch"

    def __call__(self, frame: Pyramid) -> np.ndarray:
        red = cv2.resize(Pyramid.of(frame).image, (84, 48))[..., 2]
        return (red > 128).astype(np.float32)

    def prepare(self, frame: Pyramid) -> np.ndarray:
        return Pyramid.of(frame).at((48, 84))

    def choose(self, size, names=("torch",)):
        return dict.fromkeys(names, "1.0 ms")


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(live, "HEIGHT", 72)
    monkeypatch.setattr(live, "WIDTH", 128)
    monkeypatch.setattr(live, "mediapipe_models", dict)
    monkeypatch.setattr(weights, "load_segmenter", lambda *_: Red())


def made_people(folder, frames: int = 9):
    """A red square that moves, named as frames of a video, and its masks."""
    for kind in ("images", "masks"):
        (folder / "walk" / kind).mkdir(parents=True)
    for step in range(frames):
        image = np.full((72, 128, 3), 40, np.uint8)
        mask = np.zeros((72, 128), np.uint8)
        part = slice(20, 50), slice(20 + 2 * step, 60 + 2 * step)
        image[part], mask[part] = (30, 30, 220), 255
        cv2.imwrite(str(folder / "walk" / "images" / f"{step:05d}.png"), image)
        cv2.imwrite(str(folder / "walk" / "masks" / f"{step:05d}.png"), mask)


def test_live_prints_stages_runs_and_masks(small, tmp_path, capsys):
    made_people(tmp_path)
    assert benchmark.main(["live", "--quick", "--people", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "pip install --no-deps --target peers mediapipe" in out  # how to have the peer
    for row in ("decode", "upsampling, guided", "encode mp4v", "chain without a model"):
        assert any(line.startswith(f"  {row}  ") for line in out.splitlines()), row
    rows = [line.split() for line in out.splitlines() if line.strip().startswith("walk")]
    assert float(rows[0][2]) > 0.9  # IoU
    assert len(rows) == 3
    assert {row[2] for row in rows[1:]} == {"as", "smoothed"}


def test_live_names_a_folder_that_holds_nothing(small, tmp_path, capsys):
    assert benchmark.main(["live", "--quick", "--people", str(tmp_path / "gone")]) == 1
    error = capsys.readouterr().err.strip()
    assert error == f"error: --people {tmp_path / 'gone'}: no such folder"


def test_benchmarks_are_listed_and_unknown_ones_refused(capsys):
    assert benchmark.main(["--list"]) == 0
    assert "live: a person in front of another background" in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        benchmark.main(["nothing"])
    assert caught.value.code == 2


def test_peers_give_masks_of_their_own_size():
    frame = Pyramid(np.zeros((72, 128, 3), np.uint8))
    oval = _live_peers.Oval()(frame)
    assert 0.2 < oval.mean() < 0.5
    assert (_live_peers.AsOval(Red())(frame) == oval).all()


def test_functions_are_timed_in_turn():
    calls, clock = [], iter(range(100))
    found = common.measure_all(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")},
        repeat=3, warmup=1, clock=lambda: next(clock),
    )  # fmt: skip
    assert "".join(calls) == "ab" * 4
    assert found == {"a": 1, "b": 1}


def test_a_child_gives_its_result_and_its_memory_or_says_why_not():
    result, memory = common.in_child(os.path.basename, "a/b")
    assert result == "b"
    assert memory > 5
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        common.in_child(divmod, 1, 0)


def test_tables_align_numbers_to_the_right(capsys):
    common.print_table(["name", "ms"], [["long name", 1.23456], ["x", 12]])
    assert capsys.readouterr().out.splitlines() == [
        "  name         ms",
        "  ---------  ----",
        "  long name  1.23",
        "  x            12",
    ]


def test_the_data_benchmark_makes_its_own_data(tmp_path, monkeypatch):
    """It uses the rendered streets, whose painter gives more than it once did: the image, its objects, and what else is there."""
    monkeypatch.setattr(_data_source, "DIFFERENT", 2)
    labels, images = _data_source.make_coco(tmp_path / "coco", number=4, objects=9)
    assert len(formats.read(labels, images=images).load().images) == 4
    record = _data_mapper.make_record(tmp_path, "polygon")
    assert len(record["annotations"]) == _data_mapper.OBJECTS
    assert all(len(a["segmentation"][0]) >= 6 for a in record["annotations"])
    mapped = _data_mapper.our_mapper("polygon")(record, np.random.default_rng(0))
    assert len(mapped["instances"]) > 0
