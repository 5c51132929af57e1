"""What predict leaves when the disk is full, the folder takes nothing, or another run is at work there."""

from __future__ import annotations

import errno
import json
import os
import re

import cv2
import numpy as np
import pytest

from bdd_inst.base.locks import NAME
from bdd_inst.cli import predict
from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.images import video
from bdd_inst.inference import results
from bdd_inst.report import album
from bdd_inst.weights.checkpoint import save_weights
from tests.waiting import locked_elsewhere

TINY = [
    *("INPUT.MIN_SIZE_TEST", "64", "INPUT.MAX_SIZE_TEST", "96", "TEST.DETECTIONS_PER_IMAGE", "5"),
    *("MODEL.FPN.OUT_CHANNELS", "16", "MODEL.RESNETS.RES2_OUT_CHANNELS", "16"),
    *("MODEL.RESNETS.STEM_OUT_CHANNELS", "16", "MODEL.ROI_BOX_HEAD.FC_DIM", "32"),
    *("MODEL.ROI_MASK_HEAD.CONV_DIM", "16", "MODEL.ROI_HEADS.SCORE_THRESH_TEST", "0.01"),
]
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    save_weights(build_model(load_cfg("demo.yaml", TINY)), path)
    return path


@pytest.fixture
def call(weights, tmp_path, capsys):
    def run(source, *options):
        words = ["--config", "demo.yaml", "--input", str(source), "--output", str(tmp_path / "out")]
        words += ["--score-threshold", "0", "--workers", "1", *options]
        code = predict.main([*words, "MODEL.WEIGHTS", str(weights), *TINY])
        return code, capsys.readouterr().err

    return run


def noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.fixture
def images(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(5):
        cv2.imwrite(str(tmp_path / "in" / f"{number}.png"), noise(number))
    return tmp_path / "in"


@pytest.fixture
def drive(tmp_path):
    path = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for number in range(6):
        writer.write(noise(number))
    writer.release()
    return path


def left(folder):
    """Every file below, hidden ones too."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def names(file):
    return {entry["file_name"] for entry in json.loads(file.read_text())}


def test_a_full_disk_keeps_the_images_done_and_the_file_of_before(
    call, images, tmp_path, monkeypatch
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/predictions.json").write_text("[]")
    budget = [3 * 5 * 260]  # bytes: less than five images' results take

    def write(number, data):
        written = min(len(data), budget[0])
        budget[0] -= written
        os.write(number, bytes(data[:written]))
        if written < len(data):
            raise OSError(
                *FULL.args
            )  # a new one: the traceback of one kept for good would keep its generators

    monkeypatch.setattr(results, "write_all", write)
    real = results.ResultsFile.close

    def close(self):
        budget[0] += 3  # what cutting off the half of an image has freed
        real(self)

    monkeypatch.setattr(results.ResultsFile, "close", close)
    code, err = call(images, "--no-overlays")
    assert code == 1
    error = [line for line in err.splitlines() if line.startswith("error:")]
    assert error == [f"error: {tmp_path}/out/predictions.json: {FULL.strerror}"]
    assert (tmp_path / "out/predictions.json").read_text() == "[]"
    kept = tmp_path / "out/predictions.partial.json"
    done = names(kept)
    assert done == {f"{n}.png" for n in range(len(done))}
    assert 0 < len(done) < 5
    per_image = [e["file_name"] for e in json.loads(kept.read_text())]
    assert all(per_image.count(name) == 5 for name in done)  # none is there in half
    assert left(tmp_path / "out") == ["predictions.json", "predictions.partial.json"]


def test_an_image_that_cannot_be_written_is_named(call, images, tmp_path, monkeypatch):
    real = album.atomic_write

    def full(path, mode="w"):
        if "2.png" in str(path):
            raise OSError(errno.ENOSPC, FULL.strerror, str(path))
        return real(path, mode)

    monkeypatch.setattr(album, "atomic_write", full)
    code, err = call(images)
    assert (code, err.splitlines()[-1]) == (
        1,
        f"error: {tmp_path}/out/overlays/2.png: {FULL.strerror}",
    )
    assert names(tmp_path / "out/predictions.partial.json") >= {"0.png", "1.png", "2.png"}
    assert "overlays/2.png" not in left(tmp_path / "out")
    assert "overlays/1.png" in left(tmp_path / "out")


def test_a_video_on_a_full_disk_does_not_keep_its_name(call, drive, tmp_path, monkeypatch):
    room = iter([True] * 3)
    monkeypatch.setattr(video, "has_free_space", lambda _: next(room, False))
    code, err = call(drive)
    assert (code, err.splitlines()[-1]) == (
        1,
        f"error: {tmp_path}/out/overlays/drive.mp4: {FULL.strerror}",
    )
    assert left(tmp_path / "out") == ["predictions.partial.json"]


def test_a_video_that_lacks_frames_at_the_end_is_no_result(tmp_path):
    """OpenCV says nothing where a frame could not be written."""
    with (
        pytest.raises(OSError, match=re.escape("not all frames could be written")),
        video.VideoWriter(tmp_path / "a.mp4", 10) as writer,
    ):
        writer.add(noise(0))
        writer.written += 5
    assert left(tmp_path) == []


def test_a_folder_that_takes_nothing_is_one_line(call, images, tmp_path, monkeypatch):
    def refuse(*_, prefix, dir, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), f"{dir}/{prefix}x.part")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    code, err = call(images)
    assert code == 1
    assert err == f"error: {tmp_path}/out/predictions.json: {os.strerror(errno.EROFS)}\n"


def test_a_second_run_into_the_same_folder_is_refused(call, images, tmp_path, project_root):
    with locked_elsewhere(tmp_path / "out", project_root):
        code, err = call(images)
    assert (code, len(err.splitlines())) == (1, 1)
    assert err.startswith(f"error: {tmp_path}/out: another run is writing here")
    assert not [name for name in left(tmp_path / "out") if name != NAME]
    assert call(images)[0] == 0
    assert NAME not in left(tmp_path / "out")
