"""The camera of the browser that shows the page: its frames come as JPEGs, and the newest counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import cv2
import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.images import video
from bdd_inst.inference.sources import Frame
from bdd_inst.live.sources import Source

NAME = "browser"  # what ``--input`` calls it


class BrowserCamera:
    """Takes images from the page's requests and gives them to the pipeline as a live source."""

    def __init__(self, stop: threading.Event):
        """``stop`` ends the frames."""
        self.stop = stop
        self._newest: np.ndarray | None = None
        self._came = threading.Condition()

    def take(self, data: bytes) -> None:
        """One JPEG, as the browser encodes it. It replaces one that nobody has asked for yet.

        Raises:
            DataError: it cannot be decoded.
        """
        image = None
        if data:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise DataError("not an image that can be decoded")
        with self._came:
            self._newest = image
            self._came.notify()

    def images(self) -> Iterator[np.ndarray]:
        """H,W,3 uint8 BGR, each once, until ``stop`` is set."""
        while not self.stop.is_set():
            with self._came:
                if not self._came.wait_for(lambda: self._newest is not None, timeout=0.1):
                    continue
                image, self._newest = self._newest, None
            yield image

    def source(self) -> Source:
        """What the pipeline reads."""

        def frames() -> Iterator[Frame]:
            for number, image in enumerate(self.images(), 1):
                yield Frame(f"{number:07d}.jpg", number, image)

        return Source(NAME, NAME, frames, live=True, rate=video.USUAL_RATE)
