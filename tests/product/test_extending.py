"""The recipes of docs/extending.md: each example is one file that joins by ``--import`` and does what it says."""

from __future__ import annotations

import json
import sys

import pytest

from bdd_inst.cli import check, convert
from bdd_inst.datasets.catalog import DatasetCatalog
from bdd_inst.formats import registry

CSV = """image,width,height,class,points
a.png,80,64,hat,10,10,30,10,30,30,10,30
a.png,80,64,shoe,40,40,60,40,60,60
b.png,80,64,
b.png,80,64,hat,1,2,three
"""


@pytest.fixture
def example(project_root, monkeypatch):
    """The path of an example; what it has imported and entered is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    tables = (sys.modules, registry.READERS, registry.WRITERS, registry.FINDERS)
    before, known = [set(table) for table in tables], set(DatasetCatalog.list())
    folder = project_root / "examples" / "extending"
    names = {path.stem for path in folder.glob("*.py")}
    yield lambda name: str(folder / f"{name}.py")
    for table, keys in zip(tables, before, strict=True):
        added = set(table) - keys
        for key in added & names if table is sys.modules else added:
            del table[key]
    for name in set(DatasetCatalog.list()) - known:
        DatasetCatalog.remove(name)


def test_a_label_format(example, tmp_path, capsys):
    source, coco, back = (tmp_path / name for name in ("labels.csv", "labels.json", "back.csv"))
    source.write_text(CSV)
    own = ["--import", example("point_csv")]
    assert convert.main([*own, "--input", str(source), "--to", "coco", "--output", str(coco)]) == 0
    assert "1 x bad-label" in capsys.readouterr().err
    content = json.loads(coco.read_text())
    assert [c["name"] for c in content["categories"]] == ["hat", "shoe"]
    assert content["annotations"][0]["segmentation"] == [[10, 10, 30, 10, 30, 30, 10, 30]]
    words = [*own, "--input", str(coco), "--to", "point-csv", "--output", str(back)]
    assert convert.main(words) == 0
    lines = back.read_text().splitlines()
    assert lines[0] == CSV.splitlines()[0]
    assert lines[1:] == [
        "a.png,80,64,hat,10.0,10.0,30.0,10.0,30.0,30.0,10.0,30.0",
        "a.png,80,64,shoe,40.0,40.0,60.0,40.0,60.0,60.0",
        "b.png,80,64,",
    ]


def test_a_label_format_is_a_usage_error_without_its_module(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        convert.main(["--input", "x.json", "--to", "point-csv", "--output", str(tmp_path / "x")])
    assert stop.value.code == 2
    assert "there are coco" in capsys.readouterr().err


def test_a_data_set(example, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    assert check.main(["--import", example("stripes"), "--dataset", "stripes_val"]) == 0
    said = capsys.readouterr().out
    assert "2 pictures" in said
    assert "stripe" in said
