"""Whole runs, in this process: what they leave, stages, evaluation on the way, resuming to the same bits."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
import torch

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.engines import build_model
from bdd_inst.training.seeds import seed_all
from bdd_inst.training.train import train
from bdd_inst.weights.checkpoint import load_weights


def rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def weights(path):
    return torch.load(path, weights_only=True)["model"]


def same(first, second) -> bool:
    a, b = weights(first), weights(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def whole(tiny_config, tiny_data, tmp_path_factory):
    """A run from beginning to end, evaluated on the way."""
    from bdd_inst.config.loading import load_cfg
    from bdd_inst.datasets.catalog import DatasetCatalog

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETECTRON2_DATASETS", str(tiny_data))
        DatasetCatalog._loaded.clear()
        folder = tmp_path_factory.mktemp("run") / "whole"
        cfg = load_cfg(
            tiny_config,
            [
                "TEST.EVAL_PERIOD",
                "6",
                "TEST.VAL_LOSS_PICTURES",
                "2",
                "LOGGERS",
                "['csv', 'tensorboard']",
            ],
        )
        return train(cfg, str(folder))


def test_the_folder_holds_what_was_promised(whole):
    there = {path.name for path in whole.folder.iterdir()}
    assert there >= {
        "config.yaml", "model_final.pth", "model_ema.pth", "model_best.pth", "metrics.json", "run.json", "log.txt", "training.csv",
        "evaluations.csv", "pr_curves.csv", "pr_curves.png", "pictures", "ema", "tensorboard", "last_checkpoint",
    }  # fmt: skip
    assert "run.lock" not in there
    assert len(list((whole.folder / "pictures").glob("*.png"))) == 2
    assert not list(whole.folder.glob(".*.part"))


def test_the_figures_are_in_metrics_json(whole):
    metrics = json.loads((whole.folder / "metrics.json").read_text())
    assert metrics["protocol"] == "coco"
    assert {"AP", "AP50", "AR100", "AP-person"} <= metrics["segm"].keys()
    assert "coco_2017_person_val" in whole.text


def test_run_json_says_which_run_it_was(whole):
    facts = json.loads((whole.folder / "run.json").read_text())
    assert facts["seed"] == 7
    assert facts["iterations"] == 14
    assert facts["data"]["coco_2017_person_train"]["pictures"] == 12
    assert (
        facts["versions"]["torch"] == torch.__version__.split("+")[0]
        or facts["versions"]["torch"] in torch.__version__
    )
    assert {"started", "finished", "command", "git", "results"} <= facts.keys()


def test_every_loss_and_the_rate_are_logged(whole):
    log = rows(whole.folder / "training.csv")
    # Periods of three in a stage of five iterations and one of nine.
    assert [(int(row["iteration"]), row["stage"]) for row in log] == [
        (2, "heads"), (4, "heads"), (7, "full"), (10, "full"), (13, "full"),
    ]  # fmt: skip
    for row in log:
        parts = [
            float(row[name])
            for name in ("loss_cls", "loss_box_reg", "loss_mask", "loss_rpn_cls", "loss_rpn_loc")
        ]
        assert sum(parts) == pytest.approx(float(row["total_loss"]), rel=1e-5)
        assert float(row["lr"]) > 0
        assert 0 <= float(row["data_wait_share"]) <= 1


def test_evaluations_are_logged_with_the_average_and_the_validation_loss(whole):
    log = rows(whole.folder / "evaluations.csv")
    assert [int(row["iteration"]) for row in log] == [5, 11, 13]
    assert float(log[0]["val/total_loss"]) > 0
    assert "ema/segm/AP" in log[0]


def test_a_heads_stage_moves_the_heads_and_nothing_else(tiny_cfg, tmp_path):
    cfg = tiny_cfg(
        "STAGES",
        "[{'NAME': 'heads', 'TRAIN': 'heads', 'MAX_ITER': 2, 'BASE_LR': 0.1, 'WARMUP_ITERS': 0}]",
    )
    folder = train(cfg, str(tmp_path / "run")).folder
    seed_all(7, 0)
    before, after = build_model(cfg).state_dict(), weights(folder / "model_final.pth")
    moved = {
        name.split(".")[0] for name, value in after.items() if not torch.equal(value, before[name])
    }
    assert moved == {"proposal_generator", "roi_heads"}
    assert "frozen ones lie in backbone" in (folder / "log.txt").read_text()


def test_final_weights_load_and_evaluate_to_the_same_figures(whole, tiny_cfg, tmp_path):
    cfg = tiny_cfg("MODEL.WEIGHTS", whole.folder / "model_final.pth")
    assert load_weights(build_model(cfg), cfg.MODEL.WEIGHTS, cfg).complete
    again = train(cfg, str(tmp_path / "eval"), eval_only=True)
    assert again.metrics == whole.metrics
    assert not (tmp_path / "eval" / "model_final.pth").exists()


def test_the_same_seed_gives_the_same_weights_whatever_else_a_run_does(whole, tiny_cfg, tmp_path):
    """Evaluations, logs, workers and checkpoints leave no trace in the arithmetic."""
    cfg = tiny_cfg(
        "TEST.EVAL_PERIOD", 0, "SOLVER.CHECKPOINT_PERIOD", 0, "DATALOADER.NUM_WORKERS", 2
    )
    assert same(
        train(cfg, str(tmp_path / "b")).folder / "model_final.pth", whole.folder / "model_final.pth"
    )


class StopAfter:
    """A stop request that arrives at a given iteration."""

    name, owner = "SIGTERM", 0

    def __init__(self, run, iteration):
        self.run, self.iteration = run, iteration

    def __bool__(self):
        return self.run.progress.total == self.iteration


@pytest.mark.parametrize(
    "stop_at", [5, 11, *(pytest.param(at, marks=pytest.mark.slow) for at in (3, 6))]
)
def test_stopped_and_resumed_is_the_same_as_never_stopped(
    whole, tiny_cfg, tmp_path, monkeypatch, stop_at
):
    """In the first stage, at its end, at the start of the second, and within a log period."""
    from bdd_inst.training.loop import Trainer

    cfg = tiny_cfg("TEST.EVAL_PERIOD", 6, "TEST.VAL_LOSS_PICTURES", 2)
    folder = tmp_path / "run"
    real = Trainer.train
    monkeypatch.setattr(
        Trainer, "train", lambda run: (setattr(run, "stop", StopAfter(run, stop_at)), real(run))[1]
    )
    stopped = train(cfg, str(folder))
    monkeypatch.undo()
    monkeypatch.setenv("DETECTRON2_DATASETS", "unused: loaded already")
    assert stopped.metrics is None
    assert "--resume" in stopped.text
    assert f"stopped by SIGTERM after {stop_at} of 14 iterations" in stopped.text
    train(cfg, str(folder), resume=True)
    for name in ("model_final.pth", "model_ema.pth"):
        assert same(folder / name, whole.folder / name)
    assert (folder / "evaluations.csv").read_text() == (
        whole.folder / "evaluations.csv"
    ).read_text()
    timed = ("seconds_per_step", "data_wait_share", "pictures_per_second", "memory_gb")
    for mine, theirs in zip(
        rows(folder / "training.csv"), rows(whole.folder / "training.csv"), strict=True
    ):
        assert {k: v for k, v in mine.items() if k not in timed} == {
            k: v for k, v in theirs.items() if k not in timed
        }


def test_a_folder_with_a_run_is_refused_unless_resumed(whole, tiny_cfg):
    with pytest.raises(DataError, match="--resume goes on with it"):
        train(tiny_cfg(), str(whole.folder))


def test_a_runs_folder_evaluates_its_own_final_weights(whole, tiny_cfg, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(whole.folder, folder)
    (folder / "metrics.json").unlink()
    again = train(tiny_cfg(), str(folder), eval_only=True)
    assert again.metrics == whole.metrics
    assert (folder / "metrics.json").is_file()
    assert same(folder / "model_final.pth", whole.folder / "model_final.pth")
    with pytest.raises(ConfigError, match="name the weights"):
        train(tiny_cfg(), str(tmp_path / "empty"), eval_only=True)


def test_resuming_a_finished_run_only_evaluates_again(whole, tiny_cfg, tmp_path):
    before = weights(whole.folder / "model_final.pth")
    logged = (whole.folder / "evaluations.csv").read_text()
    again = train(
        tiny_cfg("TEST.EVAL_PERIOD", 6, "TEST.VAL_LOSS_PICTURES", 2), str(whole.folder), resume=True
    )
    assert again.metrics == whole.metrics
    assert (whole.folder / "evaluations.csv").read_text() == logged
    assert "all 14 iterations are done" in (whole.folder / "log.txt").read_text()
    assert all(
        torch.equal(before[name], value)
        for name, value in weights(whole.folder / "model_final.pth").items()
    )


def test_resume_without_output_takes_the_newest_run(tiny_cfg, tmp_path):
    cfg = tiny_cfg("OUTPUT_DIR", tmp_path, "STAGES.full.MAX_ITER", 1)
    with pytest.raises(DataError, match="no run with a checkpoint"):
        train(cfg, resume=True)
    first = train(cfg)
    assert first.folder.parent == tmp_path
    assert train(cfg, resume=True).folder == first.folder


def test_without_data_one_screen_says_what_is_missing(tiny_cfg, tmp_path, monkeypatch):
    cfg = tiny_cfg()
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    with pytest.raises(DataError, match="not there"):
        train(cfg, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("DATASETS.TRAIN", "[]", "DATASETS.TRAIN is empty"),
        ("LOGGERS", "['tensorbord']", "LOGGERS 'tensorbord' is not supported; use 'csv'"),
        ("MODEL.DEVICE", "gpu", "none of cuda"),
        ("SOLVER.AMP", None, ""),
    ],
)
def test_mistakes_stop_before_training(tiny_cfg, tmp_path, key, value, words):
    if value is None:
        cfg = tiny_cfg("SOLVER.AMP.ENABLED", True, "SOLVER.AMP.PRECISION", "fp8")
        words = "SOLVER.AMP.PRECISION 'fp8' is not supported; use 'auto'"
    else:
        cfg = tiny_cfg(key, value)
    with pytest.raises(ConfigError, match=words):
        train(cfg, str(tmp_path / "out"))
    assert not list((tmp_path / "out").glob("model*"))
