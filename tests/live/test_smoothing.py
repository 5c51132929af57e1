"""Smoothing: still regions calm down, moving ones do not trail, a cut starts anew."""

from __future__ import annotations

import cv2
import numpy as np

from bdd_inst.live.smoothing import MaskSmoother

HEIGHT, WIDTH = 108, 192


def scene(step: int) -> tuple[np.ndarray, np.ndarray]:
    """A textured square that moves 3 px a frame over a textured ground, and its mask."""
    rng = np.random.default_rng(0)
    ground = cv2.GaussianBlur(rng.uniform(0, 255, (HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), 2)
    ground = cv2.normalize(ground, None, 20, 120, cv2.NORM_MINMAX)
    square = cv2.GaussianBlur(rng.uniform(0, 255, (50, 50, 3)).astype(np.float32), (0, 0), 2)
    square = cv2.normalize(square, None, 130, 250, cv2.NORM_MINMAX)
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    left = 20 + 3 * step
    ground[30:80, left : left + 50] = square
    mask[30:80, left : left + 50] = 1
    return ground.astype(np.uint8), mask


def iou(found: np.ndarray, truth: np.ndarray) -> float:
    return ((found > 0.5) & (truth > 0.5)).sum() / ((found > 0.5) | (truth > 0.5)).sum()


def test_flicker_on_a_still_scene_is_damped():
    rng, smoother = np.random.default_rng(1), MaskSmoother()
    image, truth = scene(0)
    raw, calm = [], []
    for _ in range(20):
        noisy = np.clip(truth + rng.normal(0, 0.3, truth.shape), 0, 1).astype(np.float32)
        raw.append(noisy)
        calm.append(smoother(noisy, image))
    flicker = [np.abs(np.diff(np.stack(m[5:]) > 0.5, axis=0)).mean() for m in (raw, calm)]
    assert flicker[1] < 0.25 * flicker[0]


def test_what_moves_leaves_nothing_behind_and_noise_is_still_damped():
    rng, smoother = np.random.default_rng(1), MaskSmoother()
    raw, smoothed = [], []
    for step in range(25):
        image, truth = scene(step)
        noisy = np.clip(truth + rng.normal(0, 0.35, truth.shape), 0, 1).astype(np.float32)
        out = smoother(noisy, image)
        raw.append(iou(noisy, truth))
        smoothed.append(iou(out, truth))
    assert np.mean(smoothed) > np.mean(raw)
    assert min(smoothed[4:]) > 0.95


def test_a_perfect_mask_of_something_moving_stays_nearly_perfect():
    smoother = MaskSmoother()
    overlaps = [iou(smoother(truth, image), truth) for image, truth in map(scene, range(20))]
    assert min(overlaps) > 0.95


def test_a_cut_and_another_size_start_anew():
    smoother = MaskSmoother()
    image, truth = scene(0)
    smoother(truth, image)
    other = np.zeros_like(truth)
    assert (smoother(other, 255 - image) == other).all()
    small = np.ones((9, 16), np.float32)
    assert (smoother(small, image) == small).all()
    assert (smoother(small * 0, cv2.resize(image, (60, 200))) == 0).all()


def test_images_of_a_few_pixels_pass():
    smoother = MaskSmoother()
    for _ in range(2):
        out = smoother(np.ones((2, 2), np.float32), np.zeros((1, 3, 3), np.uint8))
    assert out.shape == (2, 2)


def test_unrelated_images_are_not_mixed():
    """Images of one size that a folder numbers one after the other need not be a video."""
    rng, smoother = np.random.default_rng(4), MaskSmoother()
    for _ in range(6):
        small = rng.integers(0, 255, (6, 9, 3), dtype=np.uint8)
        image = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        mask = cv2.resize(rng.uniform(0, 1, (5, 7)).astype(np.float32), (WIDTH, HEIGHT))
        assert (smoother(mask, image) == mask).all()
