"""bdd-inst live: inputs, outputs and messages, with a segmenter that needs no model."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from bdd_inst.cli import live
from bdd_inst.cli.main import VERBS
from bdd_inst.images.video import VideoReader, VideoWriter
from bdd_inst.live import weights

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_model(monkeypatch, segmenter):
    monkeypatch.setattr(weights, "load_segmenter", lambda *_: segmenter)


def test_without_weights_the_training_command_is_named(monkeypatch, clip, tmp_path, capsys):
    monkeypatch.undo()
    monkeypatch.setattr(weights, "PACKAGED", ())
    assert live.main(["--input", str(clip), "--output", str(tmp_path / "o.mp4")]) == 1
    error = capsys.readouterr().err.strip()
    assert error.count("\n") == 0
    assert "bdd-inst train --config people_unet.yaml" in error
    assert "--weights" in error


def test_packaged_weights_are_found(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "weights.py"))
    assert weights.packaged_weights() is None
    (tmp_path / "person.pth").touch()
    (tmp_path / "person.safetensors").touch()
    assert weights.packaged_weights() == tmp_path / "person.safetensors"


def test_the_packages_own_model_is_small_loads_and_says_what_it_is(monkeypatch):
    monkeypatch.undo()
    said = []
    monkeypatch.setattr(weights.log, "warning", lambda text, *_: said.append(text))
    assert weights.packaged_weights().stat().st_size <= 4 * 2**20
    segmenter = weights.load_segmenter(None)
    assert len(said) == 1
    assert "person model of the package" in said[0]
    alpha = segmenter(np.zeros((90, 160, 3), np.uint8))
    assert alpha.dtype == np.float32
    assert 0 <= alpha.min() <= alpha.max() <= 1


def test_a_video_in_front_of_a_color(clip, tmp_path, capsys):
    out = tmp_path / "out.mp4"
    assert live.main(["--input", str(clip), "--background", "#00ff00", "--output", str(out)]) == 0
    frames = list(VideoReader(out))
    assert len(frames) == 10
    assert frames[0][48, 42, 2] > 180
    assert np.abs(frames[0][5, 5].astype(int) - (0, 255, 0)).max() < 30
    assert "10 frames" in capsys.readouterr().out


def test_a_video_into_a_folder_takes_its_name(clip, tmp_path):
    assert live.main(["--input", str(clip), "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "clip.mp4").exists()


def test_alpha_of_an_image(photo, tmp_path):
    for output, found in (("cut.png", "cut.png"), ("folder", "folder/photo.png")):
        arguments = [
            "--input",
            str(photo),
            "--background",
            "none",
            "--output",
            str(tmp_path / output),
        ]
        assert live.main(arguments) == 0
        image = cv2.imread(str(tmp_path / found), cv2.IMREAD_UNCHANGED)
        assert image.shape == (96, 128, 4)
        assert (image[48, 42, 3], image[5, 5, 3]) == (255, 0)


def test_nobody_in_any_frame_is_said_once(tmp_path, capsys):
    path = tmp_path / "empty_room.mp4"
    with VideoWriter(path, 25) as writer:
        for _ in range(4):
            writer.add(np.full((48, 64, 3), 90, np.uint8))
    words = ["--input", str(path), "--background", "#00ff00", "--output", str(tmp_path / "o.mp4")]
    assert live.main(words) == 0
    error = capsys.readouterr().err
    assert error.count("nobody was found in 4 of 4 frames") == 1
    assert len(list(VideoReader(tmp_path / "o.mp4"))) == 4


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_broken_sound_costs_no_image(clip, tmp_path, capsys):
    loud = tmp_path / "loud.mp4"
    sound = ["-f", "lavfi", "-i", "sine=frequency=440:duration=1", "-c:v", "copy", "-c:a", "aac"]
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", str(clip), *sound, str(loud)]
    subprocess.run(command, check=True)
    data = bytearray(loud.read_bytes())
    place = data.index(b"mp4a")  # what describes the sound
    data[place : place + 60] = bytes(60)
    loud.write_bytes(data)
    assert live.main(["--input", str(loud), "--output", str(tmp_path / "o.mp4")]) == 0
    assert len(list(VideoReader(tmp_path / "o.mp4"))) == 10
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "loud.mp4", "o.mp4"]


def test_a_folder_with_a_broken_image(photo, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    photo.rename(folder / "a.png")
    (folder / "b.jpg").write_bytes(b"nothing")
    assert (
        live.main(
            ["--input", str(folder), "--background", "none", "--output", str(tmp_path / "out")]
        )
        == 0
    )
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.png"]
    assert "unreadable-image" in capsys.readouterr().err


def test_alpha_of_a_video_is_pngs(clip, tmp_path):
    out = tmp_path / "out"
    assert live.main(["--input", str(clip), "--background", "none", "--output", str(out)]) == 0
    assert sorted(p.name for p in out.iterdir())[0] == "clip-0000001.png"
    assert len(list(out.iterdir())) == 10


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--input", "gone.mp4"], "gone.mp4: no such file"),
        (["--input", "CLIP", "--background", "gone.jpg"], "gone.jpg: no such file"),
        (["--input", "CLIP", "--background", "none", "--output", "a.mp4"], "holds no alpha"),
        (["--input", "PHOTO", "--output", "a.mp4"], "images become images"),
        (["--input", "PHOTO"], "name --output"),
        (["--input", "CLIP", "--output", "a.png"], "more than one image"),
        (["--input", "97"], "camera 97: cannot be opened"),
        (["--input", "97"], "--input browser"),
        (["--input", "EMPTY", "--output", "a.mp4"], "empty.mp4: not a video"),
        (["--input", "http://127.0.0.1:9/x", "--output", "a.mp4"], "no video stream answers"),
        (["--input", "CLIP", "--output", "CLIP"], "the output is the input"),
        (["--input", "CLIP", "--output", "PHOTO/a.mp4"], "photo.png"),
        (["--input", "CLIP", "--output", "/proc/a.mp4"], "/proc/a.mp4"),
        (["--input", "CLIP", "--background", "EMPTY"], "empty.mp4: not a video"),
        (["--input", "CLIP", "--background", "TEXT"], "text.jpg: not an image"),
        (["--input", "browser", "--output", "a.mp4"], "leave out --output"),
    ],
)
def test_bad_input_is_one_line(arguments, says, clip, photo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.jpg").write_text("no image")
    known = {"CLIP": str(clip), "PHOTO": str(photo), "EMPTY": "empty.mp4", "TEXT": "text.jpg"}
    before = sorted(tmp_path.iterdir()), clip.read_bytes()
    words = [re.sub("^[A-Z]+", lambda m: known.get(m[0], m[0]), a) for a in arguments]
    assert live.main(words) == 1
    told = capsys.readouterr()
    error = [line for line in told.err.splitlines() if not line.startswith("model: ")]
    assert len(error) == 1
    assert error[0].startswith("error: ")
    assert says in error[0]
    assert told.out == ""
    assert (sorted(tmp_path.iterdir()), clip.read_bytes()) == before


def test_nothing_readable_is_an_error(tmp_path, capsys):
    (tmp_path / "a.jpg").write_bytes(b"nothing")
    assert live.main(["--input", str(tmp_path / "a.jpg"), "--output", str(tmp_path / "out")]) == 1
    assert "nothing in it could be read" in capsys.readouterr().err


def test_without_a_display_there_is_a_page(clip, monkeypatch, capsys):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    codes = []
    run = threading.Thread(
        target=lambda: codes.append(live.main(["--input", str(clip), "--port", "0"]))
    )
    run.start()
    text, end = "", time.monotonic() + 30
    while "look at" not in text and time.monotonic() < end:
        text += capsys.readouterr().out
        time.sleep(0.02)
    host, port = re.search(r"http://([\d.]+):(\d+)/", text).groups()
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    code = 0
    while code != 200 and time.monotonic() < end:  # the page answers once the model is ready
        try:
            connection.request("POST", "/stop")
            code = connection.getresponse().status
        except OSError:
            time.sleep(0.05)
    run.join(30)
    assert codes == [0]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_ended_leaves_a_video_that_plays(number, code, clip, tmp_path):
    """With the exit code that every verb has for it."""
    out = tmp_path / "out.mp4"
    script = f"""
import sys, time
import numpy as np
from bdd_inst.cli import live
from bdd_inst.live import weights
class Slow:
    name = "slow"
    seen = 0
    def __call__(self, image):
        Slow.seen += 1
        if Slow.seen == 4:
            print("ready", flush=True)
            time.sleep(1)
        return np.ones((8, 8), np.float32)
    def choose(self, size, names):
        return {{}}
weights.load_segmenter = lambda *_: Slow()
sys.exit(live.main(["--input", {str(clip)!r}, "--output", {str(out)!r}]))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    assert "Traceback" not in error
    assert 1 <= len(list(VideoReader(out))) < 10


def test_the_verb_is_known():
    assert VERBS["live"][0] == "live"
    options = live.parser().parse_args([])
    assert (options.input, options.background, options.output) == ("0", "blur", None)
