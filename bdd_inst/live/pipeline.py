"""Capture, model and drawing at once, in threads: the newest frame wins where frames are live, none is lost in files."""

from __future__ import annotations

import functools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from bdd_inst.drawing.colors import INK
from bdd_inst.drawing.text import paste, tag
from bdd_inst.inference.sources import Frame
from bdd_inst.live.backgrounds import Background, Blur
from bdd_inst.live.compositing import Scratch, composite, cut_out, sharpen, upsample
from bdd_inst.live.pyramid import Pyramid
from bdd_inst.live.segmenter import Segmenter
from bdd_inst.live.sinks import Closed, Sink
from bdd_inst.live.smoothing import MaskSmoother
from bdd_inst.live.sources import Source
from bdd_inst.live.tidying import tidy

AHEAD = 2  # frames of a file that wait between two stages
RECENT = 60  # frames over which speed is told
METER_SIZE = 20  # pixels of its letters
NOBODY = 1e-3  # of the image: less person than this is none
_END = object()


@dataclass
class Settings:
    """What may change while it runs; read anew for each frame.

    Attributes:
        background: None leaves the person alone (with alpha where the sink takes it, on black elsewhere).
        threshold: probability that becomes alpha 0.5.
        view: ``image``, or ``mask`` to see alpha itself.
        meter: whether speed and latency are written into the image.
        smooth: whether masks of consecutive frames are steadied.
    """

    background: Background | None = field(default_factory=Blur)
    threshold: float = 0.5
    view: str = "picture"
    meter: bool = False
    smooth: bool = True


class Meter:
    """Speed of a run, and in how many frames nobody was (``nobody``: in the last one). All times in seconds."""

    def __init__(self):
        self.frames = self.dropped = self.empty = 0
        self.nobody = False
        self._ends: deque[float] = deque(maxlen=RECENT)
        self._latency: deque[float] = deque(maxlen=RECENT)
        self.stages: dict[str, deque[float]] = {}

    def stage(self, name: str, seconds: float) -> None:
        """One frame's time in a stage."""
        self.stages.setdefault(name, deque(maxlen=RECENT)).append(seconds)

    def done(self, captured: float) -> None:
        """A frame that was captured at ``captured`` (perf_counter) has been shown."""
        now = time.perf_counter()
        self.frames += 1
        self._ends.append(now)
        self._latency.append(now - captured)

    @property
    def fps(self) -> float:
        """Frames a second lately."""
        span = self._ends[-1] - self._ends[0] if len(self._ends) > 1 else 0
        return (len(self._ends) - 1) / span if span > 0 else 0.0

    @property
    def latency(self) -> float:
        """Median time from capture to the sink lately."""
        return float(np.median(self._latency)) if self._latency else 0.0

    def line(self) -> str:
        """One line for people."""
        text = f"{self.fps:.1f} fps, {1e3 * self.latency:.0f} ms behind"
        return text + (f", {self.dropped} frames dropped" if self.dropped else "")


class Slot:
    """Hands items from one thread to the next. ``newest``: one place, where a new item replaces one not taken yet."""

    def __init__(self, newest: bool, stop: threading.Event):
        self._queue: queue.Queue = queue.Queue(1 if newest else AHEAD)
        self.newest, self.stop, self.replaced = newest, stop, 0

    def put(self, item: object) -> bool:
        """Whether it was taken in; False where the run stops."""
        while not self.stop.is_set():
            try:
                self._queue.put(item, timeout=0 if self.newest and item is not _END else 0.1)
                return True
            except queue.Full:
                if self.newest and item is not _END:
                    try:
                        self._queue.get_nowait()
                        self.replaced += 1
                    except queue.Empty:
                        continue
        return False

    def __iter__(self) -> Iterator:
        while not self.stop.is_set():
            try:
                item = self._queue.get(timeout=0.1)
            except queue.Empty:
                continue
            if item is _END:
                return
            yield item


def run(
    source: Source,
    segmenter: Segmenter,
    sink: Sink,
    settings: Settings,
    meter: Meter | None = None,
    stop: threading.Event | None = None,
) -> Meter:
    """Every frame of ``source`` through the model, in front of the background, into ``sink``.

    Capture and model each have a thread, drawing and the sink the caller's (windows want the main one). At most one
    frame waits between stages of a live source, so what is shown is at most about three frames' work old.

    Args:
        source, segmenter, sink: the three ends.
        settings: may be changed by others meanwhile.
        meter: told of every frame.
        stop: ends the run when set; set when it returns.

    Returns:
        The meter: frames, rate, delay.

    Raises:
        DataError: the source or the sink fails.
        KeyboardInterrupt: the user stops it. Whatever is raised, the sink is closed first.
    """
    meter, stop = meter or Meter(), stop or threading.Event()
    captured, masked = Slot(source.live, stop), Slot(source.live, stop)
    errors: list[BaseException] = []

    threads, scratch = [], Scratch()
    try:
        with sink:
            threads.append(_start(lambda: _capture(source, captured, meter), captured, errors))
            finding = functools.partial(
                _find,
                source,
                captured,
                segmenter=segmenter,
                settings=settings,
                out=masked,
                meter=meter,
            )
            threads.append(_start(finding, masked, errors))
            for masked_frame in masked:
                _draw(masked_frame, sink, settings, meter=meter, scratch=scratch)
                meter.dropped = captured.replaced + masked.replaced
            if errors:
                raise errors[0]
    except Closed:
        pass
    finally:
        stop.set()
        for started in threads:
            started.join(timeout=5)
    return meter


def _start(work: Callable[[], None], out: Slot, errors: list[BaseException]) -> threading.Thread:
    """A thread that does the work; what it raises is kept, and the next stage is told of its end either way."""

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
        out.put(_END)

    started = threading.Thread(target=guarded, daemon=True)
    started.start()
    return started


def _capture(source: Source, out: Slot, meter: Meter) -> None:
    before = time.perf_counter()
    for frame in source:
        now = time.perf_counter()
        meter.stage("capture", now - before)
        if not out.put((frame, now)):
            return
        before = time.perf_counter()


def _find(
    source: Source, frames: Slot, segmenter: Segmenter, settings: Settings, out: Slot, meter: Meter
) -> None:
    smoother = MaskSmoother()
    for frame, at in frames:
        start = time.perf_counter()
        pyramid = Pyramid(frame.image)
        mask = segmenter(pyramid)
        found = time.perf_counter()
        meter.stage("model", found - start)
        if source.consecutive and settings.smooth:
            mask = smoother(mask, pyramid)
            meter.stage("smooth", time.perf_counter() - found)
        if not out.put((frame, pyramid, mask, at)):
            return


def _draw(
    masked_frame: tuple[Frame, Pyramid, np.ndarray, float],
    sink: Sink,
    settings: Settings,
    meter: Meter,
    scratch: Scratch,
) -> None:
    frame, pyramid, mask, at = masked_frame
    start = time.perf_counter()
    small = tidy(sharpen(mask, settings.threshold))
    alpha = upsample(small, pyramid, scratch)
    image = render(pyramid, alpha, sink.alpha, settings)
    if settings.meter and image.shape[2] == 3:
        image = write_meter(image, meter.line())
    drawn = time.perf_counter()
    meter.stage("draw", drawn - start)
    meter.nobody = float(small.mean()) < NOBODY
    meter.empty += meter.nobody
    sink.show(frame, image)
    meter.stage("sink", time.perf_counter() - drawn)
    meter.done(at)


def render(
    image: np.ndarray | Pyramid, alpha: np.ndarray, keeps_alpha: bool, settings: Settings
) -> np.ndarray:
    """The finished image, H,W,3 uint8 BGR, or H,W,4 where there is no background and the sink keeps alpha."""
    background, frame = settings.background, Pyramid.of(image)
    if settings.view == "mask":
        return cv2.cvtColor(cv2.convertScaleAbs(alpha, alpha=255), cv2.COLOR_GRAY2BGR)
    if background is None and keeps_alpha:
        return cut_out(frame, alpha)
    behind = np.zeros_like(frame.image) if background is None else background(frame, alpha)
    # A blurred room has the old one's colors: there is nothing to take out at the border.
    return composite(frame, alpha, behind, clean=not isinstance(background, Blur))


def write_meter(image: np.ndarray, text: str) -> np.ndarray:
    """``text`` in the upper left corner, on a new image H,W,3 uint8 BGR."""
    out = image.copy()
    paste(out, tag(text, METER_SIZE, INK), METER_SIZE // 2, METER_SIZE // 2)
    return out
