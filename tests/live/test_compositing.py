"""Compositing: edges follow the image, no halo of the old background, alpha and blend as defined."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bdd_inst.live import compositing

RED, BLUE, GREEN = (40, 40, 200), (200, 60, 30), (0, 255, 0)


def disc(height: int = 240, width: int = 320) -> tuple[np.ndarray, np.ndarray]:
    """A red disc on blue with soft edges, and its true alpha."""
    big = np.zeros((4 * height, 4 * width), np.float32)
    cv2.circle(big, (2 * width, 2 * height), int(1.2 * height), 1.0, -1)
    alpha = cv2.GaussianBlur(
        cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA), (0, 0), 1
    )
    image = alpha[..., None] * RED + (1 - alpha[..., None]) * BLUE
    return np.rint(image).astype(np.uint8), alpha


def test_a_coarse_mask_moves_onto_the_edges_of_the_image():
    image, truth = disc()
    coarse = cv2.GaussianBlur(cv2.resize(truth, (80, 60), interpolation=cv2.INTER_AREA), (0, 0), 1)
    plain = cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_LINEAR)
    fine = compositing.upsample(coarse, image)
    assert fine.shape == (240, 320)
    assert fine.dtype == np.float32
    assert np.abs(fine - truth).mean() < 0.6 * np.abs(plain - truth).mean()
    assert fine.min() >= 0
    assert fine.max() <= 1
    assert (fine[:20] == 0).all()
    assert (fine[110:130, 150:170] == 1).all()


@pytest.mark.parametrize("size", [(720, 1280), (360, 640), (240, 428), (301, 403)])
def test_a_part_is_enlarged_as_in_the_whole(size, monkeypatch):
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8), size[::-1])
    alpha = np.zeros((48, 84), np.float32)
    alpha[20:40, 30:50] = 1
    found = compositing.upsample(alpha, image).copy()
    whole = (slice(0, None),) * 2
    monkeypatch.setattr(
        compositing, "_reach", lambda scale, *_: (tuple(slice(0, s) for s in scale.shape), whole)
    )
    assert np.abs(found - compositing.upsample(alpha, image)).max() < 1e-5
    assert (found == 1).any()
    assert (found == 0).mean() > 0.7


def test_nobody_is_nothing():
    image, _ = disc()
    alpha = compositing.upsample(np.zeros((48, 84), np.float32), image)
    assert not alpha.any()
    assert (compositing.composite(image, alpha, np.full_like(image, GREEN)) == GREEN).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (37, 41), (720, 1280)])
def test_any_size_is_upsampled(size):
    image = np.full((*size, 3), 90, np.uint8)
    alpha = compositing.upsample(np.ones((8, 8), np.float32), image)
    assert alpha.shape == size
    assert (alpha == 1).all()


def test_the_old_background_does_not_shine_through():
    image, alpha = disc()
    green = np.full_like(image, GREEN)
    right = alpha[..., None] * RED + (1 - alpha[..., None]) * GREEN
    edge = (alpha > 0.1) & (alpha < 0.9)

    def error(clean: bool) -> float:
        return np.abs(compositing.composite(image, alpha, green, clean) - right)[edge].mean()

    assert error(True) < 0.4 * error(False)


def test_certain_pixels_are_exact():
    image, alpha = disc()
    alpha = np.where(alpha > 0.99, 1, np.where(alpha < 0.01, 0, alpha)).astype(np.float32)
    green = np.full_like(image, GREEN)
    out = compositing.composite(image, alpha, green)
    assert (out[alpha == 1] == image[alpha == 1]).all()
    assert (out[alpha == 0] == GREEN).all()
    assert (compositing.composite(image, np.zeros_like(alpha), green) == green).all()


def test_a_cut_out_carries_the_persons_color_up_to_its_border():
    image, alpha = disc()
    alpha = np.where(alpha > 0.99, 1, np.where(alpha < 0.01, 0, alpha)).astype(np.float32)
    out = compositing.cut_out(image, alpha)
    assert out.shape == (240, 320, 4)
    assert (out[..., 3] == np.rint(alpha * 255)).all()
    assert (out[alpha == 0] == 0).all()
    assert np.abs(out[..., :3].astype(int) - RED)[(alpha > 0.1) & (alpha < 1)].mean() < 12


def test_haze_over_the_whole_image_is_left_alone():
    image, _ = disc()
    haze = np.full(image.shape[:2], 0.5, np.float32)
    out = compositing.composite(image, haze, np.zeros_like(image))
    assert np.abs(out.astype(int) - image / 2).max() <= 1


def test_the_threshold_is_where_alpha_is_a_half():
    values = np.float32([[0, 0.1, 0.3, 0.5, 0.7, 1]])
    assert compositing.sharpen(values, 0.3)[0, 2] == pytest.approx(0.5)
    assert compositing.sharpen(values)[0].tolist() == pytest.approx([0, 0, 0.1, 0.5, 0.9, 1])
