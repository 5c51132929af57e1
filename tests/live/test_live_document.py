"""docs/live.md: its commands are understood, those that need no camera are run, its messages exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import cv2
import pytest

from bdd_inst.cli import live
from bdd_inst.images.video import VideoReader
from bdd_inst.live import weights

ROOT = Path(__file__).resolve().parents[2]
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/live.md")}
COMMAND = re.compile(r"bdd-inst live((?: +(?:\"[^\"\n]*\"|[^\s`|\"]+))*)")
INPUTS = {"call.mp4", "photo.jpg", "photos"}  # that the test makes


def commands() -> list[list[str]]:
    """The arguments of every ``bdd-inst live ...`` in a code block or between backquotes, each once."""
    blocks = [
        line.split("#  ")[0].split(" # ")[0]
        for text in PAGES.values()
        for line in text.splitlines()
        if line.startswith("    bdd-inst live")
    ]
    inline = [c for text in PAGES.values() for c in re.findall(r"`(bdd-inst live[^`]*)`", text)]
    found = {COMMAND.match(text.strip())[1].strip() for text in (*blocks, *inline)}
    return [shlex.split(text) for text in sorted(found)]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_is_understood(words):
    if words == ["--help"]:
        return
    options = live.parser().parse_args(words)
    assert options.input


@pytest.mark.parametrize(
    "words", [w for w in commands() if INPUTS & set(w)], ids=lambda w: " ".join(w)
)
def test_commands_on_files_do_what_they_say(
    words, clip, segmenter, image_labels, tmp_path, monkeypatch
):
    monkeypatch.setattr(weights, "load_segmenter", lambda *_: segmenter)
    monkeypatch.chdir(tmp_path)
    clip.rename("call.mp4")
    Path("photos").mkdir()
    for name in ("photo.jpg", "beach.jpg", "photos/a.jpg", "photos/b.jpg"):
        cv2.imwrite(name, image_labels())
    assert live.main(words) == 0
    output = Path(words[words.index("--output") + 1])
    if output.suffix == ".mp4":
        assert len(list(VideoReader(output))) == 10
    else:
        images = [output] if output.suffix else sorted(output.iterdir())
        assert len(images) == (1 if output.suffix else 2)
        for path in images:
            assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape == (96, 128, 4)


def test_commands_on_files_are_there():
    assert {word for words in commands() for word in words} >= INPUTS


def test_messages_of_the_page_are_those_of_the_program():
    sources = [
        path.read_text(encoding="utf-8")
        for room in ("live", "inference", "cli")
        for path in (ROOT / "bdd_inst" / room).glob("*.py")
    ]
    program = " ".join(sources)
    rows = re.findall(r"^\| `([^`]+)` \|", PAGES["docs/live.md"].split("When something")[1], re.M)
    assert len(rows) >= 5
    for row in rows:
        for part in re.split(r"\.\.\.|\b[0MN]\b", row):
            assert part.strip(" :;") in program, part
