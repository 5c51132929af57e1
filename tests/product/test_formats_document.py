"""docs/formats.md names every format and option that there is, and its examples are read as what it calls them."""

from __future__ import annotations

import re

import pytest

from bdd_inst import formats
from bdd_inst.cli.convert import build_parser
from bdd_inst.formats.table import kinds

EXAMPLE = re.compile(r"^### [^\n]*`([\w-]+)`\n\n```(json|text|xml|csv)\n(.*?)^```", re.M | re.S)
FORMS = {"yolo": "text", "cvat": "xml", "voc": "xml", "rle-csv": "csv"}  # of the others, JSON
WITHOUT_EXAMPLE = {
    "bitmask",
    "pan-seg",
    "label-map",
    "binary-masks",
    "cityscapes-instances",
}  # PNGs


def page(root) -> str:
    return (root / "docs" / "formats.md").read_text(encoding="utf-8")


def table(text: str, head: str) -> list[str]:
    """The first column of the table whose first heading is ``head``, without backticks."""
    rows = text.split(f"| {head} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [re.match(r"\| `([^`]+)`", row)[1] for row in rows]


def examples(root) -> dict[str, tuple[str, str]]:
    return {kind: (form, text) for kind, form, text in EXAMPLE.findall(page(root))}


def test_every_format_read_and_written_is_there(project_root):
    assert sorted(table(page(project_root), "kind")) == sorted(kinds("read"))
    assert sorted(table(page(project_root), "`--to`")) == sorted([*kinds("write"), "overlay"])


def test_every_option_of_convert_is_there(project_root):
    options = {
        word
        for action in build_parser()._actions
        for word in action.option_strings
        if word.startswith("--") and word != "--help"
    }
    assert set(table(page(project_root), "option of `convert`")) == options


def test_every_kind_of_text_has_an_example(project_root):
    assert set(examples(project_root)) == set(kinds("read")) - WITHOUT_EXAMPLE


@pytest.mark.parametrize("kind", sorted(set(kinds("read")) - WITHOUT_EXAMPLE))
def test_the_example_is_read_as_its_kind(kind, project_root, tmp_path):
    form, text = examples(project_root)[kind]
    file = tmp_path / ("labels/a.txt" if kind == "yolo" else f"a.{form}")
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    assert form == FORMS.get(kind, "json")
    assert formats.detect(file) == kind
    if kind in ("yolo", "panoptic"):
        return  # which need images, and PNGs
    labels = formats.read(file).load()
    assert sum(len(image.instances) for image in labels.images)
    assert not labels.problems, labels.problems.lines()


def test_the_python_there_runs(project_root, tmp_path, monkeypatch, capsys):
    code = re.search(r"```python\n(.*?)```", page(project_root), re.S)[1]
    (tmp_path / "labels.json").write_text(examples(project_root)["coco"][1])
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/formats.md", "exec"), {})
    assert "a.jpg dog (10.0, 10.0, 30.0, 30.0) True" in capsys.readouterr().out
    assert formats.detect("out.json") == "coco"
