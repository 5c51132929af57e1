"""Smaller versions of a frame: the right size, no aliasing, each half made once."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bdd_inst.live.pyramid import Pyramid, fitting_size


@pytest.mark.parametrize("size", [(72, 128), (37, 41), (1, 9), (300, 300), (5, 2)])
@pytest.mark.parametrize("shape", [(144, 256, 3), (99, 61, 3), (1, 500, 3)])
def test_any_size_comes_out(shape, size):
    image = np.full(shape, 90, np.uint8)
    out = Pyramid(image).at(size)
    assert out.shape == (*size, 3)
    assert (out == 90).all()


def test_fine_stripes_become_their_mean():
    image = np.zeros((240, 320, 3), np.uint8)
    image[:, ::2] = 200
    for size in ((120, 160), (100, 140), (61, 83), (20, 300)):
        assert abs(Pyramid(image).at(size).mean() - 100) < 2


def test_a_reduced_image_is_near_its_average_by_area():
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 255, (720, 1280, 3), dtype=np.uint8), (0, 0), 4)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    right = cv2.resize(image, (336, 192), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(Pyramid(image).at((192, 336)) - right).mean() < 3


def test_halves_are_made_once(monkeypatch):
    pyramid, made, resize = Pyramid(np.zeros((64, 64, 3), np.uint8)), [], cv2.resize
    monkeypatch.setattr(cv2, "resize", lambda *a, **k: made.append(1) or resize(*a, **k))
    assert pyramid.at((16, 16)) is pyramid.at((16, 16))
    assert pyramid.at((64, 64)) is pyramid.image
    assert len(made) == 2
    assert Pyramid.of(pyramid) is pyramid


def test_proportions_are_kept_and_nothing_is_enlarged():
    assert fitting_size(720, 1280, 320) == (180, 320)
    assert fitting_size(10, 20, 320) == (10, 20)
    assert fitting_size(1, 4000, 320) == (1, 320)
