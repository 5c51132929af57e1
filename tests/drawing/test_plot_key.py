"""The keys of plots: words in any script, never boxes, never mathematics."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from bdd_inst.drawing import fonts, plot_key
from bdd_inst.evaluation.curves import MEAN, Curve
from bdd_inst.evaluation.outputs import MOST_CURVES, draw_curves


@pytest.fixture
def opencvs_font_only(monkeypatch):
    if not hasattr(cv2, "FontFace"):
        pytest.skip("OpenCV before 5 brings no font")
    face = fonts.OpenCVFace()
    monkeypatch.setattr(fonts, "other_faces", lambda: (face,))
    caches = (fonts.face_of, fonts.drawable)
    for cache in caches:
        cache.cache_clear()
    yield face
    for cache in caches:
        cache.cache_clear()


def drawn(words):
    """H,W of a figure's gray values with a key of ``words``, and the key."""
    figure = Figure(figsize=(3, 2), dpi=100)
    axes = figure.subplots()
    rows = [(axes.plot([0, 1], [9, 9])[0], word) for word in words]
    axes.set(ylim=(0, 1))
    key = plot_key.add_key(axes, rows, "AP50", loc="center")
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return np.asarray(Image.open(stream).convert("L")), key


def test_words_that_only_opencvs_font_has_are_imaged(opencvs_font_only, caplog):
    assert plot_key.is_drawn("汽车")
    assert not plot_key.is_drawn("машина")
    first, second = drawn(["汽车 a", "car"])[0], drawn(["行人 a", "car"])[0]
    assert first.shape == second.shape
    # Boxes would look the same, and so would escapes left out.
    assert (np.abs(first.astype(int) - second) > 100).sum() > 20
    assert not caplog.records


def test_imaged_words_are_as_high_as_the_others(opencvs_font_only):
    words = plot_key.drawn("汽车", 8)
    height, width = words.get_data().shape[:2]
    assert height * words.get_zoom() == pytest.approx(8 * 1.17, rel=0.1)  # with ascent and descent
    assert width * words.get_zoom() == pytest.approx(16, rel=0.2)


def test_a_dollar_is_a_dollar(opencvs_font_only):
    for words in (["$x^{2$", "汽车"], ["$x^{2$"]):  # neither way reads it as mathematics
        assert (drawn(words)[0] < 100).any()


def test_many_classes_are_the_best_and_the_worst(monkeypatch):
    shown = []
    monkeypatch.setattr(
        "bdd_inst.evaluation.outputs.add_key", lambda axes, rows, *a, **k: shown.append((rows, a))
    )
    line = np.linspace(0, 1, 101)
    curves = [Curve("bbox", f"class {i}", 0.5, line, line * i / 1000, line) for i in range(1000)]
    draw_curves([Curve("bbox", MEAN, 0.5, line, line, line), *curves], io.BytesIO())
    ((rows, (title,)),) = shown
    names = [text.rsplit("  ")[0] for _, text in rows]
    half = MOST_CURVES // 2
    assert names[0] == MEAN
    assert names[1 : half + 1] == [f"class {i}" for i in range(999, 999 - half, -1)]
    assert names[half + 1 :] == [f"class {i}" for i in range(half - 1, -1, -1)]
    assert title == f"AP50: {half} best, {half} worst of 1000"
