"""Where frames go: a video file, images, PNG with alpha, a window, a virtual camera."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.base.locks import FolderLock
from bdd_inst.base.output_paths import OutputPaths
from bdd_inst.images.names import SUFFIXES, WRITTEN
from bdd_inst.images.video import VideoWriter
from bdd_inst.inference.sources import Frame
from bdd_inst.live.sources import Source
from bdd_inst.report.album import image_paths, save_image

TITLE = "bdd-inst live (q ends)"
AUDIO_LIMIT = 600  # seconds that adding the sound may take
LONGEST_STILL = 5  # seconds of video that one frame of a live source may fill

logger = logging.getLogger(__name__)


class Closed(Exception):
    """The one who watches has closed the sink: the run ends well."""


class Sink(Protocol):
    """Takes finished frames in order; used as a context, which finishes the file."""

    alpha: bool  # whether it takes H,W,4 BGRA

    def __enter__(self) -> Sink: ...

    def __exit__(self, kind: type | None, *rest: object) -> None: ...

    def show(self, frame: Frame, image: np.ndarray) -> None:
        """One finished image H,W,3 (or 4) uint8 for ``frame``. Raises Closed when it is to end."""


class VideoFile:
    """An mp4 at the input's rate; whole also when the run was interrupted, with the input's sound where ffmpeg is installed."""

    alpha = False

    def __init__(self, path: str | os.PathLike, source: Source):
        self.path, self.source = Path(path), source
        if self.path.suffix.lower() != ".mp4":
            raise DataError(f"{path}: videos are written as mp4; name a file that ends in .mp4")
        if source.file is not None and self.path.exists() and self.path.samefile(source.file):
            raise DataError(f"{path}: is the input; name another output")
        self.writer = VideoWriter(self.path, source.rate)
        self.problems, self.number = ProblemLog(), 0
        self.size: tuple[int, ...] | None = None
        self.begun = 0.0  # when the first frame of a live source came

    def __enter__(self) -> VideoFile:
        self.writer.__enter__()
        return self

    def __exit__(self, kind: type | None, *rest: object) -> None:
        kept = kind is None or issubclass(kind, (KeyboardInterrupt, Closed, DataError))
        # What was written before bad data or an interruption is worth keeping.
        self.writer.__exit__(None if kept else kind, *rest)
        if kept and self.number and self.source.file is not None:
            add_sound(self.path, self.source.file)

    def show(self, frame: Frame, image: np.ndarray) -> None:
        """Write H,W,3 uint8 BGR. Frames of another size than the first are fitted into it, with black bars, and counted."""
        size = image.shape[:2]
        self.size = self.size or size
        if size != self.size:
            self.problems.add(
                "size-changed",
                frame.name,
                f"{size[1]}x{size[0]} is fitted into the video's {self.size[1]}x{self.size[0]}",
            )
            image = letterbox(image, self.size)
        self.writer.add(image, self._until(frame))
        self.number = self.writer.written

    def _until(self, frame: Frame) -> float | None:
        """The second up to which the frame is repeated: its own end, or, of a live source, what the clock says."""
        if not self.source.live:
            return frame.until or None
        now = time.perf_counter()
        self.begun = self.begun or now
        longest = self.number / self.source.rate + LONGEST_STILL
        return min(now - self.begun + 0.5 / self.source.rate, longest)


class Images:
    """One image a frame, with alpha as PNG: a single file, or below a folder under the input's names."""

    def __init__(self, path: str | os.PathLike, source: Source, alpha: bool):
        """``path``: a file that ends in .png or .jpg, for an input of one image; otherwise a folder."""
        self.path, self.source, self.alpha = Path(path), source, alpha
        self.problems, self.number = ProblemLog(), 0
        self._open = contextlib.ExitStack()
        self.single = self.path.suffix.lower() in SUFFIXES and not self.path.is_dir()
        self.places = OutputPaths(path, ".png") if alpha else image_paths(path)
        if self.single and source.number != 1:
            raise DataError(f"{path}: the input is more than one image; name a folder")
        if self.single and alpha and self.path.suffix.lower() != ".png":
            raise DataError(f"{path}: alpha needs PNG; name a file that ends in .png")
        if self.single and self.path.suffix.lower() not in WRITTEN:
            raise DataError(f"{path}: images are written as .png or .jpg")

    def __enter__(self) -> Images:
        if not self.single:  # the frames of two runs in one folder would mix
            self._open.enter_context(FolderLock(self.path))
        return self

    def __exit__(self, kind: type | None, *rest: object) -> None:
        self._open.close()

    def show(self, frame: Frame, image: np.ndarray) -> None:
        """Encode and write H,W,3 uint8 BGR. The input itself is never written over."""
        path = self.target(frame)
        if self.source.file is not None and path.exists() and path.samefile(self.source.file):
            raise DataError(f"{path}: is the input; name another output")
        save_image(path, image)
        self.number += 1

    def target(self, frame: Frame) -> Path:
        """The file itself; else ``DIR/a/b.png`` for ``a/b.jpg``, and ``DIR/x-0000001.png`` for a frame of ``x.mp4``."""
        if self.single:
            return self.path
        moving = self.source.moving
        return self.places(f"{self.source.stem}-{frame.number:07d}.png" if moving else frame.name)


class Window:
    """A window on the screen; ``q``, Escape or its cross ends the run."""

    alpha = False

    def __enter__(self) -> Window:
        try:
            cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL)
        except cv2.error:
            raise DataError(
                "no window can be opened: this OpenCV is built without, or there is no display"
            ) from None
        return self

    def __exit__(self, kind: type | None, *rest: object) -> None:
        with contextlib.suppress(cv2.error):
            cv2.destroyWindow(TITLE)

    def show(self, frame: Frame, image: np.ndarray) -> None:
        """Show H,W,3 uint8 BGR."""
        cv2.imshow(TITLE, image)
        if cv2.waitKey(1) & 0xFF in (ord("q"), 27) or not cv2.getWindowProperty(
            TITLE, cv2.WND_PROP_VISIBLE
        ):
            raise Closed


class VirtualCamera:
    """A camera that other programs can choose (package pyvirtualcam and its driver)."""

    alpha = False

    def __init__(self, rate: float):
        self.rate, self.camera = rate, None
        self.size: tuple[int, ...] | None = None
        try:
            import pyvirtualcam
        except ImportError:
            raise DataError(
                "a virtual camera needs the package pyvirtualcam: pip install pyvirtualcam"
            ) from None
        self.module = pyvirtualcam

    def __enter__(self) -> VirtualCamera:
        return self

    def __exit__(self, kind: type | None, *rest: object) -> None:
        if self.camera is not None:
            self.camera.close()

    def show(self, frame: Frame, image: np.ndarray) -> None:
        """Send H,W,3 uint8 BGR; the first frame sets the size."""
        if self.camera is None:
            self.size = image.shape[:2]
            try:
                self.camera = self.module.Camera(
                    self.size[1], self.size[0], self.rate, fmt=self.module.PixelFormat.BGR
                )
            except RuntimeError as error:
                raise DataError(f"no virtual camera: {str(error).splitlines()[0]}") from None
        self.camera.send(image if image.shape[:2] == self.size else letterbox(image, self.size))


def has_window() -> bool:
    """Whether this OpenCV can open windows and there is a display."""
    info = cv2.getBuildInformation()
    gui = next((line.split(":", 1)[1].strip() for line in info.splitlines() if " GUI:" in line), "")
    display = os.name == "nt" or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    return gui not in ("", "NONE") and (display or "COCOA" in gui)


def letterbox(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """``image`` H,W,3 uint8 in its own proportions inside ``size`` (height, width), black around it."""
    factor = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = (max(1, round(v * factor)) for v in image.shape[:2])
    out = np.zeros((size[0], size[1], 3), np.uint8)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    out[top : top + height, left : left + width] = cv2.resize(image, (width, height))
    return out


def add_sound(path: Path, origin: Path) -> bool:
    """Copy the sound of ``origin`` into the video ``path``; whether that was done. Without ffmpeg the video stays silent."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        logger.warning("%s has no sound: ffmpeg is not installed", path)
        return False
    handle, temporary = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=".mp4", dir=path.parent)
    os.close(handle)
    command = [
        ffmpeg,
        "-nostdin",
        "-loglevel",
        "error",
        "-y",
        "-i",
        f"file:{path}",
        "-i",
        f"file:{origin}",
    ]
    command += ["-map", "0:v:0", "-map", "1:a:0", "-c:v", "copy", "-shortest"]
    try:
        for codec in ("copy", "aac"):  # copied as it is where mp4 can hold it
            done = subprocess.run(
                [*command, "-c:a", codec, f"file:{temporary}"],
                capture_output=True,
                timeout=AUDIO_LIMIT,
                check=False,
            )
            if done.returncode == 0:
                shutil.copymode(path, temporary)
                os.replace(temporary, path)
                return True
            if b"matches no streams" in done.stderr:  # the input is silent itself
                return False
        logger.warning("%s has no sound: ffmpeg could not add it", path)
        return False
    except (OSError, subprocess.TimeoutExpired):
        logger.warning("%s has no sound: ffmpeg did not end well", path)
        return False
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
