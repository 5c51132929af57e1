"""The key of a matplotlib plot, its words in any script: by a font file, or as images where only OpenCV's font has the letters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.offsetbox import (
    AnchoredOffsetbox,
    DrawingArea,
    HPacker,
    OffsetBox,
    OffsetImage,
    TextArea,
    VPacker,
)

from bdd_inst.base.errors import shortened
from bdd_inst.drawing.fonts import drawable, face_of, for_matplotlib
from bdd_inst.drawing.text import glyphs

# Pixels of a drawn word for a point of its size: sharp at any resolution that a plot is saved in.
SHARPNESS = 4
LONGEST = 80  # letters of a row: its name's beginning, and the figure at its end
LINE = 20  # points from end to end of a key's line


def add_key(
    axes: Axes, rows: Sequence[tuple[Line2D, str]], title: str = "", size: float = 8, **place: str
) -> Artist | None:
    """Tell what each line of a plot is.

    Args:
        axes: of the plot.
        rows: lines and their words, as they are meant: a ``$`` is a dollar.
        title: above the rows.
        size: of the letters, in points.
        place: ``loc`` as matplotlib's legends take it.

    Returns:
        The key, None where there are no rows.
    """
    if not rows:
        return None
    rows = [(line, shortened(text, LONGEST)) for line, text in rows]
    texts = [text for _, text in rows]
    families, shown = for_matplotlib(texts)
    font = {"family": families, "size": size}
    if not any(is_drawn(text) for text in texts):
        key = axes.legend(
            [line for line, _ in rows],
            [shown[text] for text in texts],
            title=title or None,
            title_fontsize=size + 1,
            prop=font,
            **place,
        )
        for words in key.get_texts():
            words.set_parse_math(False)
        return key
    body: list[OffsetBox] = [TextArea(title, textprops={"size": size + 1})] if title else []
    for line, text in rows:
        if is_drawn(text):
            words = drawn(text, size)
        else:
            words = TextArea(shown[text], textprops=font | {"parse_math": False})
        body.append(HPacker(children=[_sample(line, size), words], pad=0, sep=6, align="center"))
    key = AnchoredOffsetbox(
        place.get("loc", "lower left"),
        child=VPacker(children=body, pad=0, sep=3, align="left"),
        pad=0.4,
        borderpad=0.5,
    )
    key.patch.set(alpha=0.8, edgecolor="0.8", boxstyle="round,pad=0,rounding_size=0.2")
    axes.add_artist(key)
    return key


def is_drawn(text: str) -> bool:
    """Whether a font has the letters of ``text``, but none that matplotlib could use."""
    plain = drawable(text)
    face = face_of(plain) if plain else None
    return face is not None and face.family is None


def drawn(text: str, size: float) -> OffsetImage:
    """``text`` as an image in a figure, its letters ``size`` points high."""
    pixels = round(SHARPNESS * size)
    coverage = glyphs(text, pixels)
    ink = np.zeros((*coverage.shape, 4), np.uint8)
    ink[..., 3] = coverage
    return OffsetImage(ink, zoom=size / pixels)


def _sample(line: Line2D, size: float) -> DrawingArea:
    """A piece of a line, as legends have it."""
    area = DrawingArea(LINE, size, 0, 0)
    style = {"color": line.get_color(), "linewidth": line.get_linewidth()}
    area.add_artist(Line2D([0, LINE], [size / 2] * 2, linestyle=line.get_linestyle(), **style))
    return area
