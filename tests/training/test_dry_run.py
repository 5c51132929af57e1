"""What cannot work is refused before the first step, by key, with exit code 1 and one line."""

from __future__ import annotations

import pytest

from bdd_inst.base.errors import ConfigError
from bdd_inst.training.train import train

MISTAKES = [
    (
        ("SOLVER.BASE_LR", 0, "STAGES", "[]"),
        "stage all: SOLVER.BASE_LR 0.0: expected a number above 0",
    ),
    (("STAGES.full.BASE_LR", -1), "stage full: SOLVER.BASE_LR -1.0"),
    (("SOLVER.MOMENTUM", -1.0), "SOLVER.MOMENTUM -1.0"),
    (("SOLVER.WEIGHT_DECAY", -1.0), "SOLVER.WEIGHT_DECAY -1.0"),
    (("SOLVER.WEIGHT_DECAY_BIAS", "abc"), "SOLVER.WEIGHT_DECAY_BIAS 'abc'"),
    (
        ("SOLVER.NESTEROV", True, "SOLVER.MOMENTUM", 0.0),
        "stage heads: its SOLVER, INPUT and DATALOADER keys do not go together: Nesterov",
    ),
    (("SOLVER.EMA.DECAY", -1.0), "SOLVER.EMA.DECAY -1.0"),
    (("SOLVER.STEPS", "[2, 1]"), r"SOLVER.STEPS \[2, 1\]: expected rising numbers"),
    (("SOLVER.STEPS", "[1, 1]"), "rising"),
    (("SOLVER.STEPS", "['a']"), "expected numbers above 0"),
    (("SOLVER.NUM_DECAYS", 0), "SOLVER.NUM_DECAYS 0"),
    (("INPUT.MIN_SIZE_TRAIN", "[-5]"), "INPUT.MIN_SIZE_TRAIN"),
    (("INPUT.MIN_SIZE_TRAIN", "[]"), "MIN_SIZE_TRAIN"),
    (("INPUT.MAX_SIZE_TRAIN", 0), "INPUT.MAX_SIZE_TRAIN 0"),
    (("INPUT.LARGE_SCALE_JITTER.SIZE", "[64]"), "expected two numbers"),
    (("INPUT.LARGE_SCALE_JITTER.SCALE", "[2.0, 0.1]"), "expected rising"),
    (("INPUT.COPY_PASTE.MAX_INSTANCES", 0), "INPUT.COPY_PASTE.MAX_INSTANCES 0"),
    (("DATALOADER.NUM_WORKERS", -1), "DATALOADER.NUM_WORKERS -1"),
    (("STAGES.full.TRAIN", "['roi_head.*']"), "stage full: TRAIN 'roi_head.\\*' matches no module"),
    (
        ("STAGES.full.LR_SCHEDULER_NAME", "WarmupFoo"),
        "stage full: SOLVER.LR_SCHEDULER_NAME 'WarmupFoo'",
    ),
    (("STAGES.full.OPTIMIZER", "Adam"), "stage full: SOLVER.OPTIMIZER 'Adam'"),
    (("DATALOADER.SAMPLER_TRAIN", "Foo"), "DATALOADER.SAMPLER_TRAIN 'Foo'"),
    (("SOLVER.CLIP_GRADIENTS.CLIP_TYPE", "foo"), "CLIP_TYPE 'foo'"),
    (("TEST.PROTOCOL", "foo"), "TEST.PROTOCOL 'foo' is not supported; use 'coco' or 'bdd'"),
]


@pytest.mark.parametrize(
    ("overrides", "message"), MISTAKES, ids=[" ".join(map(str, words)) for words, _ in MISTAKES]
)
def test_mistakes_are_found_before_the_first_step(tiny_cfg, tmp_path, overrides, message):
    with pytest.raises(ConfigError, match=message):
        train(tiny_cfg(*overrides), str(tmp_path / "run"))
    assert not list((tmp_path / "run").glob("*.pth"))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("SOLVER.MAX_ITER", "null is no int"),
        ("SOLVER.BASE_LR", "null is no float"),
        ("DATASETS.TRAIN", "DATASETS.TRAIN is empty"),
    ],
)
def test_null_is_no_number_and_an_empty_list(tiny_cfg, tmp_path, key, message):
    with pytest.raises(ConfigError, match=message):
        train(tiny_cfg(key, "null"), str(tmp_path / "run"))
    assert tiny_cfg("STAGES", "null", "SOLVER.WEIGHT_DECAY_BIAS", "null").STAGES == []


@pytest.mark.parametrize(
    "item",
    [
        {"TEST": {"VAL_LOSS_PICTURES": -1}}, {"TEST.EARLY_STOPPING.PATIENCE": 1}, {"EMA": {"ENABLED": False}}, {"LOG_PERIOD": 1},
        {"AMP": {"ENABLED": True}}, {"DATASETS": {"TEST": []}}, {"INPUT.MIN_SIZE_TEST": 3},
    ],
)  # fmt: skip
def test_a_stage_that_sets_what_holds_for_the_whole_run_is_told(tiny_cfg, tmp_path, item):
    cfg = tiny_cfg()
    cfg.STAGES = [{"MAX_ITER": 2} | item]
    with pytest.raises(
        ConfigError, match="STAGES.0: .* holds for the whole run; set it outside STAGES"
    ):
        train(cfg, str(tmp_path / "run"))


def test_stages_may_read_their_data_differently(tiny_cfg):
    from bdd_inst.training.stages import parse_stages
    from bdd_inst.training.training_data import TrainingData

    cfg = tiny_cfg()
    cfg.STAGES = [
        {"MAX_ITER": 1},
        {"MAX_ITER": 1, "DATALOADER": {"FILTER_EMPTY_ANNOTATIONS": False}},
        {"MAX_ITER": 2},
    ]
    stages = parse_stages(cfg)
    data = TrainingData(stages)
    assert data.of(stages[0]) is data.of(stages[2])
    assert data.of(stages[0]) is not data.of(stages[1])
    assert list(data.by_name()) == ["coco_2017_person_train"]
