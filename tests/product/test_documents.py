"""What the documents name is there: files, tables, verbs."""

from __future__ import annotations

import importlib
import re

import pytest

from bdd_inst.cli.main import VERBS
from bdd_inst.formats.table import kinds


@pytest.fixture(scope="module")
def map_of_rooms(project_root):
    return (project_root / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")


def test_every_room_is_on_the_map_in_order(map_of_rooms, project_root):
    rooms = re.findall(r"^\| `(\w+)` \|", map_of_rooms, re.M)
    test = (project_root / "tests" / "test_architecture.py").read_text(encoding="utf-8")
    order = re.search(r"^ROOMS = \((.*?)^\)", test, re.M | re.S)
    assert rooms == re.findall(r'"(\w+)"', order[1])


def test_files_on_the_map_are_there(map_of_rooms, project_root):
    package = project_root / "bdd_inst"
    for line in re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", map_of_rooms, re.M):
        for name in re.findall(r"`([^`]+)`", line[1]):
            assert (package / line[0] / name).is_file(), f"{line[0]}/{name}"
    named = set(re.findall(r"`(\w+/[\w/]+\.(?:py|yaml))`", map_of_rooms.split("## Contracts")[1]))
    assert len(named) > 20
    for name in named:
        assert (package / name).is_file() or (project_root / name).is_file(), name


def test_tables_on_the_map_are_there(map_of_rooms):
    pairs = re.findall(r"`([A-Z_]+)` (?:and `([A-Z_]+)` )?in `([\w/]+)\.py`", map_of_rooms)
    assert len(pairs) >= 7
    for first, second, path in pairs:
        module = importlib.import_module(
            "bdd_inst." + path.replace("/", ".").removesuffix(".__init__")
        )
        for table in filter(None, (first, second)):
            assert hasattr(module, table), f"{path}: {table}"


def test_links_lead_somewhere(project_root):
    places = ("*.md", "docs/**/*.md", "datasets/README.md", "examples/*.md")
    files = [file for place in places for file in project_root.glob(place)]
    assert len(files) > 10
    for file in files:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", file.read_text(encoding="utf-8")):
            assert (file.parent / link).exists(), f"{file.name}: {link}"


def test_documents_have_one_word_for_an_image(project_root):
    places = ("README.md", "docs/**/*.md", "datasets/README.md", "examples/*.md")
    for file in (file for place in places for file in project_root.glob(place)):
        text = re.sub(
            r"```.*?```|`[^`\n]*`|^    .*$|\]\([^)]*\)",
            "",
            file.read_text("utf-8"),
            flags=re.S | re.M,
        )
        assert not re.findall(r"[Pp]ictures?\b", text), file.name


# British forms of words that the libraries' names have in American: color, gray, center, label, normalize.
BRITISH = re.compile(
    r"(?i)colour|\bgrey|centre|labelled|labelling|neighbour|honour|normalis|initialis|recognis|analysed?\b|analysing"
)
# Names that files of users hold, and so keep.
KEPT = re.compile(r"unlabelled-image|normalised-coordinates|[\"`]labelled[\"`]")


def test_there_is_one_spelling(project_root):
    """In names, messages, comments and documents; scripts that set it right are no part of the project."""
    places = (
        "README.md",
        "CONTRIBUTING.md",
        "docs/**/*.md",
        "examples/**/*.py",
        "bdd_inst/**/*.py",
    )
    places += ("bdd_inst/**/*.html", "configs/*.yaml", "tools/*.py")
    found = []
    for file in (file for place in places for file in project_root.glob(place)):
        for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
            if BRITISH.search(KEPT.sub("", line)):
                found.append(f"{file.relative_to(project_root)}:{number}")
    assert not found, found


def test_the_readme_names_every_target_of_convert(project_root):
    text = (project_root / "README.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if "`bdd-inst convert --to`" in line)
    assert set(re.findall(r"`([\w-]+)`", row)) == {*kinds("write"), "overlay"}


def test_the_readme_names_verbs_that_there_are(project_root):
    text = (project_root / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"bdd-inst ([a-z][a-z-]+)", text))
    assert named <= set(VERBS)
    assert {"train", "evaluate", "predict", "convert", "check", "demo"} <= named
