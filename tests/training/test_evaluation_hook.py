"""Evaluation while training: the best checkpoint, early stopping by stage, plateaus, and a metric that is not there."""

from __future__ import annotations

import csv

import pytest
import torch

from bdd_inst.base.errors import ConfigError
from bdd_inst.training import train as train_module
from bdd_inst.training.metric_names import check_best_metric
from bdd_inst.training.train import train


@pytest.fixture
def scripted(monkeypatch):
    """Replaces the figures of evaluations (not of the last) by a list."""

    def script(name, values):
        left = iter(values)
        monkeypatch.setattr(
            train_module.Scorer, "score", lambda self, model: {name: next(left, None)}
        )

    return script


def weights(path):
    return torch.load(path, weights_only=True)


SHORT = (
    "TEST.EVAL_PERIOD",
    1,
    "TEST.PICTURES",
    0,
    "SOLVER.EMA.ENABLED",
    False,
    "SOLVER.CHECKPOINT_PERIOD",
    1,
    "SOLVER.KEEP_CHECKPOINTS",
    0,
)


def test_the_best_weights_are_kept(tiny_cfg, tmp_path, scripted):
    scripted("segm/AP", [1.0, 5.0, 3.0, float("nan"), None, 4.0])
    outcome = train(tiny_cfg(*SHORT), str(tmp_path / "run"))
    best = weights(outcome.folder / "model_best.pth")
    assert (best["iteration"], best["metric"], best["value"]) == (1, "segm/AP", 5.0)
    second = weights(outcome.folder / "model_0000001.pth")["model"]
    assert all(torch.equal(best["model"][name], value) for name, value in second.items())
    assert "the best segm/AP 5.00 was after 2 iterations" in outcome.text


def test_a_loss_is_better_when_lower(tiny_cfg, tmp_path, scripted):
    scripted("val/total_loss", [3.0, 0.5, 2.5])
    keys = ("TEST.BEST_METRIC", "val/total_loss", "TEST.VAL_LOSS_PICTURES", 1)
    folder = train(tiny_cfg(*SHORT, *keys), str(tmp_path / "run")).folder
    assert weights(folder / "model_best.pth")["value"] == 0.5


def test_early_stopping_ends_a_stage_and_the_next_one_starts_patient(tiny_cfg, tmp_path, scripted):
    # Two stages of 5 and 9 iterations: the first ends after its second evaluation without improvement, the second likewise.
    scripted("segm/AP", [5.0, 4.0, 4.5, 1.0, 2.0, 2.0, 1.5])
    folder = train(
        tiny_cfg(*SHORT, "TEST.EARLY_STOPPING.PATIENCE", 2), str(tmp_path / "run")
    ).folder
    text = (folder / "log.txt").read_text()
    assert (
        "stage heads ends early after 3 iterations: segm/AP has not improved for 2 evaluations"
        in text
    )
    assert "stage full ends early after 4 iterations" in text
    assert [path.name for path in sorted(folder.glob("model_00*.pth"))][-1] == "model_0000006.pth"


def test_an_early_end_is_remembered_on_resume(tiny_cfg, tmp_path, scripted):
    scripted("segm/AP", [5.0, 4.0, 4.5] + [9.0] * 20)
    cfg = tiny_cfg(*SHORT, "TEST.EARLY_STOPPING.PATIENCE", 2)
    folder = train(cfg, str(tmp_path / "run")).folder
    state = weights(folder / "model_0000002.pth")
    assert state["progress"] == {"stage": 1, "iteration": 0, "total": 3}


def test_a_plateau_lowers_the_rate(tiny_cfg, tmp_path, scripted):
    scripted("segm/AP", [5.0, 4.0, 4.0, 4.0, 4.0, 4.0])
    stages = "[{'NAME': 'one', 'MAX_ITER': 6, 'BASE_LR': 0.01, 'WARMUP_ITERS': 0}]"
    keys = (
        "STAGES",
        stages,
        "SOLVER.LR_SCHEDULER_NAME",
        "WarmupReduceOnPlateau",
        "SOLVER.PLATEAU_PATIENCE",
        2,
        "SOLVER.LOG_PERIOD",
        1,
    )
    folder = train(tiny_cfg(*SHORT, *keys), str(tmp_path / "run")).folder
    with (folder / "training.csv").open() as stream:
        rates = [float(row["lr"]) for row in csv.DictReader(stream)]
    assert rates == pytest.approx([0.01, 0.01, 0.01, 0.001, 0.001, 0.0001])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("segm/ap", r"did you mean segm/AP\?"),
        ("segm/AP-prson", "did you mean segm/AP-person"),
        ("val/total_loss", "TEST.VAL_LOSS_PICTURES"),
        ("ema/segm/AP", "SOLVER.EMA.ENABLED"),
    ],
)
def test_a_metric_of_another_name_is_refused_before_training(tiny_cfg, tmp_path, name, words):
    with pytest.raises(ConfigError, match=f"TEST.BEST_METRIC {name} is not among .*{words}"):
        train(tiny_cfg(*SHORT, "TEST.BEST_METRIC", name), str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_boxes_alone_keep_the_default_metric_and_are_told(tiny_cfg, caplog):
    cfg = tiny_cfg("MODEL.MASK_ON", False)
    names = train_module.Scorer(cfg).figure_names()
    assert "bbox/AP-person" in names
    assert "segm/AP" not in names
    check_best_metric(cfg, names)
    assert "segm/AP is not among the figures; there are bbox/AP" in caplog.text


def test_the_average_can_be_what_is_watched(tiny_cfg, tmp_path):
    cfg = tiny_cfg(
        "TEST.EVAL_PERIOD",
        6,
        "TEST.BEST_METRIC",
        "ema/segm/AP",
        "TEST.PICTURES",
        0,
        "SOLVER.KEEP_CHECKPOINTS",
        0,
    )
    folder = train(cfg, str(tmp_path / "run")).folder
    best = weights(folder / "model_best.pth")
    assert best["metric"] == "ema/segm/AP"
    if best["iteration"] == 13:
        final = weights(folder / "model_ema.pth")["model"]
        assert all(torch.equal(best["model"][name], value) for name, value in final.items())


def test_an_unknown_metric_does_not_end_the_stage(tiny_cfg, tmp_path, scripted):
    scripted("segm/APP", [1.0] * 8)
    keys = ("STAGES", "[]", "SOLVER.MAX_ITER", 8, "TEST.EVAL_PERIOD", 2)
    keys += ("TEST.EARLY_STOPPING.PATIENCE", 1, "TEST.PICTURES", 0)
    folder = train(tiny_cfg(*keys), str(tmp_path / "run")).folder
    text = (folder / "log.txt").read_text()
    assert text.count("TEST.BEST_METRIC segm/AP is not among the figures") == 1
    assert "ends early" not in text


def test_validation_losses_are_measured_on_the_final_weights_too(tiny_cfg, tmp_path):
    keys = (
        "STAGES",
        "[]",
        "SOLVER.MAX_ITER",
        4,
        "TEST.EVAL_PERIOD",
        2,
        "TEST.VAL_LOSS_PICTURES",
        -1,
        "TEST.BEST_METRIC",
        "val/total_loss",
    )
    folder = train(tiny_cfg(*keys, "TEST.PICTURES", 0), str(tmp_path / "run")).folder
    with (folder / "evaluations.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["iteration"] for row in rows] == ["1", "3"]
    assert all(float(row["val/total_loss"]) > 0 for row in rows)
    assert "is not among the figures" not in (folder / "log.txt").read_text()
