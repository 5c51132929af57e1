"""Videos keep their timing: uneven gaps, damaged time stamps, rates that a header has wrong."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from bdd_inst.images.video import VideoReader, VideoWriter
from bdd_inst.images.video_timing import FrameClock, constant_rate


def times_of(rate, number=100, unit=None, skip=()):
    """Seconds of frames at an even pace, rounded to ``unit``, those in ``skip`` left out."""
    times = [k / rate for k in range(number) if k not in skip]
    return times if unit is None else [round(t / unit) * unit for t in times]


@pytest.mark.parametrize("rate", [1, 12.5, 24000 / 1001, 25, 30000 / 1001, 50, 60000 / 1001])
@pytest.mark.parametrize("unit", [None, 1e-3])
def test_an_even_pace_keeps_the_rate_of_the_header(rate, unit):
    assert constant_rate(times_of(rate, unit=unit), rate) == rate
    assert constant_rate(times_of(rate, unit=unit, skip=(3, 40, 41)), rate) == rate


def test_a_header_that_is_wrong_is_put_right():
    assert constant_rate(times_of(15), 30) == pytest.approx(15, abs=1e-3)
    assert constant_rate(times_of(25, skip=range(20, 60)), 4.0) == pytest.approx(25, abs=1e-3)


def test_uneven_gaps_get_a_rate_that_keeps_each_frame_near_its_time():
    gaps = np.random.default_rng(0).uniform(0.03, 0.4, 99)
    assert 30 <= constant_rate([0, *np.cumsum(gaps)], 4.0) <= 60
    assert constant_rate([0, *np.cumsum(gaps / 50)], 400) == 60
    assert constant_rate([0.0, 0.5], 24) == 24


def test_damaged_time_stamps_follow_the_frame_before():
    clock = FrameClock(25)
    given = [0.08, 0.12, 0.0, float("nan"), 0.24, 9e6, 9e6 + 0.04]
    times = [clock(t) for t in given]
    assert times == pytest.approx([0, 0.04, 0.08, 0.12, 0.16, 0.20, 0.24], abs=1e-5)
    assert [FrameClock(10)(0) for _ in range(2)] == [0, 0]


def uneven(path, gaps, size=(64, 48)):
    """A video of ``len(gaps)`` gray frames, each shown for its gap (hundredths of a second): an animated GIF by another name."""
    pages = [Image.new("L", size, 10 * k + 5) for k in range(len(gaps))]
    pages[0].save(
        path, "GIF", save_all=True, append_images=pages[1:], duration=[10 * g for g in gaps]
    )
    return path


def brightness(path):
    reader = VideoReader(path)
    return [float(frame.mean()) for frame in reader], reader.rate


@pytest.mark.skipif(
    tuple(map(int, cv2.__version__.split(".")[:2])) < (4, 13),
    reason="the ffmpeg of older OpenCV gives the last image of a GIF another length",
)
def test_a_video_of_uneven_gaps_is_written_again_with_each_frame_at_its_time(tmp_path):
    gaps = [10] * 6 + [50] * 4 + [7, 13, 30, 100]
    reader = VideoReader(uneven(tmp_path / "a.gif", gaps))
    with VideoWriter(tmp_path / "b.mp4", reader.rate) as writer:
        for frame, until in reader.timed():
            writer.add(frame, until)
    shown, rate = brightness(tmp_path / "b.mp4")
    assert rate >= 25
    assert len(shown) / rate == pytest.approx(sum(gaps) / 100, abs=2 / rate)
    numbers = [round((value - 5) / 10) for value in shown]
    begins = np.cumsum([0, *gaps[:-1]]) / 100
    for number, time in enumerate(begins):
        assert numbers.index(number) / rate == pytest.approx(time, abs=1.01 / rate)
    assert numbers == sorted(numbers)


def test_an_even_video_keeps_its_frames_one_for_one(tmp_path):
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 29.97, (64, 48))
    for value in range(40):
        writer.write(np.full((48, 64, 3), 6 * value, np.uint8))
    writer.release()
    reader = VideoReader(path)
    with VideoWriter(tmp_path / "b.mp4", reader.rate) as out:
        for frame, until in reader.timed():
            out.add(frame, until)
    assert (out.written, out.left_out, reader.missing) == (40, 0, 0)
    assert VideoReader(tmp_path / "b.mp4").rate == pytest.approx(29.97, abs=0.01)


def test_frames_closer_together_than_the_rate_are_left_out_and_said(tmp_path, caplog):
    with VideoWriter(tmp_path / "b.mp4", 10) as out:
        for k in range(50):
            out.add(np.zeros((48, 64, 3), np.uint8), (k + 1) / 50)
    assert (out.written, out.left_out) == (10, 40)
    assert "40 frames" in caplog.text
