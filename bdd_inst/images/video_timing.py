"""When the frames of a video are shown: time stamps made sound, and the constant rate at which they can be written again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

USUAL_RATE = 30.0  # frames a second
FASTEST = 240.0  # frames a second; more is a damaged header
FINE_RATE = 60.0  # the highest rate that uneven gaps are rounded to
LONGEST_GAP = 60.0  # seconds between two frames; more is a damaged time stamp
AGREE = 0.005  # share by which a measured rate may differ from the stated one, and the stated one be right
# How far rounded time stamps may lie beside an even pace: this share of a gap, or this many seconds.
EVEN = 0.1
MILLISECOND = 1.1e-3


class FrameClock:
    """Time stamps as a file has them, to seconds from the first frame that only grow.

    Where a stamp is missing (0 or no number), goes back, or jumps by more than LONGEST_GAP, the frame follows the one before at the
    stated rate; after a jump later stamps count from there.

    Attributes:
        longest: the longest gap so far, in seconds.
    """

    def __init__(self, rate: float):
        """``rate``: frames a second where the stamps do not say."""
        self.step, self.longest = 1 / rate, 0.0
        self._origin: float | None = None
        self._last = 0.0

    def __call__(self, stamp: float) -> float:
        """The time of the next frame, whose stamp is ``stamp`` seconds."""
        known = bool(np.isfinite(stamp))
        if self._origin is None:
            self._origin = stamp if known else 0.0
            return 0.0
        time = stamp - self._origin if known else self._last
        if not self._last < time <= self._last + LONGEST_GAP:
            time = self._last + self.step
            self._origin = stamp - time if known and stamp else self._origin
        self.longest = max(self.longest, time - self._last)
        self._last = time
        return time


def usable_rate(rate: float) -> float:
    """A rate as a header states it, USUAL_RATE where that cannot be."""
    return rate if np.isfinite(rate) and 0 < rate <= 1000 else USUAL_RATE


def constant_rate(times: Sequence[float], stated: float) -> float:
    """The rate at which frames shown at ``times`` can be written, each at its time.

    Args:
        times: of the first frames, seconds, growing.
        stated: frames a second as the header says; kept where the times agree with it.

    Returns:
        frames a second: that of an even pace, frames left out here and there included; for uneven gaps that of the shortest,
        between USUAL_RATE and FINE_RATE, so that no frame is shown more than a sixtieth of a second too early or too late.
    """
    gaps = np.diff(np.asarray(times, np.float64))
    if len(gaps) < 2:
        return stated
    shortest = float(np.quantile(gaps, 0.1, method="lower"))
    # The mean of the single steps: rounded stamps would add up over many.
    steps = np.maximum(1, np.rint(gaps / gaps[gaps < 1.5 * shortest].mean()))
    pace = gaps.sum() / steps.sum()
    if (np.abs(gaps - steps * pace) <= max(EVEN * pace, min(MILLISECOND, pace / 4))).all():
        measured = 1 / pace
        if abs(measured / stated - 1) <= AGREE:
            return stated
        return float(min(round(measured, 3), FASTEST))
    return float(np.clip(1 / shortest, USUAL_RATE, FINE_RATE))
