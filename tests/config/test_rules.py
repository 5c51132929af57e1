"""No config key is dropped in silence: each is classified, read somewhere if it is said to be, and refused by name if it is not."""

import ast
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import bdd_inst.engines
import bdd_inst.training.stages  # noqa: F401 (and which presets a stage has)
from bdd_inst.base.errors import ConfigError
from bdd_inst.config.checking import allowed, check_config
from bdd_inst.config.loading import get_cfg, get_key, known_keys, load_cfg, merge_overrides
from bdd_inst.config.rules import BY_TABLE, HONORED, NUMBERS, REFUSED, STAGE_KEYS, TEXTS, VALUES

ROOT = Path(__file__).resolve().parents[2]
ZOO = ROOT / "tests" / "fixtures" / "zoo_configs" / "instance_segmentation"
MISC, PANOPTIC = ZOO.parent / "misc", ZOO.parent / "panoptic"
FPN = ZOO / "mask_rcnn_R_50_FPN_3x.yaml"
SOURCE = "\n".join(p.read_text() for p in (ROOT / "bdd_inst").rglob("*.py") if p.name != "rules.py")
DEFORM = ("MODEL.RESNETS.DEFORM_ON_PER_STAGE", "[False,True,True,True]")
KEYS = sorted(known_keys(get_cfg()))
# Below 0 they mean never, all or none; DEFORM_NUM_GROUPS and BASE_LR_END are held against other keys.
FREE = {
    "SEED",
    "MODEL.RPN.BOUNDARY_THRESH",
    "MODEL.RESNETS.DEFORM_NUM_GROUPS",
    "SOLVER.BASE_LR_END",
    "SOLVER.CHECKPOINT_PERIOD",
    "TEST.DETECTIONS_PER_IMAGE",
    "TEST.EVAL_PERIOD",
    "TEST.PICTURES",
    "TEST.VAL_LOSS_PICTURES",
}


def changed(*overrides):
    cfg = load_cfg(FPN)
    merge_overrides(cfg, overrides)
    return cfg


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_classified(key):
    patterns = (*REFUSED, *HONORED)
    assert key in {*VALUES, *BY_TABLE, *TEXTS} or any(
        fnmatchcase(key, pattern) for pattern in patterns
    )


@pytest.mark.parametrize(
    "key",
    [
        k
        for k in KEYS
        if k not in REFUSED and not k.startswith(tuple(p.rstrip("*") for p in REFUSED))
    ],
)
def test_a_key_said_to_be_honored_is_read(key):
    name = key.rsplit(".", 1)[-1]
    single_valued = key in VALUES and len(VALUES[key]) == 1  # nothing to choose
    assert single_valued or re.search(rf"\b{name}\b", SOURCE), (
        f"{key} is in defaults.yaml and nothing reads it"
    )


@pytest.mark.parametrize("key", KEYS)
def test_what_a_key_may_be_has_an_answer(key):
    assert allowed(key)


def test_the_answers_are_those_of_the_table():
    assert allowed("SOLVER.BASE_LR") == "a number above 0"
    assert allowed("INPUT.LARGE_SCALE_JITTER.SCALE") == "two rising numbers above 0"
    assert "'GeneralizedRCNN', 'PanopticFPN'" in allowed("MODEL.META_ARCHITECTURE")
    assert allowed("LOGGERS").startswith("each one of 'csv', 'tensorboard'")
    assert "keypoints are not built" in allowed("MODEL.KEYPOINT_ON")
    assert allowed("OUTPUT_DIR") == "anything of its type"
    assert allowed("MODEL.DEVICE") == "one of cuda, cuda:N, mps, cpu"
    assert allowed("STAGES.FREEZE_AT") == allowed("MODEL.BACKBONE.FREEZE_AT")
    assert allowed("STAGES.EPOCHS") == "a number above 0"
    assert allowed("STAGES.TRAIN").startswith("one of 'heads', 'fpn+heads', 'all', or a list")
    assert allowed("STAGES.NAME") == "a text"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("MODEL.RPN.NMS_THRESH", "1.5"), "MODEL.RPN.NMS_THRESH 1.5: expected a number between 0"),
        (("INPUT.COLOR_JITTER.HUE", "0.6"), "expected a number between 0 and 0.5"),
        (("SOLVER.IMS_PER_BATCH", "0"), "expected a number of at least 1 image, or auto"),
        (("DATASETS.SOURCE", "pngs"), "DATASETS.SOURCE 'pngs' is not supported"),
        (("MODEL.DEVICE", "gpu"), "MODEL.DEVICE 'gpu' is none of cuda, cuda:N, mps, cpu"),
        (("FLOAT32_PRECISION", "low"), "FLOAT32_PRECISION 'low' is not supported"),
        (("INPUT.COPY_PASTE.ENABLED", "True"), "COPY_PASTE .* needs .* bitmask"),
    ],
)
@pytest.mark.parametrize("engine", ["builtin", "detectron2"])
def test_what_no_engine_can_do_is_refused_with_each(words, says, engine):
    with pytest.raises(ConfigError, match=says):
        check_config(changed("MODEL.ENGINE", engine, *words))


def test_numbers_without_a_range_are_those_that_may_be_anything():
    """A new number needs a row in NUMBERS, or its name here."""
    free = {
        key
        for key in KEYS
        if type(get_key(get_cfg(), key)) in (int, float)
        and not {key} & {*VALUES, *NUMBERS}
        and "nothing but" not in allowed(key)
    }
    assert free == FREE


def test_the_tables_name_no_key_that_does_not_exist():
    known = {*KEYS, *(f"STAGES.{key}" for key in STAGE_KEYS)}
    assert not {*VALUES, *NUMBERS, *TEXTS, *BY_TABLE} - known
    for pattern in (*HONORED, *REFUSED):
        stem = pattern.rstrip("*").rstrip(".")
        assert any(key.startswith(stem) for key in KEYS), pattern


@pytest.mark.parametrize(
    "path", sorted([*MISC.glob("*.yaml"), *PANOPTIC.glob("*.yaml")]), ids=lambda p: p.stem
)
def test_the_zoos_other_models_are_supported(path):
    check_config(load_cfg(path))


@pytest.mark.parametrize("path", sorted(ZOO.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_mask_rcnn_of_detectron2s_zoo_is_supported(path):
    """The fixtures hold the values of the eleven COCO-InstanceSegmentation files of Detectron2's model zoo."""
    cfg = load_cfg(path)
    check_config(cfg)
    assert cfg.MODEL.MASK_ON
    assert ("101" if "_101_" in path.stem else "50") == str(cfg.MODEL.RESNETS.DEPTH)


def test_the_fixtures_are_the_whole_zoo():
    assert len(list(ZOO.glob("*.yaml"))) == 11


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("MODEL.KEYPOINT_ON", "True"),
        ("MODEL.LOAD_PROPOSALS", "True"),
        ("MODEL.META_ARCHITECTURE", "RetinaNet"),
        ("MODEL.PANOPTIC_FPN.INSTANCE_LOSS_WEIGHT", "0.5"),
        ("MODEL.ANCHOR_GENERATOR.NAME", "RotatedAnchorGenerator"),
        ("MODEL.PROPOSAL_GENERATOR.NAME", "RRPN"),
        ("MODEL.BACKBONE.NAME", "build_mobilenetv2_fpn_backbone"),
        ("MODEL.ROI_BOX_HEAD.POOLER_TYPE", "ROIPool"),
        ("MODEL.ROI_BOX_HEAD.USE_FED_LOSS", "True"),
        ("MODEL.RESNETS.NORM", "LN"),
        ("MODEL.RESNETS.DEPTH", "200"),
        ("MODEL.RETINANET.NUM_CLASSES", "3"),
        ("DATASETS.PROPOSAL_FILES_TRAIN", "['x.pkl']"),
        ("INPUT.FORMAT", "YUV"),
        ("VERSION", "1"),
        ("GLOBAL.HACK", "2.0"),
    ],
)
def test_what_is_not_built_is_refused_by_name(key, value):
    with pytest.raises(ConfigError, match=re.escape(key)) as caught:
        check_config(changed(key, value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", [k for k in KEYS if k in REFUSED])
def test_every_refused_key_is_refused(key):
    value = get_key(get_cfg(), key)
    other = (
        not value
        if isinstance(value, bool)
        else value + 1
        if isinstance(value, (int, float))
        else [*value, 1]
    )
    with pytest.raises(ConfigError, match=re.escape(key)):
        check_config(changed(key, repr(other)))


def test_the_nearest_value_is_named():
    with pytest.raises(ConfigError, match=r"did you mean build_resnet_fpn_backbone\?"):
        check_config(changed("MODEL.BACKBONE.NAME", "build_resnet_fpn_backbon"))


def test_the_real_detectron2_builds_more():
    retina = ("MODEL.RPN.HEAD_NAME", "MyRPNHead")
    with pytest.raises(ConfigError, match="HEAD_NAME"):
        check_config(changed(*retina))
    check_config(changed("MODEL.ENGINE", "detectron2", *retina))
    with pytest.raises(ConfigError, match="KEYPOINT_ON"):
        check_config(changed("MODEL.ENGINE", "detectron2", "MODEL.KEYPOINT_ON", "True"))


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("MODEL.RPN.IN_FEATURES", "['p2','p7']"), "p7 is not among the backbone's features"),
        (("MODEL.ROI_HEADS.IN_FEATURES", "[]"), "MODEL.ROI_HEADS.IN_FEATURES"),
        (("MODEL.FPN.IN_FEATURES", "['res2','res4']"), "neighbors"),
        (
            ("MODEL.RESNETS.OUT_FEATURES", "['res2','res3']"),
            "res4 is not among MODEL.RESNETS.OUT_FEATURES",
        ),
        (("MODEL.RESNETS.OUT_FEATURES", "['res1']"), "res1 is not among the stages"),
        (("MODEL.ANCHOR_GENERATOR.SIZES", "[[32],[64]]"), "give 1 or 5"),
        (("MODEL.ANCHOR_GENERATOR.SIZES", "[32, 64]"), "list of lists"),
        (("MODEL.ANCHOR_GENERATOR.SIZES", "[[32],[64],[128],[256],[512, 600]]"), "as many anchors"),
        (("MODEL.RESNETS.DEPTH", "18"), "RES2_OUT_CHANNELS must be 64"),
        (("MODEL.RESNETS.DEPTH", "34", "MODEL.RESNETS.NUM_GROUPS", "2"), "NUM_GROUPS must be 1"),
        (("MODEL.ROI_HEADS.NUM_CLASSES", "0"), "NUM_CLASSES 0: expected a number above 0"),
        (("MODEL.RESNETS.DEFORM_ON_PER_STAGE", "[True]"), "four of true and false"),
        ((*DEFORM, "MODEL.RESNETS.DEPTH", "18"), "DEPTH of 50 or more"),
        ((*DEFORM, "MODEL.RESNETS.DEFORM_NUM_GROUPS", "3"), "does not divide the 128 channels"),
        ((*DEFORM, "MODEL.ROI_HEADS.NAME", "Res5ROIHeads"), "res5 cannot be deformable"),
        (("MODEL.ROI_BOX_HEAD.NUM_FC", "0"), "both 0"),
        (("MODEL.ROI_BOX_HEAD.NAME", ""), "FastRCNNConvFCHead"),
        (("MODEL.PIXEL_STD", "[1.0]"), "three numbers"),
        (("MODEL.PIXEL_STD", "[1.0,0.0,1.0]"), "above 0"),
        (("MODEL.ROI_HEADS.NAME", "Res5ROIHeads"), "must be .'res4'."),
        (("MODEL.FPN.NORM", "GN", "MODEL.FPN.OUT_CHANNELS", "40"), "OUT_CHANNELS 40 must be a"),
        (("MODEL.RESNETS.NORM", "GN", "MODEL.RESNETS.STEM_OUT_CHANNELS", "48"), "STEM_OUT_CHAN"),
        (("MODEL.RESNETS.NORM", "GN", "MODEL.RESNETS.WIDTH_PER_GROUP", "24"), "WIDTH_PER_GROUP 24"),
        (("MODEL.ROI_MASK_HEAD.NORM", "GN", "MODEL.ROI_MASK_HEAD.CONV_DIM", "40"), "CONV_DIM 40"),
    ],
)
def test_keys_that_contradict_each_other(overrides, says):
    with pytest.raises(ConfigError, match=says):
        check_config(changed(*overrides))


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("MODEL.ROI_BOX_CASCADE_HEAD.IOUS", "[0.5,0.6]"), "for each of its stages"),
        (
            ("MODEL.ROI_BOX_CASCADE_HEAD.IOUS", "['a','b','c']"),
            "IOUS.*expected numbers between 0 and 1",
        ),
        (("MODEL.ROI_BOX_CASCADE_HEAD.BBOX_REG_WEIGHTS", "[[1,1],[1,1],[1,1]]"), "four numbers"),
        (
            ("MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", "False"),
            "CLS_AGNOSTIC_BBOX_REG must be True",
        ),
        (("MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES", "True"), "TRAIN_ON_PRED_BOXES must be False"),
        (("MODEL.ROI_HEADS.IOU_THRESHOLDS", "[0.6]"), "IOU_THRESHOLDS must be .0.5."),
        (("MODEL.ROI_BOX_HEAD.NUM_FC", "0"), "both 0"),
    ],
)
def test_keys_that_contradict_a_cascade(overrides, says):
    cfg = load_cfg(MISC / "cascade_mask_rcnn_R_50_FPN_3x.yaml")
    merge_overrides(cfg, overrides)
    with pytest.raises(ConfigError, match=says):
        check_config(cfg)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_our_own_configs_are_supported(path):
    check_config(load_cfg(path))


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("MODEL.SEM_SEG_HEAD.NAME", "FastSCNN"), "NAME must be SemSegFPNHead"),
        (("MODEL.SEM_SEG_HEAD.NUM_CLASSES", "1"), "at least 2"),
        (("MODEL.MASK_ON", "False"), "MASK_ON must be True"),
        (("MODEL.PANOPTIC_FPN.COMBINE.ENABLED", "False"), "COMBINE.ENABLED"),
        (("MODEL.SEM_SEG_HEAD.COMMON_STRIDE", "3"), "COMMON_STRIDE"),
        (("MODEL.ROI_HEADS.NUM_CLASSES", "0"), "ROI_HEADS.NUM_CLASSES"),
    ],
)
def test_keys_that_contradict_a_panoptic_model(overrides, says):
    cfg = load_cfg(PANOPTIC / "panoptic_fpn_R_50_3x.yaml")
    merge_overrides(cfg, overrides)
    with pytest.raises(ConfigError, match=says):
        check_config(cfg)


# Where a key is refused outside the table, by what the check needs that no config holds.
NEEDS = {
    "bdd_inst/data/loader.py": "the group of processes",
    "bdd_inst/data/loading.py": "the data sets' classes",
    "bdd_inst/data/samplers.py": "how many images there are",
    "bdd_inst/data/sem_seg.py": "the data's classes",
    "bdd_inst/data/validation.py": "the labels",
    "bdd_inst/datasets/class_view.py": "the data sets' classes",
    "bdd_inst/datasets/own.py": "which data sets are label files; the user's modules",
    "bdd_inst/engines/detectron2_engine.py": "Detectron2",
    "bdd_inst/engines/device.py": "the GPUs of the machine",
    "bdd_inst/inference/predictor.py": "the verb: what predicts needs weights",
    "bdd_inst/live/segmenter.py": "the verb: live needs masks of pixels",
    "bdd_inst/modeling/backbones/smp_encoder.py": "segmentation-models-pytorch",
    "bdd_inst/modeling/backbones/timm_backbone.py": "timm",
    "bdd_inst/modeling/freeze.py": "the names of the model's modules",
    "bdd_inst/modeling/meta/semantic_segmentor.py": "the batch of this process",
    "bdd_inst/training/hooks/metric_log.py": "the loggers' packages",
    "bdd_inst/training/optim.py": "which parameters train",
    "bdd_inst/training/stages.py": "the number of processes",
    "bdd_inst/training/train.py": "the devices; the verb: --eval-only needs data",
    "bdd_inst/training/tune/sweep.py": "the command line",
    "bdd_inst/training/tune/tuning.py": "the command line",
    "bdd_inst/weights/files.py": "where weights lie",
    "bdd_inst/weights/packages.py": "the packages that are installed",
    "bdd_inst/weights/trained.py": "what the weights are of",
}


def test_a_key_is_judged_outside_the_table_only_by_what_no_config_holds():
    """A rule on a value alone, or on two keys, belongs into the room ``config``."""
    sections = ("MODEL", "INPUT", "DATASETS", "DATALOADER", "SOLVER", "TEST", "STAGES")
    key = re.compile(rf"\b({'|'.join(sections)})\.[A-Z_]+|\bSTAGES\b|\bLOGGERS\b|\bSEED\b")
    found = set()
    for path in (ROOT / "bdd_inst").rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(("bdd_inst/config/", "bdd_inst/cli/")):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = isinstance(node, ast.Call) and ast.unparse(node.func) == "ConfigError"
            if called and key.search(ast.unparse(node)):
                found.add(name)
    assert found == set(NEEDS)
