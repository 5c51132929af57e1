"""The web server of the page, on this machine alone: who may ask, what is asked, and the stream of images."""

from __future__ import annotations

import contextlib
import json
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from bdd_inst.base.errors import DataError

HOST = "127.0.0.1"
BOUNDARY = "frame"
LARGEST = 20 << 20  # bytes of an image that is sent, as a background or from the browser's camera
LONGEST = 4096  # bytes of a change of settings
LIMITS = {"/settings": LONGEST, "/background": LARGEST, "/frame": LARGEST, "/stop": LONGEST}
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; frame-ancestors 'none'"
)


class Server(ThreadingHTTPServer):
    """One thread a request; ``page`` answers."""

    daemon_threads = True
    allow_reuse_address = False
    page: Any  # a live.page.Page

    def __init__(self, *arguments: object):
        self.open: set[socket.socket] = set()  # first: a port that is taken closes the server
        super().__init__(*arguments)

    def process_request(self, request, client_address) -> None:
        """Remembered, so that it can be hung up."""
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request) -> None:
        """Its end."""
        self.open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Hangs up on those whose connection waits for their next request."""
        super().server_close()
        for request in list(self.open):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RD)

    def handle_error(self, request, client_address) -> None:
        """A browser that goes away is no error."""


class Handler(BaseHTTPRequestHandler):
    """Requests that name another host, or come from another site, are refused before anything is read."""

    server: Server
    protocol_version = (
        "HTTP/1.1"  # the browser's camera sends thirty requests a second: one connection for all
    )
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
            self.refuse(403, "not from here")
        elif path == "/":
            text = resources.files("bdd_inst.live").joinpath("page.html").read_bytes()
            self.answer(200, "text/html; charset=utf-8", text)
        elif path == "/state":
            self.json(200, self.server.page.state())
        elif path == "/stream":
            self.stream()
        else:
            self.refuse(404, "nothing here")

    def do_POST(self) -> None:
        """Changed settings, another background, a frame of the browser's camera, the end."""
        page, path = self.server.page, urlsplit(self.path).path
        if not self.allowed():
            return self.refuse(403, "not from here")
        if path not in LIMITS or (path == "/frame" and page.camera is None):
            return self.refuse(404, "nothing here")
        length, limit = self.headers.get("Content-Length", "0"), LIMITS[path]
        if not length.isdecimal() or int(length) > limit:
            self.close_connection = True  # what was sent is not read
            return self.json(413, {"error": f"too large; {limit} bytes at most"})
        body = self.rfile.read(int(length))
        try:
            if path == "/stop":
                page.stop.set()
            elif path == "/background":
                page.take_image(body)
            elif path == "/frame":
                page.camera.take(body)
                return self.answer(204, None, b"")
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
        self.close_connection = True  # its length is not known beforehand
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        with page.watched():
            try:
                while True:
                    seen, data = page.next_image(seen)
                    if not data:
                        return
                    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                    self.wfile.write(head.encode() + data + b"\r\n")
            except OSError:
                return

    def json(self, code: int, value: object) -> None:
        """Answer with JSON."""
        self.answer(code, "application/json", json.dumps(value).encode())

    def refuse(self, code: int, text: str) -> None:
        """Answer in plain words and hang up: a body that was sent along is left unread."""
        self.close_connection = True
        self.answer(code, "text/plain", text.encode())

    def answer(self, code: int, kind: str | None, body: bytes) -> None:
        """A whole answer; nothing on it may be framed by, or read from, another site."""
        self.send_response(code)
        if kind is not None:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(body)
