"""Test-time augmentation beside the same model that sees each image once: both figures, and the model as it was."""

from __future__ import annotations

import json

import pytest

from bdd_inst.cli import evaluate, predict
from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.inference.views import without_tta
from bdd_inst.weights.checkpoint import save_weights
from tests.product.tiny import MODEL, coco_data

AUG = ["TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "(48,64)", "TEST.AUG.FLIP", "True"]


@pytest.fixture
def words(tmp_path):
    data = coco_data(tmp_path / "data")
    keys = [*MODEL, "MODEL.ROI_HEADS.NUM_CLASSES", "2", "DATASETS.TEST", repr([f"{data}/labels.json"])]  # fmt: skip
    keys += ["DATASETS.TEST_IMAGES", repr([f"{data}/images"])]
    save_weights(build_model(load_cfg("demo.yaml", keys)), tmp_path / "w.pth")
    return [*keys, "MODEL.WEIGHTS", str(tmp_path / "w.pth")], data


def test_evaluate_tells_gain_and_cost(words, tmp_path, capsys):
    keys, _ = words
    call = ["--config", "demo.yaml", "--no-report", "--output"]
    assert evaluate.main([*call, str(tmp_path / "once"), *keys]) == 0
    once = json.loads((tmp_path / "once/metrics.json").read_text())
    assert "test_augmentation" not in once
    assert "test-time augmentation" not in capsys.readouterr().out
    assert evaluate.main([*call, str(tmp_path / "views"), *keys, *AUG]) == 0
    metrics = json.loads((tmp_path / "views/metrics.json").read_text())
    block = metrics["test_augmentation"]
    assert block["once"] == {kind: {"AP": once[kind]["AP"]} for kind in ("bbox", "segm")}
    assert block["seconds"] > 0 < block["seconds_once"]
    said = capsys.readouterr().out
    assert f"segm/AP {metrics['segm']['AP']:.2f}, seen once {once['segm']['AP']:.2f}" in said
    assert " s an image, seen once " in said


def test_predict_tells_the_cost(words, tmp_path, capsys):
    keys, data = words
    call = ["--config", "demo.yaml", "--input", f"{data}/images", "--output", str(tmp_path / "out")]
    assert predict.main([*call, *keys, *AUG]) == 0
    assert "TEST.AUG: " in capsys.readouterr().out


def test_the_model_is_as_before(words):
    cfg = load_cfg("demo.yaml", [*words[0], *AUG])
    model = build_model(cfg)
    views = model.tta
    with pytest.raises(ZeroDivisionError), without_tta(model, cfg) as plain:
        assert model.tta is None
        assert not plain.TEST.AUG.ENABLED
        raise ZeroDivisionError
    assert model.tta is views
    assert cfg.TEST.AUG.ENABLED
