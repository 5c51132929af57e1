"""Where the person is: a callable image -> alpha, made of any pixel-wise model of the project."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import nn

from bdd_inst.base.errors import ConfigError
from bdd_inst.live import runtimes
from bdd_inst.live.folding import folded
from bdd_inst.live.pyramid import Pyramid

AREA = 256 * 256  # pixels that the model sees, in the image's proportions
MULTIPLE = 32  # sides of what a model sees that does not say how often it halves them
LONGEST = 16  # times the other side: a longer image is squeezed
TOLERANCE = 1e-3  # by how much a faster way of running the model may change a probability
COARSEST = 0.1  # by how much a way that the user names may change one
ROUNDS = 5  # timed calls a candidate at the start


class Segmenter(Protocol):
    """Finds the person in one image."""

    name: str

    def __call__(self, frame: Pyramid) -> np.ndarray:
        """A frame, H,W,3 uint8 BGR, to h,w float32, the probability 0..1 of a person, h and w of the segmenter's own choice."""
        ...


class ModelSegmenter:
    """A pixel-wise model (``[{"image", "height", "width"}] -> [{"sem_seg": K,H,W}]``, logits) as a Segmenter.

    The model is run as PyTorch runs it until ``choose`` has measured what is faster and gives the same.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        channels: str = "BGR",
        area: int = AREA,
        person: int | None = None,
    ):
        """
        Args:
            model: in any mode; it is put into evaluation mode.
            channels: ``BGR`` or ``RGB``, INPUT.FORMAT of the model's config.
            area: how many pixels the model is shown.
            person: index of the class that is the person; None takes the only one, or the second of two.
        """
        self.model = runtimes.Plain(model, person).eval()
        self.channels, self.area = channels, area
        divisibility = getattr(getattr(model, "backbone", None), "size_divisibility", 0)
        self.multiple = divisibility or MULTIPLE
        self.name = "torch"
        self._make: Callable = runtimes.torch_runtime
        self._ready: dict[tuple[int, int], Callable[[np.ndarray], np.ndarray]] = {}

    def __call__(self, frame: np.ndarray | Pyramid) -> np.ndarray:
        image = self.prepare(frame)
        size = image.shape[2:]
        if size not in self._ready:
            self._ready[size] = self._make(self.model, size)
        return self._ready[size](image)

    def prepare(self, frame: np.ndarray | Pyramid) -> np.ndarray:
        """What the model sees of a frame: 1,3,h,w float32 in 0..255."""
        frame = Pyramid.of(frame)
        size = network_size(*frame.image.shape[:2], self.area, self.multiple)
        return cv2.dnn.blobFromImage(frame.at(size), swapRB=self.channels == "RGB")

    def choose(
        self, size: tuple[int, int], names: Sequence[str] = runtimes.EXACT
    ) -> dict[str, str]:
        """Time the installed ways of running the model on an image of ``size`` (height, width) and keep the fastest exact one.

        Args:
            size: of the images to come.
            names: the ways to try; those that are not installed are left out. A single name is taken although it rounds
                more coarsely, and what that changes is told.

        Returns:
            name -> what was found (``12.3 ms``, or why it is not used).
        """
        shape = network_size(*size, self.area, self.multiple)
        rng = np.random.default_rng(0)
        image = cv2.resize(rng.uniform(0, 255, (6, 6, 3)).astype(np.float32), shape[::-1])
        image = np.ascontiguousarray(image.transpose(2, 0, 1))[None]
        right = runtimes.torch_runtime(self.model, shape)(image)
        self.model = _fold_if_exact(self.model, image, right)
        found, times, ready = {}, {}, {}
        for name in names:
            try:
                ready[name] = runtimes.RUNTIMES[name](self.model, shape)
                out = ready[name](image)
            except ImportError as error:
                found[name] = str(error) if "bfloat16" in str(error) else "not installed"
                continue
            except Exception as error:  # a library that cannot run this model is no reason to stop
                found[name] = f"cannot run this model ({type(error).__name__})"
                continue
            off = float(np.abs(out - right).max())
            exact = off <= TOLERANCE
            if not exact and (len(names) > 1 or not off <= COARSEST):
                found[name] = f"differs by {off:.2g}"
                continue
            times[name] = _median_time(ready[name], image)
            found[name] = f"{1e3 * times[name]:.1f} ms"
            if not exact:
                found[name] += f", probabilities differ by up to {off:.2g}"
        if times:
            self.name = min(times, key=times.get)
            self._make, self._ready = runtimes.RUNTIMES[self.name], {shape: ready[self.name]}
        return found


def _fold_if_exact(model: nn.Module, image: np.ndarray, right: np.ndarray) -> nn.Module:
    """``model`` with its norms folded away, where that can be done and gives what is ``right``."""
    try:
        lean = folded(model, torch.from_numpy(image))
        out = runtimes.torch_runtime(lean, image.shape[2:])(image)
    except Exception:  # a model of unknown make is run as it is
        return model
    return lean if np.abs(out - right).max() <= TOLERANCE else model


def network_size(
    height: int, width: int, area: int = AREA, multiple: int = MULTIPLE
) -> tuple[int, int]:
    """(height, width) of about ``area`` pixels, near the image's proportions, multiples of ``multiple``."""
    ratio = min(max(height / width, 1 / LONGEST), LONGEST) ** 0.5
    side = area**0.5
    return tuple(
        max(multiple, multiple * round(v / multiple)) for v in (side * ratio, side / ratio)
    )


def from_cfg(cfg, model: nn.Module) -> ModelSegmenter:
    """The segmenter of a config's model.

    Raises:
        ConfigError: the model finds instances, not pixels of classes.
    """
    if not hasattr(cfg.MODEL, "SEM_SEG_HEAD") or "Segmentor" not in cfg.MODEL.META_ARCHITECTURE:
        raise ConfigError(
            f"MODEL.META_ARCHITECTURE {cfg.MODEL.META_ARCHITECTURE} gives no mask of pixels; "
            "live takes a SemanticSegmentor, e.g. --config people_unet.yaml"
        )
    return ModelSegmenter(model, channels=cfg.INPUT.FORMAT)


def _median_time(function: Callable, image: np.ndarray) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        function(image)
        times.append(time.perf_counter() - start)
    return float(np.median(times))
