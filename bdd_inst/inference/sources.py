"""What to predict on: images, folders, videos, patterns, a camera or a stream, as one stream of named frames."""

from __future__ import annotations

import glob
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bdd_inst.base.errors import ConfigError, DataError, ProblemLog, printable
from bdd_inst.base.pipeline import Newest
from bdd_inst.images import video
from bdd_inst.images.finder import list_images
from bdd_inst.images.names import SUFFIXES
from bdd_inst.images.read import read_bgr
from bdd_inst.inference.streams import Stream, is_stream


@dataclass(slots=True, frozen=True)
class Entry:
    """One file to predict on: where it lies, what it is called in results, whether it is a video."""

    path: Path
    name: str
    is_video: bool = False


@dataclass(slots=True)
class Frame:
    """One image H,W,3 uint8 BGR. ``name`` is its path below the input folder, with ``/``; ``number`` counts from 1 over all inputs.

    Frames of a video are named as BDD100K names tracking frames: ``clip-0000001.jpg`` is the first. They say of which ``video`` they
    are, the ``rate`` at which it can be written, in frames a second, and ``until`` which second from its first frame on they are shown.
    """

    name: str
    number: int
    image: np.ndarray
    video: Entry | None = None
    rate: float = 0.0
    until: float = 0.0


@dataclass
class ImageSource:
    """Images and videos in order; ``problems`` counts what could not be read, which never ends the stream.

    Of a camera or a network stream (``stream``) only the newest frame is given whenever one is asked for, until the stream's ``stop``
    is set; the frames that pass meanwhile are counted.
    """

    entries: list[Entry]
    problems: ProblemLog = field(default_factory=ProblemLog)
    stream: Stream | None = None

    def __post_init__(self) -> None:
        stems = Counter(_stem(entry) for entry in self.entries if entry.is_video)
        self._twins = {stem for stem, times in stems.items() if times > 1}
        # A single video is opened now: what cannot be decoded should be said before a model is loaded.
        alone = len(self.entries) == 1 and self.entries[0].is_video
        self._reader = None
        if (
            self.stream is not None and self.stream.length
        ):  # a file, though it comes over the network
            self._reader = video.VideoReader(self.stream.name, self.stream.capture)
            self.stream = None
        elif alone and self.stream is None:
            self._reader = video.VideoReader(self.entries[0].path)

    @property
    def number(self) -> int | None:
        """How many frames there are, None where a video does not say."""
        if self._reader is not None:
            return self._reader.number or None
        return None if self.videos else len(self.entries)

    @property
    def reader(self) -> video.VideoReader | None:
        """Of a single video, until its frames have been asked for: how long and how fast it is."""
        return self._reader

    @property
    def images(self) -> dict[str, Path]:
        """The files of the images by their names."""
        return {entry.name: entry.path for entry in self.entries if not entry.is_video}

    @property
    def videos(self) -> list[Entry]:
        """The videos."""
        return [entry for entry in self.entries if entry.is_video]

    @property
    def live(self) -> bool:
        """Whether frames come in their own time, and without end."""
        return self.stream is not None

    def __iter__(self) -> Iterator[Frame]:
        if self.stream is not None:
            yield from self._streamed(self.stream)
            return
        number = 0
        for entry in self.entries:
            if not entry.is_video:
                # An image that cannot be read keeps its number: the others' do not depend on it.
                number += 1
                for frame in self._image(entry):
                    frame.number = number
                    yield frame
                continue
            for frame in self._frames(entry):
                number += 1
                frame.number = number
                yield frame

    def _image(self, entry: Entry) -> Iterator[Frame]:
        try:
            image = read_bgr(entry.path)
        except ConfigError:  # a limit that is no number: true of every image
            raise
        except DataError as error:
            self._unreadable("unreadable-image", entry, error)
        else:
            yield Frame(entry.name, 0, image)

    def _frames(self, entry: Entry) -> Iterator[Frame]:
        try:
            reader, self._reader = self._reader or video.VideoReader(entry.path), None
        except DataError as error:
            self._unreadable("unreadable-video", entry, error)
            return
        stem = entry.name if _stem(entry) in self._twins else _stem(entry)
        for number, (image, until) in enumerate(reader.timed(), 1):
            yield Frame(
                _frame_name(stem, number),
                number=0,
                image=image,
                video=entry,
                rate=reader.rate,
                until=until,
            )
        if reader.missing:
            self.problems.add(
                "video-breaks-off",
                entry.name,
                f"{reader.missing} of {reader.number} frames could not be decoded",
            )

    def _streamed(self, stream: Stream) -> Iterator[Frame]:
        """Frames as they come. Each ends where the next begins, so one is held back until that is known."""

        def stamped() -> Iterator[tuple[float, np.ndarray]]:
            for image in stream.images():
                yield time.perf_counter(), image

        newest = Newest(stamped(), stream.stop)
        number, begun, held = 0, 0.0, None
        try:
            for number, (at, image) in enumerate(newest, 1):
                begun = begun or at
                if held is not None:
                    held.until = at - begun
                    yield held
                name = _frame_name(stream.stem, number)
                until = at - begun + 1 / stream.rate
                held = Frame(
                    name,
                    number=number,
                    image=image,
                    video=self.entries[0],
                    rate=stream.rate,
                    until=until,
                )
        except DataError as error:  # what came before is worth keeping
            self.problems.add("stream-ended", stream.name, str(error).partition(": ")[2])
        if held is not None:
            yield held
        if newest.dropped:
            message = "came while the model was busy; they are not predicted on"
            self.problems.add("frames-passed-over", stream.name, message, count=newest.dropped)

    def _unreadable(self, code: str, entry: Entry, error: DataError) -> None:
        name = printable(entry.path)
        self.problems.add(code, printable(entry.name), str(error).removeprefix(f"{name}: "))


def open_source(
    *inputs: str | os.PathLike,
    stop: threading.Event | None = None,
    capture: Callable | None = None,
) -> ImageSource:
    """Look at what the inputs are: files, folders (searched with their subfolders, in the order of names), patterns like ``day*/*.jpg``;
    or one camera (its number) or address (``rtsp://``, ``http://`` and the like). A folder called ``0`` is ``./0``.

    With one input names are relative to its folder, with several to the folder that they have in common; a file comes once.

    Args:
        inputs: paths, patterns, or one camera or address.
        stop: when set, a camera or stream ends at its next frame.
        capture: opens cameras and streams, ``cv2.VideoCapture`` or a double of it.

    Returns:
        an iterable of frames: names, images H,W,3 uint8 BGR, and the time of those of videos.

    Raises:
        DataError: nothing there, or nothing that is an image or a video.
    """
    live = [text for text in map(os.fspath, inputs) if is_stream(text)]
    if live and len(inputs) > 1:
        raise DataError(f"{live[0]}: a camera or an address is an input of its own; name it alone")
    if live:
        stream = Stream(live[0], stop or threading.Event(), capture)
        return ImageSource([Entry(Path(stream.stem), stream.stem, True)], stream.problems, stream)
    found: dict[Path, bool] = {}
    roots = []
    for given in inputs:
        for path in _expanded(given):
            roots.append(path if path.is_dir() else path.parent)
            for file in find_files(path) if path.is_dir() else [path]:
                found.setdefault(file, file.suffix.lower() in video.SUFFIXES)
    root = roots[0]
    if len(roots) > 1:
        try:
            root = Path(os.path.commonpath([os.path.abspath(r) for r in roots]))
        except ValueError:  # on several drives
            root = Path(os.sep)
    entries = []
    for path, is_video in found.items():
        name = os.path.relpath(path, root).replace(os.sep, "/")
        entries.append(Entry(path, name, is_video))
    return ImageSource(entries)


def _expanded(given: str | os.PathLike) -> list[Path]:
    """The files and folders that one input names."""
    path = Path(given)
    try:
        if path.is_dir() or path.is_file():
            return [path]
    except (OSError, ValueError):  # a name that no file can have
        pass
    text = os.fspath(given)
    matched = sorted(map(Path, glob.glob(text, recursive=True))) if glob.has_magic(text) else []
    if not matched:
        what = "nothing matches this pattern" if glob.has_magic(text) else "no such file or folder"
        raise DataError(f"{printable(given)}: {what}")
    return matched


def find_files(folder: str | os.PathLike) -> list[Path]:
    """Every image and video below ``folder`` by its suffix, sorted; hidden files and folders are left out.

    Raises:
        DataError: there is none.
    """
    suffixes = (*SUFFIXES, *sorted(video.SUFFIXES))
    found = sorted(map(Path, list_images(folder, suffixes).values()))
    if not found:
        raise DataError(
            f"{printable(folder)}: no images or videos in this folder or below ({', '.join(suffixes)})"
        )
    return found


def _frame_name(stem: str, number: int) -> str:
    return f"{stem}-{number:07d}.jpg"


def _stem(entry: Entry) -> str:
    return entry.name.rpartition(".")[0] or entry.name
