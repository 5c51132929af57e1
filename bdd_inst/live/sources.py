"""Where frames come from: a camera, a stream, a video, a folder, an image; and files at their own pace, to be watched."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from bdd_inst.base.errors import ProblemLog
from bdd_inst.images import video
from bdd_inst.inference import sources as files
from bdd_inst.inference.sources import Frame
from bdd_inst.inference.streams import CAMERA_SIZE, Stream

__all__ = ["CAMERA_SIZE", "Frame", "Source", "open_source", "paced"]

NUMBER = re.compile(r"(.*?)(\d+)")
SEQUENCE = 8  # images, at least, that make a video


@dataclass
class Source:
    """A stream of frames with what a sink must know about it.

    Attributes:
        name: what the user called it.
        stem: what files made of it are called.
        frames: gives an iterator of Frames.
        live: frames come in their own time; the newest counts.
        moving: a video, a camera or a stream; False for images.
        consecutive: one frame shows what the one before showed, a moment later, so masks may be carried along.
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
    consecutive: bool = True
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
        text: a camera's number, an RTSP or HTTP URL, or the path of a video, an image or a folder of images.
        stop: when set, a live source ends at its next frame.
        capture: opens cameras and streams, ``cv2.VideoCapture`` or a double of it.

    Returns:
        Its frames, H,W,3 uint8 BGR each, with names or times, and whether it is live.

    Raises:
        DataError: no such camera, stream, file or folder, or nothing in it that can be read.
    """
    path = Path(text)
    if path.suffix.lower() == ".gif" and path.is_file():
        reader = video.VideoReader(path)
        if reader.number > 1:
            return _of_video(files.ImageSource([files.Entry(path, path.name, True)]), text)
    found = files.open_source(text, stop=stop, capture=capture)
    if found.stream is not None:
        return _of_stream(found.stream, text)
    if found.reader is not None:
        return _of_video(found, text)
    stem = Path(os.path.realpath(path)).name if path.is_dir() else path.stem
    return Source(
        text, stem, found.__iter__, moving=False,
        consecutive=numbered([entry.name for entry in found.entries]), number=found.number,
        file=None if path.is_dir() else path, problems=found.problems,
    )  # fmt: skip


def numbered(names: Sequence[str]) -> bool:
    """Whether names of images count up one by one, as frames of a video do: ``00000.jpg``, ``00001.jpg``, ..."""
    parts = [NUMBER.fullmatch(PurePosixPath(name).stem) for name in names]
    if len(parts) < SEQUENCE or not all(parts):
        return False
    first = int(parts[0][2])
    folders = {
        (PurePosixPath(name).parent, part[1]) for name, part in zip(names, parts, strict=True)
    }
    return len(folders) == 1 and [int(part[2]) for part in parts] == list(
        range(first, first + len(parts))
    )


def _of_stream(stream: Stream, text: str) -> Source:
    def frames() -> Iterator[Frame]:
        for number, image in enumerate(stream.images(), 1):
            yield Frame(f"{number:07d}.jpg", number, image)

    name = text if text.isdecimal() else stream.name
    return Source(name, stream.stem, frames, live=True, rate=stream.rate, problems=stream.problems)


def _of_video(found: files.ImageSource, text: str) -> Source:
    entry, file = found.entries[0], Path(text) if os.path.isfile(text) else None
    return Source(
        text if file else entry.name, Path(entry.name).stem, found.__iter__, rate=found.reader.rate,
        number=found.number, file=file, problems=found.problems,
    )  # fmt: skip


def paced(source: Source, stop: threading.Event, again: bool = False) -> Source:
    """``source`` to be watched: a file's frames come at its own rate, as a camera's do, and what is late is left out.

    Args:
        source: a live one is returned as it is.
        stop: ends the frames.
        again: start over at the end, until ``stop``.

    Returns:
        A live source of the same frames.
    """
    if source.live:
        return source

    def frames() -> Iterator[Frame]:
        due = time.perf_counter()
        while not stop.is_set():
            until = 0.0
            for frame in source.frames():
                if stop.wait(max(0.0, due - time.perf_counter())):
                    return
                yield frame
                ends = frame.until or until + 1 / source.rate
                due, until = due + ends - until, ends
            if not again or not until:
                return

    return replace(source, frames=frames, live=True)
