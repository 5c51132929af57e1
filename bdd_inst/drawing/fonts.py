"""Which font has the letters of a text: our own, one of the system's, or OpenCV's; fonts are looked through once."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import threading
import unicodedata
from collections.abc import Iterable
from typing import Protocol

import cv2
import matplotlib
import numpy as np
from matplotlib.ft2font import FT2Font
from PIL import ImageFont

from bdd_inst.base.errors import printable

log = logging.getLogger(__name__)

# matplotlib carries this font: the same letters on every machine, accents, Greek and Cyrillic included.
FONT_FILE = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
FAMILY = "DejaVu Sans"
# Where several fonts of the system would do, those with these words in their names come first: made for the screen, and plain.
PREFERRED = ("Noto Sans", "Source Han Sans", "WenQuanYi", "Microsoft", "PingFang", "Arial Unicode")
# Fonts whose every glyph is a box, or that say nothing but what block a letter is of.
HOLLOW = ("Last Resort", "Adobe Blank", "Tofu")
TRIED = 20  # pixels; a font of fixed images (emoji) that has no such size cannot be used
COMMON = "HEnb"  # letters that a font for words has


class Face(Protocol):
    """A font that can draw."""

    def covers(self, text: str) -> bool:
        """Whether it has every letter of ``text``."""

    def length(self, text: str, size: int) -> int:
        """Pixels from the text's beginning to its end."""

    def draw(self, coverage: np.ndarray, text: str, size: int, base: int) -> None:
        """Write ``text`` into ``coverage`` H,W uint8 (0..255), from its left edge on, its base line at row ``base``."""


class FileFace:
    """A font file, drawn by FreeType. Attributes: ``path``; ``family``, what matplotlib calls it."""

    def __init__(self, path: str, family: str):
        self.path, self.family = path, family

    @functools.cached_property
    def _codes(self) -> np.ndarray:
        try:
            font(self.path, TRIED)
            return np.sort(np.fromiter(FT2Font(self.path).get_charmap(), np.int64))
        except (OSError, RuntimeError, ValueError):  # a font that neither library takes
            return np.zeros(0, np.int64)

    def covers(self, text: str) -> bool:
        wanted = [ord(letter) for letter in set(text) if not letter.isspace()]
        return bool(np.isin(wanted, self._codes).all())

    def length(self, text: str, size: int) -> int:
        return int(np.ceil(font(self.path, size).getlength(text)))

    def draw(self, coverage: np.ndarray, text: str, size: int, base: int) -> None:
        """Write a line of letters ``size`` pixels high into ``coverage`` H,W uint8 (255 is ink), its baseline at row ``base``."""
        mask, (left, top) = font(self.path, size).getmask2(text, mode="L", anchor="ls")
        part = np.asarray(mask, np.uint8).reshape(mask.size[1], mask.size[0])
        y, x = base + top, max(0, left)
        part = part[max(0, -y) :][: coverage.shape[0] - max(0, y), : coverage.shape[1] - x]
        coverage[max(0, y) :][: part.shape[0], x : x + part.shape[1]] = part


class OpenCVFace:
    """The font for Chinese, Japanese and Korean that OpenCV brings from 5.0 on."""

    family = None

    def __init__(self):
        self._face, self._lock = cv2.FontFace("uni"), threading.Lock()
        self._known: dict[str, bool] = {"?": True}

    def covers(self, text: str) -> bool:
        for letter in set(text) - set(self._known):
            # A letter that it has not is drawn as a question mark.
            same = np.array_equal(self._image(letter), self._image("?"))
            self._known[letter] = not same
        return all(self._known[letter] for letter in set(text))

    def length(self, text: str, size: int) -> int:
        with self._lock:
            x, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), self._face, size)
        return max(0, x) + width

    def draw(self, coverage: np.ndarray, text: str, size: int, base: int) -> None:
        """As :meth:`FileFace.draw`, into H,W uint8."""
        canvas = np.zeros((*coverage.shape, 3), np.uint8)
        # Wrapped behind the right edge: the width is the text's own.
        wrap = (0, canvas.shape[1] + 2 * size)
        with self._lock:
            cv2.putText(canvas, text, (0, base), (255,) * 3, self._face, size, wrap=wrap)
        coverage[:] = canvas[..., 0]

    def _image(self, letter: str) -> np.ndarray:
        out = np.zeros((2 * TRIED, 2 * TRIED), np.uint8)
        self.draw(out, letter, TRIED, TRIED)
        return out


OWN = FileFace(FONT_FILE, FAMILY)


@functools.lru_cache(256)
def font(path: str, size: int) -> ImageFont.FreeTypeFont:
    """A font file at ``size`` pixels."""
    return ImageFont.truetype(path, size)


@functools.cache
def other_faces() -> tuple[Face, ...]:
    """The fonts that are asked where our own has not the letters, in order: the system's, OpenCV's. None is opened yet."""
    from matplotlib import font_manager  # lists the system's fonts: of no use to most

    found = [
        entry
        for entry in font_manager.fontManager.ttflist
        if entry.style == "normal"
        and entry.fname != FONT_FILE
        and not any(word in entry.name for word in HOLLOW)
    ]

    def rank(entry: font_manager.FontEntry) -> tuple:
        liked = next((n for n, word in enumerate(PREFERRED) if word in entry.name), len(PREFERRED))
        weight = entry.weight if isinstance(entry.weight, int) else 400
        return liked, abs(weight - 400), entry.name, entry.fname

    system = [FileFace(entry.fname, entry.name) for entry in sorted(found, key=rank)]
    carried = []
    if hasattr(cv2, "FontFace"):
        with contextlib.suppress(cv2.error):  # a build without the font
            carried = [OpenCVFace()]
    return (*system, *carried)


@functools.lru_cache(8192)
def face_of(text: str) -> Face | None:
    """The first font that has every letter of ``text``, None where there is none."""
    if OWN.covers(text):
        return OWN
    return next((f for f in other_faces() if f.covers(text) and f.covers(COMMON)), None)


@functools.lru_cache(8192)
def drawable(text: str) -> str | None:
    """``text``, or where no font has its letters, the same in plainer ones (no accents, no ligatures); None where that fails too."""
    if face_of(text) is not None:
        return text
    parts = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in parts if not unicodedata.combining(letter))
    return plain if plain.strip() and face_of(plain) is not None else None


def for_matplotlib(texts: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """What a matplotlib figure needs to write ``texts``; letters that no font has are said, once.

    Args:
        texts: in any script.

    Returns:
        the value of ``font.family``, fonts that have their letters; and each text as it can be written: itself, or, where no font
        file has its letters, with escapes such as ``\\u6c7d`` in their place.
    """
    names, shown = [FAMILY], {}
    for text in texts:
        plain = drawable(text)
        family = getattr(face_of(plain), "family", None) if plain else None
        shown[text] = plain if family else _escaped(text)
        names += [family] if family and family not in names else []
        if plain is None:
            log_escaped("".join(sorted({c for c in text if drawable(c) is None})))
    return names, shown


@functools.lru_cache(64)
def log_escaped(letters: str) -> None:
    """Which letters a plot has to write as escapes; said once for each set of them."""
    log.warning(
        "no font of this machine has the letters %s; plots write them as %s. "
        "A font of the script, e.g. one of Noto's, mends it",
        printable(letters[:16]),
        _escaped(letters[:1]),
    )


def _escaped(text: str) -> str:
    """In ASCII, no control characters among it."""
    return printable(text).encode("ascii", "backslashreplace").decode()
