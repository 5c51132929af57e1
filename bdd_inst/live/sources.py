"""Where frames come from: a camera, a stream, a video, a folder, a picture; live ones reconnect and say so."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.images import video
from bdd_inst.inference import sources as files
from bdd_inst.inference.sources import Frame

STREAM = re.compile(r"(?:rtsps?|https?|rtmps?|udp|tcp|srt)://", re.IGNORECASE)
TIMEOUT = 10_000  # milliseconds that a stream may take to open or to send a frame
WAITS = (0.5, 1, 2, 4, 8)  # seconds before each attempt to get a stream back
CAMERA_SIZE = 1280, 720  # asked for; a camera gives the nearest that it has

logger = logging.getLogger(__name__)


@dataclass
class Source:
    """A stream of frames with what a sink must know about it.

    Attributes:
        name: what the user called it.
        stem: what files made of it are called.
        frames: gives an iterator of Frames.
        live: frames come in their own time; the newest counts.
        moving: consecutive frames show one scene, so masks may be carried along.
        rate: frames a second.
        number: of frames, None where unknown.
        file: the file itself where it is one; its sound may be kept.
        problems: what could not be read.
    """

    name: str
    stem: str
    frames: Callable[[], Iterator[Frame]]
    live: bool = False
    moving: bool = True
    rate: float = video.USUAL_RATE
    number: int | None = None
    file: Path | None = None
    problems: ProblemLog = field(default_factory=ProblemLog)

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()


def open_source(
    text: str, stop: threading.Event | None = None, capture: Callable | None = None
) -> Source:
    """Look at what ``--input`` names.

    Args:
        text: a camera's number, an RTSP or HTTP URL, or the path of a video, a picture or a folder of pictures.
        stop: when set, a live source ends at its next frame.
        capture: opens cameras and streams, ``cv2.VideoCapture`` or a double of it.

    Raises:
        DataError: no such camera, stream, file or folder, or nothing in it that can be read.
    """
    stop = stop or threading.Event()
    if text.isdecimal():
        stream = Stream(f"camera {text}", lambda: _open_camera(int(text), capture), stop)
        return Source(
            text,
            f"camera{text}",
            stream.frames,
            live=True,
            rate=stream.rate,
            problems=stream.problems,
        )
    if STREAM.match(text):
        name = re.sub(r"//[^/@]*@", "//", text)  # no password into a message or a log
        stream = Stream(name, lambda: _open_stream(text, capture), stop)
        stem = re.sub(r"[^\w.-]+", "_", Path(name.split("?")[0]).stem).strip("._") or "stream"
        return Source(
            name, stem, stream.frames, live=True, rate=stream.rate, problems=stream.problems
        )
    path = Path(text)
    if path.suffix.lower() == ".gif" and path.is_file():
        reader = video.VideoReader(path)
        if reader.number > 1:
            return _of_video(files.ImageSource([files.Entry(path, path.name, True)]), text)
    found = files.open_source(path)
    if found.reader is not None:
        return _of_video(found, text)
    stem = path.resolve().name if path.is_dir() else path.stem
    return Source(
        text, stem, found.__iter__, moving=False, number=found.number,
        file=None if path.is_dir() else path, problems=found.problems,
    )  # fmt: skip


def _of_video(found: files.ImageSource, text: str) -> Source:
    return Source(
        text, Path(text).stem, found.__iter__, rate=found.reader.rate, number=found.number,
        file=Path(text), problems=found.problems,
    )  # fmt: skip


def paced(source: Source, stop: threading.Event, again: bool = False) -> Source:
    """``source`` to be watched: a file's frames come at its own rate, as a camera's do, and what is late is left out.

    Args:
        source: a live one is returned as it is.
        stop: ends the frames.
        again: start over at the end, until ``stop``.
    """
    if source.live:
        return source

    def frames() -> Iterator[Frame]:
        number, begun = 0, time.perf_counter()
        while not stop.is_set():
            first = number
            for frame in source.frames():
                number += 1
                if stop.wait(max(0.0, begun + (number - 1) / source.rate - time.perf_counter())):
                    return
                yield frame
            if not again or number == first:
                return

    return replace(source, frames=frames, live=True)


class Stream:
    """A camera or a network stream that is opened again when it breaks off."""

    def __init__(self, name: str, open_capture: Callable, stop: threading.Event):
        """
        Args:
            name: for messages.
            open_capture: () -> an opened capture, or None.
            stop: ends the frames.

        Raises:
            DataError: it cannot be opened now.
        """
        self.name, self.open_capture, self.stop = name, open_capture, stop
        self.problems = ProblemLog()
        self.capture = open_capture()
        if self.capture is None:
            raise DataError(
                f"{name}: cannot be opened; is it there, and does no other program hold it?"
                if name.startswith("camera")
                else f"{name}: no video stream answers; check the address and that it is reachable"
            )
        rate = self.capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if np.isfinite(rate) and 1 <= rate <= 240 else video.USUAL_RATE

    def frames(self) -> Iterator[Frame]:
        """Frames until ``stop`` is set. DataError where the stream stays away."""
        number = 0
        try:
            while not self.stop.is_set():
                read, image = self.capture.read()
                if not read and not self._again():
                    return
                if read:
                    number += 1
                    yield Frame(f"{number:07d}.jpg", number, image)
        finally:
            self.capture.release()

    def _again(self) -> bool:
        """Open it anew, with longer and longer waits; False where it was stopped meanwhile."""
        self.capture.release()
        logger.warning("%s broke off; reconnecting", self.name)
        self.problems.add("stream-broke-off", self.name, time.strftime("at %H:%M:%S"))
        for wait in WAITS:
            if self.stop.wait(wait):
                return False
            capture = self.open_capture()
            if capture is not None:
                logger.warning("%s is back", self.name)
                self.capture = capture
                return True
        raise DataError(f"{self.name}: broke off and did not come back")


def _open_camera(number: int, capture: Callable | None):
    with video.quiet():
        opened = (capture or cv2.VideoCapture)(number)
        if not opened.isOpened():
            return None
        opened.set(cv2.CAP_PROP_FRAME_WIDTH, CAMERA_SIZE[0])
        opened.set(cv2.CAP_PROP_FRAME_HEIGHT, CAMERA_SIZE[1])
        opened.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # old frames are of no use
    return opened


def _open_stream(address: str, capture: Callable | None):
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT, cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT]
    with video.quiet():
        opened = (capture or cv2.VideoCapture)(address, cv2.CAP_FFMPEG, limits)
    return opened if opened.isOpened() else None
