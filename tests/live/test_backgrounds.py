"""Backgrounds: what each word of --background becomes, and what cannot be one is named in a line."""

from __future__ import annotations

import numpy as np
import pytest

from bdd_inst.base.errors import DataError
from bdd_inst.live import backgrounds


def test_colors_are_rgb():
    image, alpha = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.float32)
    assert (backgrounds.open_background("#ff8000")(image, alpha) == (0, 128, 255)).all()
    assert (backgrounds.open_background("#f80")(image, alpha) == (0, 136, 255)).all()
    assert backgrounds.open_background("none") is None


def test_an_image_covers_the_frame_in_its_own_proportions(photo):
    out = backgrounds.open_background(str(photo))(np.zeros((50, 200, 3), np.uint8), None)
    assert out.shape == (50, 200, 3)
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 15:25] = 255
    assert (backgrounds.cover(wide, (20, 20)) == 255).all()
    assert backgrounds.cover(wide, (1, 1)).shape == (1, 1, 3)


def test_a_video_starts_again_at_its_end(clip, image_labels):
    background = backgrounds.open_background(str(clip))
    seen = [background(np.zeros((96, 128, 3), np.uint8), None) for _ in range(12)]
    assert (seen[0] == seen[10]).all()
    assert (seen[0] != seen[5]).any()


def test_the_person_does_not_smear_into_the_blur(image_labels):
    image = image_labels(0, 240, 320)
    person = image[..., 2] > 100
    out = backgrounds.Blur(1.0)(image, person.astype(np.float32))
    assert out.shape == image.shape
    assert np.abs(out[~person].astype(int) - (160, 60, 30)).mean() < 4
    assert (backgrounds.Blur(0)(image, None) == image).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (31, 33)])
def test_any_size_is_blurred(size):
    image = np.full((*size, 3), 77, np.uint8)
    out = backgrounds.Blur()(image, np.zeros(size, np.float32))
    assert out.shape == image.shape
    assert np.abs(out.astype(int) - 77).max() <= 1


@pytest.mark.parametrize("text", ["#12", "#gggggg", "beach.jpg", "blurred", "/"])
def test_what_is_no_background_is_named(text):
    with pytest.raises(DataError, match=text):
        backgrounds.open_background(text)


@pytest.mark.parametrize("name", ["broken.jpg", "broken.mp4"])
def test_an_unreadable_file_is_named(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match=name):
        backgrounds.open_background(str(path))


def test_a_video_that_goes_away_is_named(clip):
    background = backgrounds.open_background(str(clip))
    clip.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"clip\.mp4"):
        for _ in range(12):
            background(np.zeros((96, 128, 3), np.uint8), None)
