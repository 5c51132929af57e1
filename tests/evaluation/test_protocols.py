"""The table of protocols: builtin ones, and one of a user's own."""

from __future__ import annotations

import json

import pytest

from bdd_inst.base.errors import ConfigError
from bdd_inst.cli import evaluate
from bdd_inst.evaluation.protocols import PROTOCOLS, score
from tests.evaluation.cases import random_case

OWN = '''
"""Counts, as a protocol."""
from bdd_inst.evaluation.protocols import PROTOCOLS, ProtocolScores, coco_protocol

def counting(truth, results, kinds, max_detections):
    found = coco_protocol(truth, results, kinds, max_detections)
    found.figures["count"] = {"objects": len(truth), "detections": len(results)}
    return found

PROTOCOLS["counting"] = counting
'''


def test_an_unknown_protocol_is_refused_with_the_known_ones():
    truth, results = random_case(0)
    with pytest.raises(ConfigError, match="TEST.PROTOCOL 'cocoo' is not supported; use 'coco' or"):
        score(truth, results, "cocoo")


def test_a_protocol_of_ones_own_joins_by_import(tmp_path, capsys):
    module = tmp_path / "own_protocol.py"
    module.write_text(OWN)
    truth = {
        "images": [{"id": 1, "file_name": "1.jpg", "height": 20, "width": 30}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [3, 2, 9, 9], "area": 81}
        ],
    }
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    row = {"image_id": 1, "category_id": 1, "bbox": [3, 2, 9, 9], "score": 0.5}
    (tmp_path / "dt.json").write_text(json.dumps([row, row | {"score": 0.25}]))
    words = ["--ground-truth", str(tmp_path / "gt.json"), "--output", str(tmp_path / "out")]
    words += ["--predictions", str(tmp_path / "dt.json"), "--protocol", "counting"]
    try:
        assert evaluate.main([*words, "--import", str(module)]) == 0
    finally:
        PROTOCOLS.pop("counting", None)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["protocol"] == "counting"
    assert metrics["count"] == {"objects": 1, "detections": 2}
    assert metrics["bbox"]["AP"] == pytest.approx(100)
    assert "counting boxes" in capsys.readouterr().out
    assert "the protocol counting" in (tmp_path / "out" / "report.html").read_text()
