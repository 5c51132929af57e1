"""A web page on this machine alone: the running picture as MJPEG, switches for background, blur, threshold, mask and meter."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from urllib.parse import urlsplit

import cv2
import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.images.read import read_bgr
from bdd_inst.inference.sources import Frame
from bdd_inst.live.backgrounds import Background, Blur, Still, open_background
from bdd_inst.live.pipeline import Meter, Settings

HOST = "127.0.0.1"
PORT = 8765
QUALITY = 85
LARGEST = 20 << 20  # bytes of a picture that is sent as a background
LONGEST = 4096  # bytes of a change of settings
BOUNDARY = "frame"


class Page:
    """A sink that shows frames to browsers on this machine. Requests that name another host or come from another site are refused."""

    alpha = False

    def __init__(self, settings: Settings, meter: Meter, stop: threading.Event, port: int = PORT):
        """
        Args:
            settings: changed by the switches of the page.
            meter: whose figures are shown.
            stop: set by the page's button, ends the streams.
            port: 0 takes any free one; a taken one is passed over for a free one.
        """
        self.settings, self.meter, self.stop = settings, meter, stop
        self.given: Background | None = settings.background  # what the command line named
        self.strength = (
            settings.background.strength if isinstance(settings.background, Blur) else 0.5
        )
        self.choice = "blur" if isinstance(settings.background, Blur) else "given"
        self.choice = "none" if settings.background is None else self.choice
        self.picture: bytes = b""
        self.number = self.watchers = 0
        self.changed = threading.Condition()
        try:
            self.server = _Server((HOST, port), _Handler)
        except OSError:
            self.server = _Server((HOST, 0), _Handler)
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
        """Encode it where anybody watches."""
        if not self.watchers and self.picture:
            return
        done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if done:
            with self.changed:
                self.picture, self.number = data.tobytes(), self.number + 1
                self.changed.notify_all()

    def next_picture(self, seen: int) -> tuple[int, bytes]:
        """The first JPEG after number ``seen``; empty where the run ends."""
        with self.changed:
            while self.number <= seen and not self.stop.is_set():
                self.changed.wait(0.5)
            return self.number, b"" if self.stop.is_set() else self.picture

    def state(self) -> dict:
        """What the page shows beside the picture."""
        return {
            "background": self.choice,
            "given": self.given is not None and not isinstance(self.given, Blur),
            "strength": self.strength,
            "threshold": self.settings.threshold,
            "view": self.settings.view,
            "meter": self.settings.meter,
            "fps": round(self.meter.fps, 1),
            "latency_ms": round(1e3 * self.meter.latency),
            "dropped": self.meter.dropped,
        }

    def change(self, wanted: Mapping) -> None:
        """Take over settings: ``background`` (blur, none, given, #rrggbb), ``strength``, ``threshold``, ``view``, ``meter``.

        Raises:
            DataError: an unknown one, or a value out of range; nothing is changed then.
        """
        unknown = sorted(set(wanted) - {"background", "strength", "threshold", "view", "meter"})
        if unknown:
            raise DataError(f"no setting called {unknown[0]!r}")
        strength = _share(wanted, "strength", self.strength)
        threshold = _share(wanted, "threshold", self.settings.threshold)
        view = wanted.get("view", self.settings.view)
        if view not in ("picture", "mask"):
            raise DataError(f"view is picture or mask, not {view!r}")
        choice = wanted.get("background", self.choice)
        background = self.settings.background
        if choice != self.choice or (choice == "blur" and strength != self.strength):
            background = self._background(choice, strength)
        self.choice, self.strength = choice, strength
        self.settings.background, self.settings.threshold = background, threshold
        self.settings.view = view
        self.settings.meter = bool(wanted.get("meter", self.settings.meter))

    def _background(self, choice: object, strength: float) -> Background | None:
        if choice == "given" and self.given is not None:
            return self.given
        # Never a path: who reaches the page need not be who owns the files.
        if not isinstance(choice, str) or not (
            choice in ("blur", "none") or choice.startswith("#")
        ):
            raise DataError(
                f"background is blur, none, given or a colour like #00b140, not {choice!r}"
            )
        return open_background(choice, strength)

    def take_picture(self, data: bytes) -> None:
        """A picture file's bytes as the background. DataError where they are none."""
        try:
            image = read_bgr(io.BytesIO(data))
        except DataError as error:
            raise DataError(f"background: {str(error).split(': ', 1)[-1]}") from None
        self.given = self.settings.background = Still(image)
        self.choice = "given"


def _share(wanted: Mapping, key: str, usual: float) -> float:
    value = wanted.get(key, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise DataError(f"{key} is a number from 0 to 1, not {value!r}")
    return float(value)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = False
    page: Page

    def handle_error(self, request, client_address) -> None:
        """A browser that goes away is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 30  # seconds without a byte

    def log_message(self, *_: object) -> None:
        """Requests are not logged."""

    def allowed(self) -> bool:
        """Whether the request is meant for this page and comes from it, or from a person's own address bar."""
        port = self.server.server_port
        own = {f"{HOST}:{port}", f"localhost:{port}"}
        origin = self.headers.get("Origin")
        site = self.headers.get("Sec-Fetch-Site", "none")
        return (
            self.headers.get("Host", "").lower() in own
            and (origin is None or urlsplit(origin).netloc.lower() in own)
            and site in ("none", "same-origin")
        )

    def do_GET(self) -> None:
        """The page, its state, the stream."""
        path = urlsplit(self.path).path
        if not self.allowed():
            self.answer(403, "text/plain", b"not from here")
        elif path == "/":
            text = resources.files("bdd_inst.live").joinpath("page.html").read_bytes()
            self.answer(200, "text/html; charset=utf-8", text)
        elif path == "/state":
            self.json(200, self.server.page.state())
        elif path == "/stream":
            self.stream()
        else:
            self.answer(404, "text/plain", b"nothing here")

    def do_POST(self) -> None:
        """Changed settings, another background, the end."""
        page, path = self.server.page, urlsplit(self.path).path
        if not self.allowed():
            return self.answer(403, "text/plain", b"not from here")
        if path not in ("/settings", "/background", "/stop"):
            return self.answer(404, "text/plain", b"nothing here")
        length = self.headers.get("Content-Length", "0")
        limit = LARGEST if path == "/background" else LONGEST
        if not length.isdecimal() or int(length) > limit:
            return self.json(413, {"error": f"too large; {limit} bytes at most"})
        body = self.rfile.read(int(length))
        try:
            if path == "/stop":
                page.stop.set()
            elif path == "/background":
                page.take_picture(body)
            else:
                wanted = json.loads(body)
                if not isinstance(wanted, dict):
                    raise DataError("settings are one JSON object")
                page.change(wanted)
        except (DataError, ValueError, RecursionError) as error:
            return self.json(400, {"error": str(error)})
        return self.json(200, page.state())

    def stream(self) -> None:
        """JPEGs one after the other until the browser or the run ends."""
        page, seen = self.server.page, 0
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        page.watchers += 1
        try:
            while True:
                seen, data = page.next_picture(seen)
                if not data:
                    return
                head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                self.wfile.write(head.encode() + data + b"\r\n")
        except OSError:
            return
        finally:
            page.watchers -= 1
            self.close_connection = True

    def json(self, code: int, value: object) -> None:
        """Answer with JSON."""
        self.answer(code, "application/json", json.dumps(value).encode())

    def answer(self, code: int, kind: str, body: bytes) -> None:
        """A whole answer; nothing on it may be framed by, or read from, another site."""
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header(
            "Content-Security-Policy",
            "default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'none'",
        )
        self.end_headers()
        self.wfile.write(body)
