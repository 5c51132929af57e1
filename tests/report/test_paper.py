"""Tables for a paper: what LaTeX reads as a command is a letter."""

from __future__ import annotations

import pytest

from bdd_inst.report.paper import escape


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a_b & c%", r"a\_b \& c\%"),
        ("$x^{2$", r"\$x\textasciicircum{}\{2\$"),
        ("C:\\cars~1", r"C:\textbackslash{}cars\textasciitilde{}1"),
        ("two\nlines\r\n", "two lines"),
        ("-", "--"),
        ("12.3", "12.3"),
    ],
)
def test_special_characters_are_letters(text, written):
    assert escape(text) == written
