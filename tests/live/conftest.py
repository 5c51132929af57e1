"""A segmenter that needs no model: what is red is the person; and images and videos made for it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from bdd_inst.images.video import VideoWriter
from bdd_inst.live.pyramid import Pyramid


class RedIsPerson:
    """h,w at a quarter of the image's size; 1 where red outweighs the other colors."""

    name = "red"

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, frame: Pyramid) -> np.ndarray:
        self.calls += 1
        image = frame.image
        size = max(1, image.shape[1] // 4), max(1, image.shape[0] // 4)
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        return np.clip((small[..., 2] - small[..., :2].max(-1)) / 60, 0, 1).reshape(size[::-1])

    def choose(self, size: tuple[int, int], names: tuple[str, ...]) -> dict[str, str]:
        return dict.fromkeys(names, "1.0 ms")


def draw(step: int = 0, height: int = 96, width: int = 128) -> np.ndarray:
    """A red disc on blue, 4 px further to the right each step."""
    image = np.full((height, width, 3), (160, 60, 30), np.uint8)
    cv2.circle(
        image, (width // 3 + 4 * step, height // 2), height // 4, (40, 40, 220), -1, cv2.LINE_AA
    )
    return image


@pytest.fixture
def segmenter() -> RedIsPerson:
    return RedIsPerson()


@pytest.fixture
def image_labels():
    return draw


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Ten frames, 128x96."""
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, 25) as writer:
        for step in range(10):
            writer.add(draw(step))
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), draw())
    return path
