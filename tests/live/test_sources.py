"""Sources: files as they are, cameras and streams that come back, or do not."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from bdd_inst.base.errors import DataError
from bdd_inst.images.video import VideoReader
from bdd_inst.inference import streams
from bdd_inst.live import pipeline, sinks, sources


class Capture:
    """A capture that gives ``number`` frames and then breaks off."""

    def __init__(self, number: int, opens: bool = True):
        self.number, self.opens = number, opens

    def isOpened(self) -> bool:
        return self.opens

    def get(self, key: int) -> float:
        return 0.0

    def set(self, key: int, value: float) -> bool:
        return True

    def read(self):
        self.number -= 1
        return self.number >= 0, np.zeros((4, 4, 3), np.uint8)

    def release(self) -> None:
        pass


def test_a_video_can_be_passed_over_twice(clip):
    source = sources.open_source(str(clip))
    assert (source.live, source.moving, source.stem, source.rate) == (False, True, "clip", 25)
    assert [f.number for f in source] == list(range(1, 11))
    assert len(list(source)) == 10


def test_images_and_folders(photo, tmp_path):
    one = sources.open_source(str(photo))
    assert (one.number, one.moving, one.stem) == (1, False, "photo")
    assert sources.open_source(str(tmp_path)).stem == tmp_path.name


def test_a_stopped_stream_ends():
    stop = threading.Event()
    frames = iter(sources.open_source("0", stop, capture=lambda *_: Capture(99)))
    next(frames)
    stop.set()
    assert list(frames) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [("7", "camera 7: cannot be opened"), ("http://127.0.0.1:9/x", "no video stream")],
)
def test_what_cannot_be_opened_is_named(text, says):
    with pytest.raises(DataError, match=says):
        sources.open_source(text, capture=lambda *_: Capture(0, opens=False))


def test_nothing_there_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        sources.open_source(str(tmp_path / "gone.mp4"))


def test_a_watched_file_starts_again_until_it_is_stopped(clip):
    stop = threading.Event()
    source = sources.open_source(str(clip))
    source.rate = 2000
    frames = iter(sources.paced(source, stop, again=True))
    assert len([next(frames) for _ in range(25)]) == 25
    stop.set()
    assert list(frames) == []
    assert sources.paced(source, stop).live


def test_an_animated_image_is_a_video(tmp_path, image_labels):
    from PIL import Image

    pages = [Image.fromarray(image_labels(i)[..., ::-1]) for i in range(4)]
    pages[0].save(tmp_path / "a.gif", save_all=True, append_images=pages[1:], duration=40)
    source = sources.open_source(str(tmp_path / "a.gif"))
    assert source.moving
    assert len(list(source)) == 4


def test_images_that_count_up_are_frames_of_a_video():
    frames = [f"walk/{i:05d}.jpg" for i in range(7, 20)]
    assert sources.numbered(frames)
    assert sources.numbered([f"clip-{i}.png" for i in range(8, 16)])
    assert not sources.numbered(frames[:3])
    assert not sources.numbered([*frames, "walk/00021.jpg"])
    assert not sources.numbered([*frames, "run/00020.jpg"])
    assert not sources.numbered([*frames, "walk/last.jpg"])


def test_a_folder_says_whether_it_is_a_video(tmp_path, photo, image_labels):
    import cv2

    folder = tmp_path / "walk"
    folder.mkdir()
    for i in range(8):
        cv2.imwrite(str(folder / f"{i:05d}.png"), image_labels(i))
    assert sources.open_source(str(folder)).consecutive
    (folder / "00003.png").unlink()
    assert not sources.open_source(str(folder)).consecutive
    assert not sources.open_source(str(photo)).consecutive


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="devices of Linux")
def test_why_a_camera_does_not_open_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "DEVICES", str(tmp_path / "video{}"))

    def message() -> str:
        with pytest.raises(DataError) as caught:
            sources.open_source("7", capture=lambda *_: Capture(0, opens=False))
        return str(caught.value)

    assert message().endswith(f"there is no {tmp_path}/video7")
    (tmp_path / "video7").touch()
    assert message().endswith(f"does another program hold {tmp_path}/video7?")
    monkeypatch.setattr(streams.os, "access", lambda *_: False)
    assert "may not use" in message()


def test_a_stream_that_breaks_off_comes_back_with_another_size(monkeypatch, segmenter, tmp_path):
    """The run goes on, says so, and the file keeps its first size."""
    monkeypatch.setattr(streams, "WAITS", (0, 0))

    class Sized(Capture):
        def __init__(self, number: int, height: int):
            super().__init__(number)
            self.height = height

        def read(self):
            return super().read()[0], np.full((self.height, 64, 3), 90, np.uint8)

    captures = iter([Sized(3, 48), Sized(4, 32), Capture(0, opens=False), Capture(0, opens=False)])
    source = sources.open_source("rtsp://door/x", capture=lambda *_: next(captures))
    source.live = False  # keep every frame, whatever this machine's speed
    out = tmp_path / "out.mp4"
    sink, meter = sinks.VideoFile(out, source), pipeline.Meter()
    with pytest.raises(DataError, match="broke off and did not come back"):
        pipeline.run(source, segmenter, sink, pipeline.Settings(), meter)
    assert meter.frames == 7
    assert source.problems.counts["stream-broke-off"] == 2
    assert sink.problems.counts["size-changed"] == 4
    assert [frame.shape for frame in VideoReader(out)] == [(48, 64, 3)] * 7
