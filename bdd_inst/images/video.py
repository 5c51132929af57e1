"""Videos as streams of frames: read one at a time, written beside their place and then moved into it."""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.base.files import hidden_name, naming, set_usual_mode
from bdd_inst.base.output_paths import OutputPaths
from bdd_inst.base.regular_files import open_regular
from bdd_inst.images.names import as_text
from bdd_inst.images.video_timing import (
    LONGEST_GAP,
    USUAL_RATE,
    FrameClock,
    constant_rate,
    usable_rate,
)

os.environ.setdefault(
    "OPENCV_FFMPEG_LOGLEVEL", "-8"
)  # the decoder's own complaints: our line says what is wrong

__all__ = ["SUFFIXES", "USUAL_RATE", "VideoReader", "VideoWriter", "VideoWriters", "drawn_videos"]

log = logging.getLogger(__name__)
SILENT = 0  # OpenCV's level of a log that says nothing

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
LISTS = (b"ffconcat", b"#EXTM3U")  # how files begin that have FFmpeg open others
PROBED = 120  # frames from whose time stamps a file's rate is measured


class VideoReader:
    """Frames H,W,3 uint8 BGR of a file or of a video that is fetched as it plays.

    Attributes:
        number: of frames as the header says (0: unknown; of an uneven video in some containers more than there are).
        missing: frames that could not be decoded, known at the end.
    """

    def __init__(self, path: str | os.PathLike, capture: cv2.VideoCapture | None = None):
        """
        Args:
            path: the file.
            capture: it opened already, where it is no file.

        Raises:
            DataError: it cannot be decoded.
        """
        self.path, self._is_file = Path(path), capture is None
        self.capture = open_file(path) if capture is None else capture
        if not self.capture.isOpened():
            raise DataError(
                f"{path}: not a video that OpenCV can decode; convert it, e.g. to H.264 in mp4"
            )
        self.stated = usable_rate(self.capture.get(cv2.CAP_PROP_FPS))
        self.number = max(0, int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.missing = 0

    @functools.cached_property
    def rate(self) -> float:
        """Frames a second at which the video can be written with each frame at its time; measured on the first PROBED."""
        if not self._is_file:
            return self.stated
        probe = open_file(self.path)
        clock, times = FrameClock(self.stated), []
        while len(times) < PROBED and probe.grab():
            times.append(clock(probe.get(cv2.CAP_PROP_POS_MSEC) / 1000))
        probe.release()
        return constant_rate(times, self.stated)

    def __iter__(self) -> Iterator[np.ndarray]:
        for frame, _ in self.timed():
            yield frame

    def timed(self) -> Iterator[tuple[np.ndarray, float]]:
        """Each frame, H,W,3 uint8 BGR, and when it ends, in seconds from the first one: where the next begins, or the video is over."""
        clock, rate = FrameClock(self.stated), self.stated
        number, held, begins = 0, None, 0.0
        try:
            while True:
                read, frame = self.capture.read()
                if not read:
                    break
                number += 1
                begins = clock(self.capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
                if held is not None:
                    yield held, begins
                held = frame
            # A header rounds, and where gaps are uneven it may count time and not frames: both must say that the end is missing.
            length, ends = self.number / rate, begins + max(clock.longest, 1 / rate)
            short = length - ends > max(2 / rate, 0.02 * length)
            missing = self.number - number
            self.missing = missing if short and missing > max(2, 0.02 * self.number) else 0
            if held is not None:
                known = begins < length <= begins + LONGEST_GAP and not self.missing
                yield held, length if known else begins + 1 / self.rate
        finally:
            self.capture.release()


def open_file(path: str | os.PathLike) -> cv2.VideoCapture:
    """A video file for reading.

    Args:
        path: of the file.

    Returns:
        The decoder, open or not: of what is no video it is not.

    Raises:
        DataError: missing, no regular file, or a list of files.
    """
    with open_regular(path) as stream:
        if stream.read(len(LISTS[0])).startswith(LISTS):
            raise DataError(f"{path}: a list of other files, not a video; name the videos")
    name = os.fspath(path)
    with quiet(), contextlib.ExitStack() as stack:
        if as_text(name) != name:  # OpenCV ends the whole program at a name that is no UTF-8
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            link = os.path.join(folder, f"video{as_text(os.path.splitext(name)[1])}")
            os.symlink(os.path.abspath(name), link)
            name = link
        return cv2.VideoCapture(name)


class VideoWriter:
    """Frames into an mp4; the file appears whole when the block ends without error, and not at all otherwise.

    An interruption (Ctrl-C, SIGTERM) leaves what there is as ``NAME.partial.mp4``, and says so. A full disk, which OpenCV keeps to
    itself, is an OSError that names the file.
    """

    def __init__(self, path: str | os.PathLike, rate: float):
        self.path, self.rate = Path(path), rate
        self.writer: cv2.VideoWriter | None = None
        self.size: tuple[int, int] | None = None
        self.written = self.left_out = 0

    def __enter__(self) -> VideoWriter:
        with naming(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, self.temporary = tempfile.mkstemp(
                prefix=hidden_name(self.path), suffix=".mp4", dir=self.path.parent
            )
        os.close(handle)
        return self

    def add(self, frame: np.ndarray, until: float | None = None) -> None:
        """One frame H,W,3 uint8 BGR; the first one sets the size, odd sides lose a line (the codec wants even ones).

        Args:
            until: the second at which the frame ends. It is repeated until the video is that long, and left out (and counted in
                ``left_out``) where the video is so already; without, it is written once.
        """
        times = 1 if until is None else round(until * self.rate) - self.written
        if times < 1 and self.written:
            self.left_out += 1
            return
        if self.writer is None:
            self.size = max(2, frame.shape[1] // 2 * 2), max(2, frame.shape[0] // 2 * 2)
            self.writer = cv2.VideoWriter(
                self.temporary, cv2.VideoWriter_fourcc(*"mp4v"), self.rate, self.size
            )
            if not self.writer.isOpened():
                raise DataError(
                    f"{self.path}: this OpenCV cannot write mp4; install opencv-python-headless from PyPI"
                )
        frame = self._fitted(frame)
        with quiet():
            for _ in range(max(1, times)):
                self.writer.write(frame)
                self.written += 1
        if not has_free_space(self.path.parent):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def _fitted(self, frame: np.ndarray) -> np.ndarray:
        """Cut or padded to the video's size."""
        width, height = self.size
        below, right = max(0, height - frame.shape[0]), max(0, width - frame.shape[1])
        if below or right:
            frame = cv2.copyMakeBorder(frame, 0, below, 0, right, cv2.BORDER_CONSTANT)
        return np.ascontiguousarray(frame[:height, :width])

    def __exit__(self, kind: type | None, *_: object) -> None:
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        try:
            if self.writer is not None:
                with quiet():
                    self.writer.release()
            if self.writer is not None and (kind is None or interrupted):
                target = self.path.with_suffix(".partial.mp4") if interrupted else self.path
                self._publish(target)
                if interrupted:
                    log.warning("%s holds the frames of before the interruption", target)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(self.temporary)

    def _publish(self, target: Path) -> None:
        """The finished file under its name."""
        with quiet():
            found = cv2.VideoCapture(self.temporary)
            whole = found.isOpened() and found.get(cv2.CAP_PROP_FRAME_COUNT) >= self.written
            found.release()
        if not whole:
            raise OSError(
                errno.EIO, "not all frames could be written; is the disk full?", str(target)
            )
        set_usual_mode(self.temporary)
        os.replace(self.temporary, target)
        if self.left_out:
            log.warning(
                "%s: %d frames that lay closer together than %.3g s are left out",
                target,
                self.left_out,
                1 / self.rate,
            )


def has_free_space(folder: str | os.PathLike) -> bool:
    """Whether the disk of ``folder`` has space left for this user."""
    if not hasattr(os, "statvfs"):
        return shutil.disk_usage(folder).free > 0
    found = os.statvfs(folder)
    free = found.f_bfree if os.geteuid() == 0 else found.f_bavail
    return free > 0 or not found.f_blocks  # some file systems do not count


def drawn_videos(folder: str | os.PathLike) -> OutputPaths:
    """Where drawn videos go, by the names of their sources.

    Args:
        folder: of the results.

    Returns:
        Name of a video -> path of the drawn one, ``.mp4``.
    """
    return OutputPaths(folder, ".mp4")


class VideoWriters:
    """Frames of several videos, one after the other, each into its own mp4 below ``folder``; one file is open at a time."""

    def __init__(self, folder: str | os.PathLike):
        self.places = drawn_videos(folder)
        self.name: str | None = None
        self.writer: VideoWriter | None = None

    def __enter__(self) -> VideoWriters:
        return self

    def add(self, name: str, rate: float, frame: np.ndarray, until: float | None = None) -> None:
        """One frame H,W,3 uint8 BGR of the video called ``name``, which ends at second ``until``; another name ends the one before."""
        if name != self.name:
            self.__exit__(None)
            self.writer, self.name = VideoWriter(self.places(name), rate).__enter__(), name
        self.writer.add(frame, until)

    def __exit__(self, kind: type | None, *more: object) -> None:
        writer, self.writer = self.writer, None
        if writer is not None:
            writer.__exit__(kind, *more)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """OpenCV's own warnings off: our line says what is wrong."""
    logs = getattr(cv2.utils, "logging", cv2)  # where OpenCV 5 has them, and where 4 has
    level = logs.getLogLevel()
    logs.setLogLevel(SILENT)
    try:
        yield
    finally:
        logs.setLogLevel(level)
