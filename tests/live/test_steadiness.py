"""Figures of steadiness: flicker counts where nothing moves, lag shows in masks that come late."""

from __future__ import annotations

import numpy as np
import pytest

from bdd_inst.live.steadiness import measure


def video(moves: int, frames: int = 12) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A bright square of 40 px on dark ground, ``moves`` px further right each frame, and where it is."""
    images, truth = [], []
    for step in range(frames):
        inside = np.zeros((120, 214), bool)
        inside[40:80, 20 + moves * step : 60 + moves * step] = True
        truth.append(inside)
        images.append(np.where(inside[..., None], 200, 40).repeat(3, 2).astype(np.uint8))
    return images, truth


def test_the_truth_is_steady_and_not_late():
    images, truth = video(5)
    found = measure([t.astype(np.float32) for t in truth], images, truth)
    assert (found.flicker, found.iou) == (0, 1)
    assert found.lag < -0.15


def test_what_flickers_on_a_still_image_counts_by_the_persons_area():
    images, truth = video(0)
    masks = [t.astype(np.float32) for t in truth]
    for mask in masks[::2]:
        mask[100:110, 100:116] = 1  # 160 of the person's 1600 pixels
    assert measure(masks, images, truth).flicker == pytest.approx(0.1)
    assert measure(masks, images).flicker == pytest.approx(160 / 1680)
    assert np.isnan(measure(masks, images).iou)


def test_what_moves_with_the_image_is_no_flicker():
    images, truth = video(5)
    masks = [t.astype(np.float32) for t in truth]
    assert measure(masks, images).flicker == 0


def test_masks_that_come_a_frame_late_show_it():
    images, truth = video(5)
    late = [t.astype(np.float32) for t in [truth[0], *truth[:-1]]]
    found = measure(late, images, truth)
    assert found.lag > 0
    assert found.iou < 0.9
