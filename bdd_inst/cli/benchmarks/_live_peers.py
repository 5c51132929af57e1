"""What the live benchmark runs beside the project's own model: MediaPipe, and masks that cost nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import numpy as np

from bdd_inst.live.pyramid import Pyramid
from bdd_inst.live.segmenter import Segmenter


class Oval:
    """A segmenter that costs nothing: an oval in the middle, of a person's size, so that drawing has its usual work."""

    name = "none"

    def __init__(self) -> None:
        y, x = np.mgrid[-1:1:192j, -1:1:336j]
        self.mask = np.clip(6 * (0.8 - np.hypot(x * 2, y)), 0, 1).astype(np.float32)

    def __call__(self, frame: Pyramid) -> np.ndarray:
        """192,336 float32 in 0..1."""
        return self.mask


class AsOval:
    """A model's work with the oval's mask: all chains have the same to draw."""

    def __init__(self, model: Segmenter):
        self.model, self.oval, self.name = model, Oval(), model.name

    def __call__(self, frame: Pyramid) -> np.ndarray:
        """192,336 float32 in 0..1."""
        self.model(frame)
        return self.oval(frame)


class MediaPipe:
    """MediaPipe's selfie segmentation, as its own example calls it."""

    def __init__(self, kind: int, name: str):
        """
        Args:
            kind: 0, the general model (256x256), or 1, the one for landscape (144x256).

        Raises:
            ImportError or AttributeError: this MediaPipe carries no such model.
        """
        import mediapipe

        self.name = name
        self.model = mediapipe.solutions.selfie_segmentation.SelfieSegmentation(
            model_selection=kind
        )

    def __call__(self, frame: Pyramid) -> np.ndarray:
        """The image's own size, float32 in 0..1."""
        rgb = np.ascontiguousarray(frame.image[:, :, ::-1])
        return self.model.process(rgb).segmentation_mask


def mediapipe_models() -> dict[str, Segmenter]:
    """Both models of an installed MediaPipe; none where it is missing, or too new to hold them."""
    try:
        with _quiet():
            return {
                name: MediaPipe(kind, name)
                for kind, name in enumerate(("MediaPipe, general", "MediaPipe, landscape"))
            }
    except (ImportError, AttributeError):
        return {}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """TensorFlow Lite greets on standard error."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
