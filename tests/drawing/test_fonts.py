"""Names in any script: a font that has the letters, or the class number, said once; never squares."""

from __future__ import annotations

import io
import logging

import cv2
import numpy as np
import pytest

from bdd_inst.drawing import draw, fonts, objects, text
from bdd_inst.drawing.objects import gather
from bdd_inst.evaluation.curves import MEAN, Curve
from bdd_inst.evaluation.outputs import draw_curves


@pytest.fixture
def own_font_only(monkeypatch):
    """No other font than our own; what was found before is forgotten, and again afterwards."""
    caches = (fonts.face_of, fonts.drawable, text.glyphs, text.tag, objects.log_undrawable)
    caches += (fonts.log_escaped,)
    monkeypatch.setattr(fonts, "other_faces", lambda: ())
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def chinese():
    found = fonts.face_of("汽车行人")
    if found is None:
        pytest.skip("neither a font of this machine nor this OpenCV has Chinese letters")
    return found


def test_chinese_names_are_drawn_with_their_own_letters():
    face = chinese()
    first, second = text.glyphs("汽车", 24), text.glyphs("行人", 24)
    assert first.shape == second.shape == (text.glyphs("car", 24).shape[0], first.shape[1])
    # Two squares of one shape would be alike.
    assert not np.array_equal(first, second)
    halves = np.array_split(first, 2, axis=1)
    assert not np.array_equal(halves[0], halves[1][:, : halves[0].shape[1]])
    assert face.covers("汽车")
    rows = np.flatnonzero(first.max(axis=1))
    assert len(rows) >= 18  # as high as a letter of 24 pixels is


def test_a_label_of_mixed_letters_keeps_its_base_line_and_is_whole():
    chinese()
    mixed = text.glyphs("车 97%", 32)
    assert mixed[:, -1].max() == 0 or mixed[:, -2:].max() < 255  # nothing is cut at the right
    assert mixed.shape[0] == text.glyphs("97%", 32).shape[0]


def test_latin_greek_and_cyrillic_look_the_same_on_every_machine():
    for word in ("car 97%", "straße", "машина", "Ωμέγα"):
        assert fonts.face_of(word).path == fonts.FONT_FILE


def test_names_without_a_font_become_class_numbers_and_that_is_said_once(own_font_only, caplog):
    names = ["car", "汽车", "行人"]
    given = {"boxes": [[5, 5, 20, 20]] * 3, "classes": [0, 1, 2], "names": names}
    with caplog.at_level(logging.WARNING):
        found = gather((40, 40), **given)
        assert [found.label(i) for i in range(3)] == ["car", "class 1", "class 2"]
        assert [word for word, _ in draw.class_key(found)] == ["car", "class 1", "class 2"]
        draw.draw_objects(np.zeros((40, 40, 3), np.uint8), gather((40, 40), **given))
    assert len(caplog.records) == 1
    assert "1 汽车, 2 行人" in caplog.text


def test_letters_that_differ_only_in_form_are_written_plainly(own_font_only):
    assert fonts.drawable("ｃａｒ") == "car"
    assert gather((9, 9), boxes=[[0, 0, 5, 5]], names=["ｃａｒ"]).label(0) == "car"


def test_titles_without_a_font_get_question_marks_not_squares(own_font_only):
    np.testing.assert_array_equal(text.glyphs("汽车 a", 20), text.glyphs("?? a", 20))


def test_font_files_are_opened_once_for_all_labels(monkeypatch):
    fonts.face_of("漢")
    opened = []
    monkeypatch.setattr(fonts, "FT2Font", lambda path: opened.append(path))
    for code in range(0x4E00, 0x4E40):
        fonts.face_of(chr(code))
    assert not opened


def test_damaged_fonts_are_passed_over(tmp_path):
    (tmp_path / "a.ttf").write_bytes(b"no font")
    assert not fonts.FileFace(str(tmp_path / "a.ttf"), "A").covers("a")
    assert not fonts.FileFace(str(tmp_path / "gone.ttf"), "A").covers("a")


@pytest.mark.skipif(not hasattr(cv2, "FontFace"), reason="OpenCV before 5 brings no font")
def test_opencvs_font_says_what_it_has_not():
    face = fonts.OpenCVFace()
    assert face.covers("汽车 car?")
    assert not face.covers("汽车\U0010fffd")


def test_curves_name_their_classes(own_font_only, caplog):
    line = np.linspace(0, 1, 101)
    names = (MEAN, "汽车", "a$b$", "$\\foo$")
    stream = io.BytesIO()
    draw_curves([Curve("segm", name, 0.5, line, line, line) for name in names], stream)
    assert stream.getvalue().startswith(b"\x89PNG")
    families, shown = fonts.for_matplotlib(names)
    assert len(caplog.records) == 1  # said once, though both panels and this test asked
    assert "has the letters 汽车; plots write them as \\u6c7d" in caplog.text
    assert families == [fonts.FAMILY]
    assert shown == {name: name for name in names} | {"汽车": "\\u6c7d\\u8f66"}
