"""Stages: what they may say, what they inherit, how lengths are fixed, and how mistakes are named."""

from __future__ import annotations

import pytest

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.loading import get_cfg, load_cfg
from bdd_inst.training.stages import fit_all, fit_stage, parse_stages


def stages_of(*items, **solver):
    cfg = get_cfg()
    cfg.SEED = 3
    for name, value in solver.items():
        cfg.SOLVER[name] = value
    cfg.STAGES = list(items)
    return parse_stages(cfg)


def test_no_list_is_one_stage_by_the_solver_keys():
    (stage,) = stages_of(MAX_ITER=70)
    assert (stage.name, stage.train, stage.freeze_at, stage.max_iter) == ("all", "all", 2, 70)


def test_a_stage_sets_its_own_keys_and_inherits_the_rest():
    heads, full = stages_of(
        {"NAME": "heads", "TRAIN": "heads", "MAX_ITER": 10, "BASE_LR": 1},
        {"NAME": "full", "FREEZE_AT": 0, "INPUT": {"MIN_SIZE_TRAIN": [64]}, "INPUT.RANDOM_FLIP": "none",
         "CLIP_GRADIENTS": {"ENABLED": True}},
        MAX_ITER=99, BASE_LR=0.5,
    )  # fmt: skip
    assert (heads.max_iter, heads.cfg.SOLVER.BASE_LR, heads.cfg.INPUT.RANDOM_FLIP) == (
        10,
        1.0,
        "horizontal",
    )
    assert (full.max_iter, full.cfg.SOLVER.BASE_LR, full.freeze_at) == (99, 0.5, 0)
    assert (
        full.cfg.INPUT.MIN_SIZE_TRAIN,
        full.cfg.INPUT.RANDOM_FLIP,
        full.cfg.SOLVER.CLIP_GRADIENTS.ENABLED,
    ) == ([64], "none", True)
    assert heads.cfg.SEED != full.cfg.SEED


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("heads", "a stage is a mapping"),
        ({"TRIAN": "heads"}, "did you mean TRAIN"),
        ({"BASE_RL": 1.0}, "did you mean SOLVER.BASE_LR"),
        ({"TRAIN": "head"}, "did you mean heads"),
        ({"TRAIN": []}, "list of module name patterns"),
        ({"MODEL.WEIGHTS": ""}, "the model is built once"),
        ({"MODEL": {"MASK_ON": True}}, "the model is built once"),
        ({"EPOCHS": 0}, "above 0"),
        ({"EPOCHS": 1, "MAX_ITER": 4}, "keep one"),
        ({"MAX_ITER": 0}, "stage stage1: SOLVER.MAX_ITER 0: expected a number above 0"),
        ({"IMS_PER_BATCH": 0}, "at least 1 image"),
        ({"FREEZE_AT": 6}, r"STAGES.0.FREEZE_AT 6 is not supported; use 0 or 1 or"),
        ({"FREEZE_AT": True}, r"STAGES.0.FREEZE_AT True is not supported"),
        ({"EPOCHS": True}, r"STAGES.0.EPOCHS True: expected a number above 0"),
        ({"EPOCHS": "ten"}, r"STAGES.0.EPOCHS 'ten': expected a number above 0"),
        ({"BASE_LR": "high"}, "BASE_LR"),
    ],
)
def test_mistakes_are_named(item, words):
    with pytest.raises(ConfigError, match=words):
        stages_of(item)


def test_names_tell_stages_apart():
    with pytest.raises(ConfigError, match="'a' is used twice"):
        stages_of({"NAME": "a"}, {"NAME": "a"})


def test_epochs_and_shares_become_iterations():
    (stage,) = stages_of({"EPOCHS": 3, "STEPS": [0.5, 0.9]}, IMS_PER_BATCH=4)
    fitted = fit_stage(stage, 50, 1)
    assert fitted.max_iter == 38  # ceil(3 x 50 / 4)
    assert list(fitted.cfg.SOLVER.STEPS) == [19, 34]


def test_linear_rule_has_the_numbers_of_detectron2s_documentation(caplog):
    (stage,) = stages_of(
        IMS_PER_BATCH=16,
        BASE_LR=0.1,
        REFERENCE_WORLD_SIZE=8,
        MAX_ITER=5000,
        STEPS=[4000],
        CHECKPOINT_PERIOD=1000,
        WARMUP_ITERS=500,
    )
    with caplog.at_level("INFO"):
        solver = fit_stage(stage, 100, 16).cfg.SOLVER
    assert (solver.IMS_PER_BATCH, solver.BASE_LR, solver.MAX_ITER, list(solver.STEPS)) == (
        32,
        0.2,
        2500,
        [2000],
    )
    assert (solver.CHECKPOINT_PERIOD, solver.WARMUP_ITERS, solver.REFERENCE_WORLD_SIZE) == (
        500,
        250,
        16,
    )
    assert "linear rule" in caplog.text


def test_the_linear_rule_keeps_the_number_of_epochs():
    (stage,) = stages_of({"EPOCHS": 4}, IMS_PER_BATCH=8, REFERENCE_WORLD_SIZE=4)
    fitted = fit_stage(stage, 100, 1)
    assert (fitted.cfg.SOLVER.IMS_PER_BATCH, fitted.max_iter) == (2, 200)


@pytest.mark.parametrize("keys", [{"IMS_PER_BATCH": 3}, {"IMS_PER_BATCH": 4, "ACCUMULATE": 4}])
def test_batches_must_divide(keys):
    with pytest.raises(ConfigError, match="does not divide"):
        fit_all(stages_of(**keys), 10, 2)


@pytest.mark.parametrize(
    "name",
    [
        "demo.yaml",
        "bdd_maskrcnn.yaml",
        "fashion_person_maskrcnn.yaml",
        "coco_person_maskrcnn_R101.yaml",
    ],
)
def test_the_configs_that_we_ship_parse(name):
    stages = parse_stages(load_cfg(name))
    assert [stage.train for stage in stages][:1] == ["heads"]
