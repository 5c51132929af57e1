"""A pixel-wise model trains, is scored and drawn by the same run as any other."""

from __future__ import annotations

import json

import pytest

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.loading import load_cfg
from bdd_inst.training.train import train

SMALL = (
    "MODEL.META_ARCHITECTURE", "SemanticSegmentor", "MODEL.DEVICE", "cpu", "MODEL.WEIGHTS", "", "MODEL.BACKBONE.FREEZE_AT", 0,
    "MODEL.SEM_SEG_HEAD.NAME", "FastSCNN", "MODEL.SEM_SEG_HEAD.NUM_CLASSES", 1, "INPUT.MIN_SIZE_TRAIN", [64],
    "INPUT.MIN_SIZE_TEST", 64, "DATASETS.TRAIN", ["coco_2017_person_train"], "DATASETS.TEST", ["coco_2017_person_val"],
    "DATALOADER.NUM_WORKERS", 0, "SOLVER.IMS_PER_BATCH", 2, "SOLVER.MAX_ITER", 2, "SOLVER.EMA.ENABLED", True, "SEED", 1,
    "TEST.BEST_METRIC", "ema/sem_seg/mIoU", "TEST.EVAL_PERIOD", 1, "TEST.VAL_LOSS_PICTURES", 2, "TEST.PICTURES", 1, "LOGGERS", ["csv"],
)  # fmt: skip


@pytest.fixture
def cfg(project_root, tiny_cfg):
    """Fast-SCNN on the tiny persons."""
    tiny_cfg()  # the data sets of this test's own root
    path = project_root / "configs" / "coco_person_fastscnn.yaml"
    cfg = load_cfg(path)
    cfg.merge_from_list(list(SMALL))
    cfg.STAGES = []
    return cfg


def test_a_run_leaves_figures_images_and_the_best(cfg, tmp_path):
    train(cfg, str(tmp_path / "run"))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert set(metrics) >= {"protocol", "sem_seg"}
    block = metrics["sem_seg"]
    assert 0 <= block["IoU-person"] <= block["Dice-person"] <= 100
    assert block["pictures"] == 4
    for name in (
        "report.html",
        "sem_seg.csv",
        "model_best.pth",
        "model_final.pth",
        "ema/metrics.json",
    ):
        assert (tmp_path / "run" / name).is_file(), name
    assert len(list((tmp_path / "run" / "pictures").glob("*.png"))) == 1
    header = (tmp_path / "run" / "evaluations.csv").read_text().splitlines()[0]
    assert "ema/sem_seg/mIoU" in header
    assert "val/total_loss" in header


def test_another_number_of_classes_is_said(cfg, tmp_path):
    cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES = 5
    with pytest.raises(ConfigError, match="have 2 values .background, person.: set it to 1 or 2"):
        train(cfg, str(tmp_path / "run"))
