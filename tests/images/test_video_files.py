"""Video files that are opened, and those that are not: names in any bytes, lists of other files."""

from __future__ import annotations

import os
import shutil
import sys

import cv2
import numpy as np
import pytest

from bdd_inst.base.errors import DataError
from bdd_inst.images.video import VideoReader


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "whole.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (32, 24))
    for value in range(3):
        writer.write(np.full((24, 32, 3), 60 * value, np.uint8))
    writer.release()
    return path


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_a_name_that_is_no_utf8_is_opened_like_any_other(video):
    """OpenCV ends the whole program at such a name."""
    odd = os.fsdecode(os.fsencode(video.parent) + b"/\xff\n.avi")
    shutil.copy(video, odd)
    reader = VideoReader(odd)
    assert len(list(reader)) == 3
    assert VideoReader(odd).rate == pytest.approx(10)


@pytest.mark.parametrize(
    "first", [b"ffconcat version 1.0\nfile whole.avi\n", b"#EXTM3U\nwhole.avi\n"]
)
def test_a_list_of_other_files_is_no_video(video, first):
    path = video.with_name("list.mp4")
    path.write_bytes(first)
    with pytest.raises(DataError, match=r"list.mp4: a list of other files, not a video"):
        VideoReader(path)
