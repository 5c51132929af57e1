"""A web page on this machine alone: the running image as MJPEG, switches for background, blur, threshold, mask and meter."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Iterator, Mapping

import cv2
import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.images.read import read_bgr
from bdd_inst.inference.sources import Frame
from bdd_inst.live.backgrounds import COLOR, STRENGTH, Background, Blur, Still, color
from bdd_inst.live.browser_camera import BrowserCamera
from bdd_inst.live.page_server import HOST, Handler, Server
from bdd_inst.live.pipeline import Meter, Settings

PORT = 8765
QUALITY = 85
LOST = 2.0  # seconds without a frame after which the page says that none comes
KEYS = frozenset({"background", "strength", "threshold", "view", "meter", "smooth"})


class Page:
    """A sink that shows frames to browsers on this machine. Requests that name another host or come from another site are refused."""

    alpha = False

    def __init__(
        self,
        settings: Settings,
        meter: Meter,
        stop: threading.Event,
        port: int = PORT,
        camera: BrowserCamera | None = None,
        source: str = "",
    ):
        """
        Args:
            settings: changed by the switches of the page.
            meter: whose figures are shown.
            stop: set by the page's button, ends the streams.
            port: 0 takes any free one; a taken one is passed over for a free one.
            camera: takes frames of the browser's own camera; None where the frames come from elsewhere.
            source: what the frames come from, for people.
        """
        self.settings, self.meter, self.stop = settings, meter, stop
        self.camera, self.source = camera, source
        self.choice, self.given = _named(settings.background)
        blurred = isinstance(settings.background, Blur)
        self.strength = settings.background.strength if blurred else STRENGTH
        self.image: bytes = b""
        self.number = self.watchers = 0
        self.shown_at = 0.0  # perf_counter of the newest frame
        self.changed = threading.Condition()
        try:
            self.server = Server((HOST, port), Handler)
        except OSError:
            self.server = Server((HOST, 0), Handler)
        self.server.page = self

    @property
    def address(self) -> str:
        """Where to look."""
        return f"http://{HOST}:{self.server.server_port}/"

    def __enter__(self) -> Page:
        threading.Thread(target=self.server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, kind: type | None, *rest: object) -> None:
        self.stop.set()
        with self.changed:
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()

    def show(self, frame: Frame, image: np.ndarray) -> None:
        """Encode the image, H,W,3 uint8 BGR, where anybody watches."""
        self.shown_at = time.perf_counter()
        if not self.watchers and self.image:
            return
        done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if done:
            with self.changed:
                self.image, self.number = data.tobytes(), self.number + 1
                self.changed.notify_all()

    def next_image(self, seen: int) -> tuple[int, bytes]:
        """The first JPEG after number ``seen``; empty where the run ends."""
        with self.changed:
            while self.number <= seen and not self.stop.is_set():
                self.changed.wait(0.5)
            return self.number, b"" if self.stop.is_set() else self.image

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Counts one who watches, inside the block."""
        with self.changed:
            self.watchers += 1
        try:
            yield
        finally:
            with self.changed:
                self.watchers -= 1

    def status(self) -> str:
        """``waiting`` for the first frame, ``lost`` where none has come for LOST seconds, ``nobody`` in the image, ``running``, ``ended``."""
        if self.stop.is_set():
            return "ended"
        if not self.shown_at:
            return "waiting"
        if time.perf_counter() - self.shown_at > LOST:
            return "lost"
        return "nobody" if self.meter.nobody else "running"

    def state(self) -> dict:
        """What the page shows beside the image."""
        return {
            "status": self.status(),
            "source": self.source,
            "browser_camera": self.camera is not None,
            "background": self.choice,
            "given": self.given is not None,
            "strength": self.strength,
            "threshold": self.settings.threshold,
            "view": self.settings.view,
            "meter": self.settings.meter,
            "smooth": self.settings.smooth,
            "fps": round(self.meter.fps, 1),
            "latency_ms": round(1e3 * self.meter.latency),
            "dropped": self.meter.dropped,
        }

    def change(self, wanted: Mapping) -> None:
        """Take over settings: ``background`` (blur, none, given, #rrggbb), ``strength``, ``threshold``, ``view``, ``meter``, ``smooth``.

        Raises:
            DataError: an unknown one, or a value out of range; nothing is changed then.
        """
        unknown = sorted(set(wanted) - KEYS)
        if unknown:
            raise DataError(f"no setting called {unknown[0]!r}")
        strength = _share(wanted, "strength", self.strength)
        threshold = _share(wanted, "threshold", self.settings.threshold)
        view = wanted.get("view", self.settings.view)
        if view not in ("picture", "mask"):
            raise DataError(f"view is image or mask, not {view!r}")
        choice = wanted.get("background", self.choice)
        background = self.settings.background
        if choice != self.choice or (choice == "blur" and strength != self.strength):
            background = self._background(choice, strength)
        self.choice, self.strength = choice, strength
        self.settings.background, self.settings.threshold = background, threshold
        self.settings.view = view
        self.settings.meter = bool(wanted.get("meter", self.settings.meter))
        self.settings.smooth = bool(wanted.get("smooth", self.settings.smooth))

    def _background(self, choice: object, strength: float) -> Background | None:
        if choice == "given" and self.given is not None:
            return self.given
        if choice == "blur":
            return Blur(strength)
        if choice == "none":
            return None
        # Never a path: who reaches the page need not be who owns the files.
        if not isinstance(choice, str) or not COLOR.fullmatch(choice):
            raise DataError(
                f"background is blur, none, given or a color like #00b140, not {choice!r}"
            )
        return Still(color(choice))

    def take_image(self, data: bytes) -> None:
        """An image file's bytes as the background. DataError where they are none."""
        try:
            image = read_bgr(io.BytesIO(data))
        except DataError as error:
            raise DataError(f"background: {str(error).split(': ', 1)[-1]}") from None
        self.given = self.settings.background = Still(image)
        self.choice = "given"


def _named(background: Background | None) -> tuple[str, Background | None]:
    """What the page calls the background of the start, and the image or video that it keeps for ``given``."""
    if background is None:
        return "none", None
    if isinstance(background, Blur):
        return "blur", None
    if isinstance(background, Still) and background.image.shape[:2] == (1, 1):
        blue, green, red = background.image[0, 0]
        return f"#{red:02x}{green:02x}{blue:02x}", None
    return "given", background


def _share(wanted: Mapping, key: str, usual: float) -> float:
    value = wanted.get(key, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise DataError(f"{key} is a number from 0 to 1, not {value!r}")
    return float(value)
