"""The problem log counts by reason and keeps a bounded number of examples."""

import pytest

from bdd_inst.base.errors import LONGEST_LINE, DataError, ProblemLog, printable, shortened


def test_counts_are_whole_and_examples_bounded():
    log = ProblemLog(keep=3)
    for i in range(10):
        log.add("missing-image", f"{i}.jpg", "not found")
    log.add("empty-polygon", "a.json: label 3", "has 2 points", count=5)
    assert log.counts == {"missing-image": 10, "empty-polygon": 5}
    assert [p.where for p in log.examples["missing-image"]] == ["0.jpg", "1.jpg", "2.jpg"]
    assert len(log) == 15
    first = log.lines()[0]
    assert first.startswith("10 x missing-image")
    assert "0.jpg: not found" in first


def test_merge_adds_counts_and_keeps_the_bound():
    one, two = ProblemLog(keep=2), ProblemLog(keep=2)
    one.add("x", "a", "m")
    for where in "bcd":
        two.add("x", where, "m")
    one.merge(two)
    assert one.counts["x"] == 4
    assert [p.where for p in one.examples["x"]] == ["a", "b"]
    assert not ProblemLog()


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a\nb\tc\0d", r"a\nb\tc\x00d"),
        ("\x1b[31mred\u202e", r"\x1b[31mred\u202e"),
        ("half \ud800 and byte \udcff", r"half \ud800 and byte \udcff"),
        (b"\xff\xc3\xa9", r"\udcffé"),
        ("图片 é 😀\u3000\u200c.", "图片 é 😀\u3000\u200c."),
    ],
)
def test_words_of_others_become_one_line_that_commands_no_terminal(words, shown):
    assert printable(words) == shown
    assert str(DataError(f"{words}: broken" if isinstance(words, str) else shown)).startswith(shown)
    if isinstance(words, str):
        log = ProblemLog()
        log.add("missing-image", words, words)
        assert log.lines() == [f"1 x missing-image (e.g. {shown}: {shown})"]


def test_of_a_long_line_the_middle_is_left_out():
    line = printable("a" * 10**6 + "\n")
    assert len(line) <= LONGEST_LINE + 1
    assert line.startswith("aaa")
    assert line.endswith(r"aaa\n")
    assert len(str(DataError("b" * 10**6))) <= LONGEST_LINE
    assert shortened("a name of many letters", 11) == "a n ... ers"
    assert shortened("short", 11) == "short"
