"""Tests for what predict reads: images, folders, videos, patterns, several of them, whatever is broken among them."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image

from bdd_inst.base.errors import DataError
from bdd_inst.cli.predict import parse
from bdd_inst.images.video import VideoReader, VideoWriters
from bdd_inst.inference.sources import open_source


def image(path, value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 10, 3), value, np.uint8)).save(path)
    return path


def clip(path, frames=3, size=(32, 24)):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, size)
    for value in range(frames):
        writer.write(np.full((size[1], size[0], 3), 60 * value, np.uint8))
    writer.release()
    return path


def names(source):
    return [(frame.name, frame.number) for frame in source]


def test_several_inputs_are_named_from_their_common_folder(tmp_path):
    image(tmp_path / "a" / "x.png"), image(tmp_path / "b" / "x.png")
    assert names(open_source(tmp_path / "a", tmp_path / "b" / "x.png")) == [
        ("a/x.png", 1),
        ("b/x.png", 2),
    ]
    assert names(open_source(tmp_path / "a", tmp_path / "a" / "x.png")) == [("x.png", 1)]
    assert names(open_source(tmp_path / "a" / "x.png")) == [("x.png", 1)]


def test_patterns(tmp_path, monkeypatch):
    for name in ("day1/a.jpg", "day1/b.png", "day2/c.jpg", "[odd]/d.jpg"):
        image(tmp_path / name)
    source = open_source(f"{tmp_path}/day*/*.jpg")
    assert [name for name, _ in names(source)] == ["day1/a.jpg", "day2/c.jpg"]
    assert len(names(open_source(f"{tmp_path}/**/*.jpg"))) == 3
    assert names(open_source(tmp_path / "[odd]")) == [("d.jpg", 1)]
    with pytest.raises(DataError, match="nothing matches"):
        open_source(f"{tmp_path}/night*")


def test_a_folder_of_videos_and_images(tmp_path):
    (
        clip(tmp_path / "one.avi", 2),
        clip(tmp_path / "sub" / "two.avi", 3),
        image(tmp_path / "p.png"),
    )
    (tmp_path / "bad.flv").write_bytes(b"no video")
    (tmp_path / "bad.png").write_bytes(b"no image")
    source = open_source(tmp_path)
    assert source.number is None
    assert names(source) == [
        ("one-0000001.jpg", 2),
        ("one-0000002.jpg", 3),
        ("p.png", 4),
        ("sub/two-0000001.jpg", 5),
        ("sub/two-0000002.jpg", 6),
        ("sub/two-0000003.jpg", 7),
    ]
    assert source.problems.counts == {"unreadable-video": 1, "unreadable-image": 1}


def test_videos_of_one_name_keep_their_frames_apart(tmp_path):
    clip(tmp_path / "a.avi", 1), clip(tmp_path / "a.mkv", 1)
    found = [name for name, _ in names(open_source(tmp_path))]
    assert len(set(found)) == 2
    with VideoWriters(tmp_path / "out") as movies:
        for frame in open_source(tmp_path):
            movies.add(frame.video.name, frame.rate, frame.image)
    written = sorted((tmp_path / "out").iterdir())
    assert len(written) == 2
    assert all(len(list(VideoReader(path))) == 1 for path in written)


@pytest.mark.parametrize("name", ["none.jpg", "a\0b", "x" * 400])
def test_what_is_not_there_is_one_line(tmp_path, name):
    with pytest.raises(DataError, match="no such file") as caught:
        open_source(os.path.join(tmp_path, name))
    assert "\n" not in str(caught.value)
    assert "\0" not in str(caught.value)


def test_a_single_video_that_cannot_be_decoded_is_said_at_once(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x")
    with pytest.raises(DataError, match="not a video"):
        open_source(tmp_path / "a.mp4")


def test_config_keys_after_the_inputs_are_no_inputs():
    options = parse(
        ["--config", "c.yaml", "--output", "o", "--input", "a.jpg", "B", "MODEL.WEIGHTS", "w.pth"]
    )
    assert (options.input, options.overrides) == (["a.jpg", "B"], ["MODEL.WEIGHTS", "w.pth"])
    options = parse(["--weights", "w", "--input", "a.jpg", "b.jpg", "--output", "o", "SEED", "3"])
    assert (options.input, options.overrides) == (["a.jpg", "b.jpg"], ["SEED", "3"])
