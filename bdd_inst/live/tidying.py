"""Pinholes in a person closed, crumbs beside the persons taken away: what a small mask has of both by mistake."""

from __future__ import annotations

import cv2
import numpy as np

PINHOLE = 0.0003  # share of the image up to which a hole in a person is closed in any case
# Share of the image up to which it is closed where alpha is nowhere below SURE: the model doubts, it does not see the room.
HOLE = 0.003
SURE = 0.1
CRUMB = (
    0.03  # share of the largest person's area below which a piece that stands alone is taken away
)
SPECK = 0.001  # share of the image from which a piece stays, however large the largest person is


def tidy(alpha: np.ndarray) -> np.ndarray:
    """Alpha without pinholes and crumbs; all other values as they are.

    Args:
        alpha: h,w float32 in 0..1, of the size that the model sees. Changed in place.

    Returns:
        The same array.
    """
    _fill(alpha)
    _sweep(alpha)
    return alpha


def _fill(alpha: np.ndarray) -> None:
    """Small places that are less than whole and have nothing but person around them become person."""
    number, labels, stats, _ = cv2.connectedComponentsWithStats(_bits(alpha < 1), connectivity=4)
    if number <= 2:
        return
    height, width = alpha.shape
    left, top, wide, high, area = (stats[:, i] for i in range(5))
    small = area <= HOLE * alpha.size
    # A hole that touches the image's edge may be the room between arm and edge: it stays open.
    small &= (left > 0) & (top > 0) & (left + wide < width) & (top + high < height)
    small[0] = False
    open_ = np.zeros(number, bool)
    open_[labels[alpha < SURE]] = True
    small &= ~open_ | (area <= PINHOLE * alpha.size)
    if small.any():
        alpha[small[labels]] = 1


def _sweep(alpha: np.ndarray) -> None:
    """Pieces whose solid part is small beside the largest one become background."""
    number, labels = cv2.connectedComponents(_bits(alpha > 0), connectivity=8)
    if number <= 2:
        return
    solid = np.bincount(labels[alpha >= 0.5], minlength=number)
    solid[0] = 0
    crumbs = solid < min(CRUMB * solid.max(), SPECK * alpha.size)
    crumbs[0] = False
    if crumbs.any():
        alpha[crumbs[labels]] = 0


def _bits(inside: np.ndarray) -> np.ndarray:
    return inside.view(np.uint8)
