"""The notebook of the examples: a valid notebook without outputs, whose cells run in their order."""

from __future__ import annotations

import json

import pytest

from bdd_inst.datasets.catalog import DatasetCatalog
from bdd_inst.modeling.backbones import BACKBONES
from tests.product.tiny import MODEL, SHORT, coco_data


@pytest.fixture(scope="module")
def notebook(project_root):
    path = project_root / "examples" / "walkthrough.ipynb"
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_format_is_valid(notebook):
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in notebook["cells"]:
        keys = {"cell_type", "id", "metadata", "source"}
        if cell["cell_type"] == "code":
            keys |= {"execution_count", "outputs"}
        assert set(cell) == keys
        assert all(line.endswith("\n") for line in cell["source"][:-1])


def test_nothing_of_a_run_is_kept(notebook):
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells)


@pytest.fixture
def run(notebook):
    """Runs the code cells, ``given`` values in place of the first cell's; the names they leave."""
    known, names = set(BACKBONES), set(DatasetCatalog.list())

    def call(**given):
        found = {"__name__": "notebook"}
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), cell["id"], "exec"), found)
            if "parameters" in cell["metadata"].get("tags", ()):
                assert set(given) < set(found)
                found |= given
        return found

    yield call
    for name in set(BACKBONES) - known:
        del BACKBONES[name]
    for name in set(DatasetCatalog.list()) - names:
        DatasetCatalog.remove(name)


def test_the_cells_run_on_own_labels(run, tmp_path, capsys):
    data, out = coco_data(tmp_path / "data"), tmp_path / "out"
    overrides = [*MODEL, *SHORT, "LOGGERS", "['csv']"]
    found = run(LABELS=data / "labels.json", IMAGES=None, OUTPUT=str(out), OVERRIDES=overrides)
    said = capsys.readouterr().out
    assert "coco {'cat': 3, 'dog': 3}" in said
    assert f"{out}/labels_coco.json 3 images 6 objects" in said
    assert found["predictor"].metadata["thing_classes"] == ["cat", "dog"]
    assert found["masks"].shape[1:] == (64, 80)
    assert found["drawn"].shape == (64, 80, 3)
    assert (out / "own_backbone" / "model_final.pth").is_file()
