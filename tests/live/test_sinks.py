"""Sinks: names of images, the input never written over, sound added where there is any."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import types

import cv2
import numpy as np
import pytest

from bdd_inst.base.errors import DataError
from bdd_inst.images.video import VideoReader
from bdd_inst.inference.sources import Frame
from bdd_inst.live import sinks
from bdd_inst.live.sources import Source, open_source
from tests.waiting import locked_elsewhere

BGRA = np.full((6, 8, 4), 128, np.uint8)


def source_of(*names: str, moving: bool = False, live: bool = False) -> Source:
    return Source("x", "x", lambda: iter(()), moving=moving, live=live, number=len(names))


def test_alpha_goes_under_the_inputs_stem(tmp_path):
    sink = sinks.Images(tmp_path, source_of("a/b.jpg", "a/b.tif"), alpha=True)
    for number, name in enumerate(("a/b.jpg", "a/b.tif"), 1):
        sink.show(Frame(name, number, BGRA), BGRA)
    assert (tmp_path / "a/b.png").exists()
    assert len(list((tmp_path / "a").iterdir())) == 2
    assert cv2.imread(str(tmp_path / "a/b.png"), cv2.IMREAD_UNCHANGED).shape == (6, 8, 4)


def test_frames_of_a_video_are_numbered(tmp_path):
    sink = sinks.Images(tmp_path, source_of(moving=True), alpha=True)
    assert sink.target(Frame("x-0000003.jpg", 3, BGRA)).name == "x-0000003.png"


def test_the_input_is_never_written_over(photo, clip):
    sink = sinks.Images(photo, open_source(str(photo)), alpha=False)
    with pytest.raises(DataError, match="is the input"):
        sink.show(Frame("photo.png", 1, BGRA), BGRA)
    with pytest.raises(DataError, match="is the input"):
        sinks.VideoFile(clip, open_source(str(clip)))


@pytest.mark.parametrize(
    ("name", "alpha", "number", "says"),
    [
        ("a.jpg", True, 1, "alpha needs PNG"),
        ("a.png", True, 3, "more than one"),
        ("a.tif", False, 1, "written as"),
    ],
)
def test_what_cannot_be_written_is_said_before_the_start(tmp_path, name, alpha, number, says):
    with pytest.raises(DataError, match=says):
        sinks.Images(tmp_path / name, source_of(*"x" * number), alpha)


def test_only_mp4_is_written(tmp_path):
    with pytest.raises(DataError, match=r"\.mp4"):
        sinks.VideoFile(tmp_path / "a.avi", source_of(moving=True))


def test_a_live_source_keeps_its_pace_in_the_file(tmp_path, monkeypatch):
    clock = iter([0.001, 0.5, 0.51, 100.0])
    monkeypatch.setattr(sinks.time, "perf_counter", lambda: next(clock))
    source = source_of(moving=True, live=True)
    source.rate = 10
    with sinks.VideoFile(tmp_path / "a.mp4", source) as sink:
        counts = []
        for number in range(4):
            sink.show(Frame("x", number, BGRA), np.zeros((16, 16, 3), np.uint8))
            counts.append(sink.number)
    assert counts == [1, 5, 6, 56]


def test_letterbox_keeps_proportions():
    out = sinks.letterbox(np.full((10, 10, 3), 255, np.uint8), (20, 40))
    assert (out[:, 10:30] == 255).all()
    assert (out[:, :10] == 0).all()


def test_without_ffmpeg_the_video_stays_and_says_so(clip, monkeypatch, caplog):
    monkeypatch.setattr(sinks.shutil, "which", lambda name: None)
    before = clip.read_bytes()
    assert not sinks.add_sound(clip, clip)
    assert clip.read_bytes() == before
    assert "no sound" in caplog.text


@pytest.mark.skipif(os.name == "nt", reason="a script stands for ffmpeg")
def test_a_failing_ffmpeg_harms_nothing(tmp_path, clip, monkeypatch, caplog):
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(sinks.shutil, "which", lambda name: str(script))
    before = sorted(clip.parent.iterdir()), clip.read_bytes()
    assert not sinks.add_sound(clip, clip)
    assert (sorted(clip.parent.iterdir()), clip.read_bytes()) == before
    assert "could not add" in caplog.text


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_sound_is_kept(tmp_path, clip):
    loud = tmp_path / "loud.mp4"
    tone = ["-f", "lavfi", "-i", "sine=frequency=440:duration=2"]
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", str(clip), *tone]
    subprocess.run([*command, "-c:v", "copy", "-c:a", "aac", str(loud)], check=True)
    silent = clip.read_bytes()
    assert sinks.add_sound(clip, loud)
    assert clip.read_bytes() != silent
    streams = subprocess.run(
        ["ffmpeg", "-i", str(clip)], capture_output=True, text=True, check=False
    ).stderr
    assert "Audio:" in streams
    assert len(list(VideoReader(clip))) == 10
    silent_one = tmp_path / "silent.mp4"
    shutil.copy(loud, silent_one)
    assert not sinks.add_sound(silent_one, tmp_path / "clip_that_is_not_there.mp4")


def test_a_virtual_camera_gets_frames_of_one_size(monkeypatch):
    sent = []

    class Camera:
        def __init__(self, width, height, fps, fmt):
            sent.append((width, height, fps))

        def send(self, image):
            sent.append(image.shape)

        def close(self):
            sent.append("closed")

    double = types.SimpleNamespace(Camera=Camera, PixelFormat=types.SimpleNamespace(BGR=1))
    monkeypatch.setitem(sys.modules, "pyvirtualcam", double)
    with sinks.VirtualCamera(25) as sink:
        for shape in ((20, 40, 3), (30, 30, 3)):
            sink.show(Frame("x", 1, BGRA), np.zeros(shape, np.uint8))
    assert sent == [(40, 20, 25), (20, 40, 3), (20, 40, 3), "closed"]


def test_a_missing_virtual_camera_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(DataError, match="pip install pyvirtualcam"):
        sinks.VirtualCamera(25)


def test_no_window_is_named(monkeypatch):
    def refuse(*_):
        raise cv2.error("not implemented")

    monkeypatch.setattr(cv2, "namedWindow", refuse, raising=False)
    with pytest.raises(DataError, match="no window"), sinks.Window():
        pass


def test_two_runs_into_one_folder_do_not_mix(tmp_path, project_root):
    sink = sinks.Images(tmp_path / "out", source_of("a.jpg", "b.jpg"), alpha=True)
    with (
        locked_elsewhere(tmp_path / "out", project_root),
        pytest.raises(DataError, match="another run is writing here"),
        sink,
    ):
        pytest.fail("the folder was taken")
    with sink:
        sink.show(Frame("a.jpg", 1, BGRA), BGRA)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.png"]
