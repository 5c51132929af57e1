"""The pipeline: files lose no frame, live sources keep to the newest, errors and interruptions leave whole files."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from bdd_inst.base.errors import DataError
from bdd_inst.images.video import VideoReader
from bdd_inst.inference.sources import Frame
from bdd_inst.live import sinks
from bdd_inst.live.backgrounds import Blur, open_background
from bdd_inst.live.pipeline import Meter, Settings, Slot, render, run
from bdd_inst.live.sources import Source, open_source


class Kept:
    """A sink that keeps what it is shown; may be slow, or raise at a frame."""

    alpha = False

    def __init__(self, wait: float = 0, fails: int = 0, error: BaseException | None = None):
        self.wait, self.fails, self.error = wait, fails, error
        self.numbers: list[int] = []
        self.closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def show(self, frame, image):
        time.sleep(self.wait)
        if frame.number == self.fails:
            raise self.error
        self.numbers.append(frame.number)


def green(**more) -> Settings:
    return Settings(background=open_background("#00ff00"), **more)


def test_a_file_loses_no_frame(clip, segmenter):
    sink = Kept()
    meter = run(open_source(str(clip)), segmenter, sink, green())
    assert sink.numbers == list(range(1, 11))
    assert sink.closed
    assert (meter.frames, meter.dropped, meter.empty) == (10, 0, 0)
    assert set(meter.stages) == {"capture", "model", "smooth", "draw", "sink"}


def test_a_live_source_keeps_to_the_newest_frame(segmenter, image_labels):
    taken = threading.Event()

    def frames():
        for number in range(1, 201):
            yield Frame("x", number, image_labels())
            if number == 150:
                taken.wait(5)

    class First(Kept):
        def show(self, frame, image):
            super().show(frame, image)
            time.sleep(0.2)
            taken.set()

    sink = First()
    meter = run(Source("x", "x", frames, live=True), segmenter, sink, green())
    assert sink.numbers == sorted(set(sink.numbers))
    assert sink.numbers[-1] == 200
    assert meter.dropped == 200 - len(sink.numbers) > 100


def test_a_slot_of_the_newest_holds_one_and_counts_the_others():
    stop = threading.Event()
    slot = Slot(True, stop)
    assert all(slot.put(i) for i in range(5))
    assert next(iter(slot)) == 4
    assert slot.replaced == 4
    stop.set()
    assert not slot.put(6)
    assert list(slot) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DataError("bad"), RuntimeError("worse")])
def test_what_a_sink_raises_ends_the_run_and_closes_it(clip, segmenter, error):
    sink, stop = Kept(fails=4, error=error), threading.Event()
    with pytest.raises(type(error)):
        run(open_source(str(clip)), segmenter, sink, green(), stop=stop)
    assert sink.closed
    assert stop.is_set()
    assert sink.numbers == [1, 2, 3]


def test_a_window_that_is_closed_ends_the_run_well(clip, segmenter):
    sink = Kept(fails=4, error=sinks.Closed())
    assert run(open_source(str(clip)), segmenter, sink, green()).frames == 3


def test_what_the_model_raises_is_raised(clip):
    def broken(image):
        raise RuntimeError("no memory")

    sink = Kept()
    with pytest.raises(RuntimeError, match="no memory"):
        run(open_source(str(clip)), broken, sink, green())
    assert sink.closed


def test_an_interrupted_video_is_whole(tmp_path, clip, segmenter, monkeypatch):
    source = open_source(str(clip))
    sink = sinks.VideoFile(tmp_path / "out.mp4", source)
    show = sink.show

    def interrupted(frame, image):
        if frame.number == 6:
            raise KeyboardInterrupt
        show(frame, image)

    monkeypatch.setattr(sink, "show", interrupted)
    monkeypatch.setattr(sinks.shutil, "which", lambda name: None)
    with pytest.raises(KeyboardInterrupt):
        run(source, segmenter, sink, green())
    assert len(list(VideoReader(tmp_path / "out.mp4"))) == 5


def test_frames_of_changing_size_pass(segmenter, image_labels, tmp_path):
    images = [image_labels(0, 96, 128), image_labels(0, 60, 40), image_labels(0, 96, 128)]

    def frames():
        return (Frame(f"{i}", i, image) for i, image in enumerate(images, 1))

    sink = sinks.VideoFile(tmp_path / "out.mp4", Source("x", "x", frames))
    run(Source("x", "x", frames), segmenter, sink, Settings(background=Blur()))
    assert sink.problems.counts["size-changed"] == 1
    assert [f.shape for f in VideoReader(tmp_path / "out.mp4")] == [(96, 128, 3)] * 3


def test_settings_change_what_is_drawn(image_labels):
    image = image_labels()
    alpha = (image[..., 2] > 100).astype(np.float32)
    assert (render(image, alpha, False, green())[0, 0] == (0, 255, 0)).all()
    assert render(image, alpha, True, Settings(background=None)).shape == (96, 128, 4)
    assert (render(image, alpha, False, Settings(background=None))[0, 0] == 0).all()
    mask = render(image, alpha, False, green(view="mask"))
    assert (mask[..., 0] == 255 * alpha).all()


def test_nobody_in_the_image_is_counted():
    def frames():
        return iter([Frame("x", 1, np.zeros((32, 32, 3), np.uint8))])

    meter = run(Source("x", "x", frames), lambda p: np.zeros((8, 8), np.float32), Kept(), green())
    assert meter.empty == 1


def test_the_meter_tells_speed_and_delay(monkeypatch):
    meter, now = Meter(), iter(np.arange(0, 10, 0.1))
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    for _ in range(5):
        meter.done(0)
    assert meter.fps == pytest.approx(10)
    assert "fps" in meter.line()
