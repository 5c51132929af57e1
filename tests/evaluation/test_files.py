"""Files to figures: each file is opened once, whatever its kind."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from bdd_inst import formats
from bdd_inst.evaluation.files import evaluate_files
from bdd_inst.formats import json_files

BOX = {"x1": 2, "y1": 2, "x2": 20, "y2": 20}


def coco(folder: Path) -> tuple[Path, Path]:
    truth = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 60, "height": 40}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 2, 19, 19], "area": 361}
        ],
        "categories": [{"id": 1, "name": "car"}],
    }
    (folder / "gt.json").write_text(json.dumps(truth))
    result = {"image_id": 1, "category_id": 1, "bbox": [2, 2, 19, 19], "score": 0.9}
    (folder / "dt.json").write_text(json.dumps([result]))
    return folder / "gt.json", folder / "dt.json"


def scalabel(folder: Path) -> tuple[Path, Path]:
    for name, more in (("gt", {}), ("dt", {"score": 0.9})):
        label = {"id": "1", "category": "car", "box2d": BOX} | more
        (folder / f"{name}.json").write_text(json.dumps([{"name": "a.jpg", "labels": [label]}]))
    return folder / "gt.json", folder / "dt.json"


@pytest.mark.parametrize("kind", [coco, scalabel])
def test_truth_and_predictions_are_each_read_once(tmp_path, monkeypatch, kind):
    truth, predictions = kind(tmp_path)
    opened = Counter()
    read_bytes = json_files.read_bytes

    def counted(path):
        opened[Path(path).name] += 1
        return read_bytes(path)

    monkeypatch.setattr(json_files, "read_bytes", counted)
    assert evaluate_files(truth, predictions)["bbox"]["AP"] == pytest.approx(100)
    assert opened == {"gt.json": 1, "dt.json": 1}


def test_a_conversion_opens_its_source_once(tmp_path, monkeypatch):
    source, _ = scalabel(tmp_path)
    opened = Counter()
    read_bytes = json_files.read_bytes
    monkeypatch.setattr(
        json_files, "read_bytes", lambda path: (opened.update([str(path)]), read_bytes(path))[1]
    )
    formats.write(formats.read(source), tmp_path / "out.json", to="coco")
    assert opened == {str(source): 1}
    assert formats.read(formats.inspect(source)).load().files == (source,)
