"""Videos as streams of frames: read one at a time, written beside their place and then moved into it."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.base.output_paths import OutputPaths

os.environ.setdefault(
    "OPENCV_FFMPEG_LOGLEVEL", "-8"
)  # the decoder's own complaints: what is wrong is said in our line

log = logging.getLogger(__name__)

SUFFIXES = frozenset(
    {
        ".mp4",
        ".mov",
        ".avi",
        ".mkv",
        ".webm",
        ".m4v",
        ".mpg",
        ".mpeg",
        ".wmv",
        ".ts",
        ".flv",
        ".3gp",
    }
)
USUAL_RATE = 30.0


class VideoReader:
    """Frames H,W,3 uint8 BGR of a file. Attributes: ``rate`` frames a second; ``number`` of frames as the header says (0: unknown)."""

    def __init__(self, path: str | os.PathLike):
        """Raises DataError where the file cannot be decoded."""
        self.path = Path(path)
        with quiet():
            self.capture = cv2.VideoCapture(str(path))
        if not self.capture.isOpened():
            raise DataError(
                f"{path}: not a video that OpenCV can decode; convert it, e.g. to H.264 in mp4"
            )
        rate = self.capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if np.isfinite(rate) and 0 < rate <= 1000 else USUAL_RATE
        self.number = max(0, int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __iter__(self) -> Iterator[np.ndarray]:
        try:
            while True:
                read, frame = self.capture.read()
                if not read:
                    return
                yield frame
        finally:
            self.capture.release()


class VideoWriter:
    """Frames into an mp4; the file appears whole when the block ends without error, and not at all otherwise.

    An interruption (Ctrl-C, SIGTERM) leaves what there is as ``NAME.partial.mp4``, and says so.
    """

    def __init__(self, path: str | os.PathLike, rate: float):
        self.path, self.rate = Path(path), rate
        self.writer: cv2.VideoWriter | None = None
        self.size: tuple[int, int] | None = None

    def __enter__(self) -> VideoWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, self.temporary = tempfile.mkstemp(
            prefix=f".{self.path.stem[:40]}.", suffix=".mp4", dir=self.path.parent
        )
        os.close(handle)
        return self

    def add(self, frame: np.ndarray) -> None:
        """One frame H,W,3 uint8 BGR; the first one sets the size, odd sides lose a line (the codec wants even ones)."""
        if self.writer is None:
            self.size = max(2, frame.shape[1] // 2 * 2), max(2, frame.shape[0] // 2 * 2)
            self.writer = cv2.VideoWriter(
                self.temporary, cv2.VideoWriter_fourcc(*"mp4v"), self.rate, self.size
            )
            if not self.writer.isOpened():
                raise DataError(
                    f"{self.path}: this OpenCV cannot write mp4; install opencv-python-headless from PyPI"
                )
        width, height = self.size
        if frame.shape[0] < height or frame.shape[1] < width:
            frame = cv2.copyMakeBorder(
                frame,
                0,
                max(0, height - frame.shape[0]),
                0,
                max(0, width - frame.shape[1]),
                cv2.BORDER_CONSTANT,
            )
        self.writer.write(np.ascontiguousarray(frame[:height, :width]))

    def __exit__(self, kind: type | None, *_: object) -> None:
        if self.writer is not None:
            self.writer.release()
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        if self.writer is not None and (kind is None or interrupted):
            target = self.path.with_suffix(".partial.mp4") if interrupted else self.path
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(self.temporary, 0o666 & ~umask)
            os.replace(self.temporary, target)
            if interrupted:
                log.warning("%s holds the frames of before the interruption", target)
        else:
            with contextlib.suppress(OSError):
                os.unlink(self.temporary)


def drawn_videos(folder: str | os.PathLike) -> OutputPaths:
    """Where drawn videos go, by the names of their sources."""
    return OutputPaths(folder, ".mp4")


class VideoWriters:
    """Frames of several videos, one after the other, each into its own mp4 below ``folder``; one file is open at a time."""

    def __init__(self, folder: str | os.PathLike):
        self.places = drawn_videos(folder)
        self.name: str | None = None
        self.writer: VideoWriter | None = None

    def __enter__(self) -> VideoWriters:
        return self

    def add(self, name: str, rate: float, frame: np.ndarray) -> None:
        """One frame H,W,3 uint8 BGR of the video called ``name``; another name ends the one before."""
        if name != self.name:
            self.__exit__(None)
            self.writer, self.name = VideoWriter(self.places(name), rate).__enter__(), name
        self.writer.add(frame)

    def __exit__(self, kind: type | None, *more: object) -> None:
        writer, self.writer = self.writer, None
        if writer is not None:
            writer.__exit__(kind, *more)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """OpenCV's own warnings off: what is wrong is said in our line."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
