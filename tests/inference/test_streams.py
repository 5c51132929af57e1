"""Cameras and streams as an input: newest frame first, endless, broken off and back, closed by Ctrl-C with what there is."""

from __future__ import annotations

import http.server
import itertools
import json
import os
import signal
import threading

import cv2
import numpy as np
import pytest

from bdd_inst.base.errors import DataError
from bdd_inst.base.pipeline import Newest
from bdd_inst.cli import predict
from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.images.video import VideoReader
from bdd_inst.inference import streams
from bdd_inst.inference.sources import open_source
from bdd_inst.weights.checkpoint import save_weights

TINY = [
    *("INPUT.MIN_SIZE_TEST", "64", "INPUT.MAX_SIZE_TEST", "96", "TEST.DETECTIONS_PER_IMAGE", "5"),
    *("MODEL.FPN.OUT_CHANNELS", "16", "MODEL.RESNETS.RES2_OUT_CHANNELS", "16"),
    *("MODEL.RESNETS.STEM_OUT_CHANNELS", "16", "MODEL.ROI_BOX_HEAD.FC_DIM", "32"),
    *("MODEL.ROI_MASK_HEAD.CONV_DIM", "16", "MODEL.ROI_HEADS.SCORE_THRESH_TEST", "0.01"),
]


class Capture:
    """A capture that gives ``number`` frames and then breaks off."""

    def __init__(self, number: int, opens: bool = True, each=lambda: None):
        self.number, self.opens, self.each = number, opens, each

    def isOpened(self) -> bool:
        return self.opens

    def get(self, key: int) -> float:
        return {cv2.CAP_PROP_FPS: 20.0, cv2.CAP_PROP_FRAME_COUNT: -1.0}.get(key, 0.0)

    def set(self, key: int, value: float) -> bool:
        return True

    def read(self):
        self.number -= 1
        self.each()
        return self.number >= 0, np.full((48, 64, 3), 60, np.uint8)

    def release(self) -> None:
        pass


GONE = Capture(0, opens=False)


def test_a_stream_that_breaks_off_is_opened_again(monkeypatch, caplog):
    monkeypatch.setattr(streams, "WAITS", (0, 0))
    given = [Capture(2), GONE, Capture(3)]
    stream = streams.Stream(
        "rtsp://me:sec@ret@door/live.sdp?token=hidden",
        threading.Event(),
        lambda *_: given.pop(0) if given else GONE,
    )
    assert (stream.name, stream.stem, stream.rate) == ("rtsp://door/live.sdp", "live", 20)
    number = 0
    with pytest.raises(DataError, match="did not come back"):
        for _ in stream.images():
            number += 1
    assert number == 5
    assert "broke off; reconnecting" in caplog.text
    assert "ret" not in caplog.text
    assert "hidden" not in caplog.text
    assert stream.problems.counts["stream-broke-off"] == 2


def test_what_came_before_a_stream_went_away_counts(monkeypatch):
    monkeypatch.setattr(streams, "WAITS", (0,))
    given = [Capture(1)]
    source = open_source("0", capture=lambda *_: given.pop(0) if given else GONE)
    assert source.live
    assert source.number is None
    assert [(f.name, f.video.name, f.rate) for f in source] == [
        ("camera0-0000001.jpg", "camera0", 20)
    ]
    assert source.problems.counts == {"stream-broke-off": 1, "stream-ended": 1}


def test_the_newest_frame_is_given_and_the_others_are_counted():
    going, taken = threading.Event(), threading.Event()

    def items():
        yield 1
        taken.wait()
        yield from range(2, 100)
        going.set()

    newest = Newest(items(), threading.Event())
    found = []
    for item in newest:
        found.append(item)
        taken.set()
        going.wait()  # busy until all have come
    assert found[0] == 1
    assert found[-1] == 99
    assert newest.dropped == 99 - len(found)


def test_what_a_source_raises_comes_after_its_items_and_a_consumer_that_leaves_stops_it():
    def items():
        yield 1
        raise DataError("gone")

    stop, found = threading.Event(), []
    with pytest.raises(DataError, match="gone"):
        found.extend(Newest(items(), stop))
    assert stop.is_set()

    # A source that would go on for ever is not asked again, and its thread ends.
    before, stop = set(threading.enumerate()), threading.Event()
    iterator = iter(Newest(iter(int, 1), stop))
    next(iterator)
    (reader,) = set(threading.enumerate()) - before
    iterator.close()
    assert stop.is_set()
    reader.join(600)
    assert not reader.is_alive()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("7", "camera 7: cannot be opened"),
        ("rtsp://127.0.0.1:9/x", "no video stream"),
        ("HTTP://127.0.0.1:9/x", "no video stream"),
    ],
)
def test_what_cannot_be_opened_is_one_line(text, says):
    with pytest.raises(DataError, match=says):
        open_source(text, capture=lambda *_: GONE)


def test_a_camera_is_named_alone(tmp_path):
    with pytest.raises(DataError, match="name it alone"):
        open_source(tmp_path, "0", capture=lambda *_: Capture(1))


def test_a_folder_with_the_name_of_a_camera(tmp_path, monkeypatch):
    (tmp_path / "0").mkdir()
    cv2.imwrite(str(tmp_path / "0/a.png"), np.zeros((4, 4, 3), np.uint8))
    monkeypatch.chdir(tmp_path)
    assert [f.name for f in open_source("./0")] == ["a.png"]


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "random.pth"
    save_weights(build_model(load_cfg("demo.yaml", TINY)), path)
    return path


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_ctrl_c_ends_an_endless_input_with_whole_files(
    weights, tmp_path, monkeypatch, capsys, number, code
):
    """A camera without end: at the fifth frame the signal comes."""
    frames = itertools.count()

    def each():
        if next(frames) == 5:
            os.kill(os.getpid(), getattr(signal, number))

    monkeypatch.setattr(cv2, "VideoCapture", fake_camera(each, cv2.VideoCapture))
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    words = ["--config", "demo.yaml", "--input", "0", "--output", str(tmp_path / "out")]
    words += ["--score-threshold", "0", "MODEL.WEIGHTS", str(weights), *TINY]
    assert predict.main(words) == code
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before
    out = capsys.readouterr().out
    assert "images" in out
    assert "camera0.mp4" in out
    names = {r["file_name"] for r in json.loads((tmp_path / "out/predictions.json").read_text())}
    assert names
    assert all(name.startswith("camera0-") for name in names)
    assert [p.name for p in (tmp_path / "out/overlays").iterdir()] == ["camera0.mp4"]
    assert len(list(VideoReader(tmp_path / "out/overlays/camera0.mp4"))) >= 1


def fake_camera(each, real):
    """A double of cv2.VideoCapture that knows cameras and leaves files to the real one."""
    return lambda *words: Capture(10**6, each=each) if words == (0,) else real(*words)


def test_no_camera_is_one_line_and_leaves_nothing(weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: GONE)
    words = ["--config", "demo.yaml", "--input", "0", "--output", str(tmp_path / "out")]
    assert predict.main([*words, "MODEL.WEIGHTS", str(weights), *TINY]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: camera 0: cannot be opened; ")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.fixture
def served(tmp_path):
    """A web server of ``tmp_path``; gives its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *words, **named):
            super().__init__(*words, directory=str(tmp_path), **named)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_video_file_behind_an_address_is_read_whole_and_once(served, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    writer = cv2.VideoWriter(
        str(tmp_path / "drive.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 12.5, (64, 48)
    )
    for value in range(9):
        writer.write(np.full((48, 64, 3), 20 * value, np.uint8))
    writer.release()
    source = open_source(f"{served}/drive.avi?token=x")
    assert not source.live
    assert source.number == 9
    frames = list(source)
    assert [f.name for f in frames] == [f"drive-{k:07d}.jpg" for k in range(1, 10)]
    assert [f.until for f in frames] == pytest.approx([k / 12.5 for k in range(1, 10)], abs=2e-3)
    assert not source.problems
