"""Cameras and network streams as frames that come in their own time; what breaks off is opened again, and that is said."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import cv2
import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.images import video

ADDRESS = re.compile(r"(?:rtsps?|https?|rtmps?|udp|tcp|srt)://", re.IGNORECASE)
TIMEOUT = 10_000  # milliseconds that a stream may take to open or to send a frame
WAITS = (0.5, 1, 2, 4, 8)  # seconds before each attempt to get a stream back
DEVICES = "/dev/video{}"  # of Linux
CAMERA_SIZE = 1280, 720  # asked for; a camera gives the nearest that it has

log = logging.getLogger(__name__)


def is_stream(text: str) -> bool:
    """Whether an input names a camera (``0``) or an address (``rtsp://...``, ``http://...``)."""
    return text.isdecimal() or ADDRESS.match(text) is not None


class Stream:
    """A camera or a network stream that is opened again when it breaks off.

    Attributes:
        name: for messages; without the password and the words behind ``?``, which may hold one.
        stem: what files made of it are called.
        rate: frames a second, as it says.
        length: frames where it is a file that comes over the network, 0 where it goes on and on.
        problems: when it broke off.
    """

    def __init__(
        self,
        text: str,
        stop: threading.Event,
        capture: Callable[..., cv2.VideoCapture] | None = None,
    ):
        """
        Args:
            text: a camera's number or an address.
            stop: ends the frames.
            capture: opens cameras and streams, ``cv2.VideoCapture`` or a double of it.

        Raises:
            DataError: it cannot be opened now.
        """
        self.text, self.stop, self._opener = text, stop, capture or cv2.VideoCapture
        self.problems = ProblemLog()
        if text.isdecimal():
            self.name, self.stem = f"camera {text}", f"camera{text}"
        else:
            self.name = re.sub(r"//[^/]*@", "//", text).split("?")[0]
            stem = re.sub(r"[^\w.-]+", "_", PurePosixPath(self.name).stem).strip("._")
            self.stem = stem or "stream"
        self.capture = self._open()
        if self.capture is None:
            raise DataError(
                f"{self.name}: cannot be opened; {_why_not(text)}"
                if text.isdecimal()
                else f"{self.name}: no video stream answers; check the address and that it is reachable"
            )
        rate = self.capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if np.isfinite(rate) and 1 <= rate <= 240 else video.USUAL_RATE
        length = 0 if text.isdecimal() else self.capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.length = int(length) if np.isfinite(length) and length > 0 else 0

    def images(self) -> Iterator[np.ndarray]:
        """H,W,3 uint8 BGR, one after the other, until ``stop`` is set. DataError where the stream stays away."""
        try:
            while not self.stop.is_set():
                read, image = self.capture.read()
                if read:
                    yield image
                elif not self._again():
                    return
        finally:
            self.capture.release()

    def _again(self) -> bool:
        """Open it anew, with longer and longer waits; False where it was stopped meanwhile."""
        self.capture.release()
        log.warning("%s broke off; reconnecting", self.name)
        self.problems.add("stream-broke-off", self.name, time.strftime("at %H:%M:%S"))
        for wait in WAITS:
            if self.stop.wait(wait):
                return False
            capture = self._open()
            if capture is not None:
                log.warning("%s is back", self.name)
                self.capture = capture
                return True
        raise DataError(f"{self.name}: broke off and did not come back")

    def _open(self) -> cv2.VideoCapture | None:
        with video.quiet():
            if not self.text.isdecimal():
                limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC]
                words = [word for limit in limits for word in (limit, TIMEOUT)]
                opened = self._opener(self.text, cv2.CAP_FFMPEG, words)
                return opened if opened.isOpened() else None
            opened = self._opener(int(self.text))
            if not opened.isOpened():
                return None
            opened.set(cv2.CAP_PROP_FRAME_WIDTH, CAMERA_SIZE[0])
            opened.set(cv2.CAP_PROP_FRAME_HEIGHT, CAMERA_SIZE[1])
            opened.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # old frames are of no use
        return opened


def _why_not(number: str) -> str:
    """Why a camera does not open, as far as the system tells."""
    device = DEVICES.format(number)
    if not sys.platform.startswith("linux"):
        return "is it there, and does no other program hold it?"
    if not os.path.exists(device):
        return f"there is no {device}"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"this user may not use {device} (its group is usually video)"
    return f"does another program hold {device}?"
