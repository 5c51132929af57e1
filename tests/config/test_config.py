"""Config files: inheritance, overrides, and errors that name the key."""

from pathlib import Path

import pytest

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.loading import find_config, get_cfg, known_keys, load_cfg, merge_overrides

CONFIGS = sorted(Path(__file__).resolve().parent.parent.joinpath("configs").glob("*.yaml"))


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_shipped_config_loads(path):
    cfg = load_cfg(path)
    assert cfg.MODEL.META_ARCHITECTURE in ("GeneralizedRCNN", "PanopticFPN", "SemanticSegmentor")
    assert (cfg.MODEL.META_ARCHITECTURE != "SemanticSegmentor") == cfg.MODEL.MASK_ON
    for stage in cfg.STAGES:
        assert {"NAME", "TRAIN"} <= set(stage)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("bdd_maskrcnn", 8),
        ("bdd_cascade", 8),
        ("bdd_panoptic", 10),
        ("coco_panoptic", 80),
        ("fashion_person_maskrcnn", 1),
        ("fashion_clothes_maskrcnn", 6),
        ("coco_person_maskrcnn", 1),
    ],
)
def test_bare_names_are_found_and_have_their_classes(name, classes, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    cfg = load_cfg(f"{name}.yaml")
    assert classes == cfg.MODEL.ROI_HEADS.NUM_CLASSES
    assert cfg.MODEL.WEIGHTS.startswith("detectron2://")


def test_base_files_are_inherited_and_overridden(tmp_path):
    write(
        tmp_path / "base.yaml", "SOLVER: {BASE_LR: 0.5, MAX_ITER: 7}\nINPUT: {MIN_SIZE_TEST: 111}\n"
    )
    child = write(tmp_path / "child.yaml", "_BASE_: base.yaml\nSOLVER: {BASE_LR: 0.25}\n")
    cfg = load_cfg(child, ["INPUT.MIN_SIZE_TEST", "222"])
    assert (cfg.SOLVER.BASE_LR, cfg.SOLVER.MAX_ITER, cfg.INPUT.MIN_SIZE_TEST) == (0.25, 7, 222)


def test_detectron2_spellings_of_values_load(tmp_path):
    text = 'SOLVER:\n  STEPS: (60000, 80000)\nDATASETS:\n  TRAIN: ("a", "b")\nINPUT:\n  MIN_SIZE_TRAIN: (640,)\n'
    path = write(tmp_path / "c.yaml", text)
    cfg = load_cfg(path)
    assert list(cfg.SOLVER.STEPS) == [60000, 80000]
    assert list(cfg.DATASETS.TRAIN) == ["a", "b"]
    assert list(cfg.INPUT.MIN_SIZE_TRAIN) == [640]


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("SOLVER.BASELR", "SOLVER.BASE_LR"),
        ("MODEL.ROI_HEAD.NUM_CLASSES", "MODEL.ROI_HEADS.NUM_CLASSES"),
        ("INPUT.MIN_SIZE_TRIAN", "INPUT.MIN_SIZE_TRAIN"),
    ],
)
def test_an_unknown_key_names_the_nearest(key, meant, tmp_path):
    with pytest.raises(ConfigError, match=f"{key}.*{meant}"):
        merge_overrides(get_cfg(), [key, "1"])
    section, *middle, leaf = key.split(".")
    text = (
        f"{section}: " + "".join(f"{{{m}: " for m in middle) + f"{{{leaf}: 1}}" + "}" * len(middle)
    )
    with pytest.raises(ConfigError, match=f"c.yaml.*{key}.*{meant}"):
        load_cfg(write(tmp_path / "c.yaml", text))


def test_a_value_of_the_wrong_type_names_the_key_and_the_type():
    with pytest.raises(ConfigError, match="SOLVER.MAX_ITER.*int.*'many'"):
        merge_overrides(get_cfg(), ["SOLVER.MAX_ITER", "many"])


def test_a_mapping_where_a_value_belongs_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="BASE_LR"):
        load_cfg(write(tmp_path / "c.yaml", "SOLVER: {BASE_LR: {A: 1}}"))
    with pytest.raises(ConfigError, match="SOLVER"):
        load_cfg(write(tmp_path / "d.yaml", "SOLVER: 5"))


def test_an_int_serves_as_a_float():
    cfg = get_cfg()
    merge_overrides(cfg, ["SOLVER.BASE_LR", "1"])
    assert cfg.SOLVER.BASE_LR == 1.0
    assert isinstance(cfg.SOLVER.BASE_LR, float)


def test_stages_are_overridden_by_number_or_name():
    cfg = load_cfg("demo.yaml", ["STAGES.full.MAX_ITER", "5", "STAGES.0.BASE_LR", "0.5"])
    assert cfg.STAGES[1]["MAX_ITER"] == 5
    assert cfg.STAGES[0]["BASE_LR"] == 0.5
    with pytest.raises(ConfigError, match="STAGES.third.MAX_ITER"):
        merge_overrides(cfg, ["STAGES.third.MAX_ITER", "5"])


@pytest.mark.parametrize(
    "text",
    ["a: [1", "- 1\n- 2\n", "\x00", "!!python/object/apply:os.system ['true']", "just words"],
)
def test_broken_files_are_one_readable_line(text, tmp_path):
    with pytest.raises(ConfigError) as error:
        load_cfg(write(tmp_path / "broken.yaml", text))
    assert "broken.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_base_files_in_a_circle_are_refused(tmp_path):
    write(tmp_path / "a.yaml", "_BASE_: b.yaml\n")
    with pytest.raises(ConfigError, match="circle"):
        load_cfg(write(tmp_path / "b.yaml", "_BASE_: a.yaml\n"))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("SEED: 1\nMODEL: {MASK_ON: true}\nMODEL: {WEIGHTS: a}\n", 3, "MODEL is given twice in one section, first in line 2"),
        ("MODEL:\n  WEIGHTS: a\n  DEVICE: cpu\n  WEIGHTS: b\n", 4, "WEIGHTS is given twice"),
        ("SEED: 1\nSEED: !!int x\n", 2, "SEED is given twice"),
        ("SEED: !!int x\n", 1, "'x' is no int"),
        ("SEED: !!bool maybe\n", 1, "'maybe' is no bool"),
        ("SEED: !!timestamp 2024-13-45\n", 1, "no timestamp"),
        ("\nSEED: 2024-13-45\n", 2, "SEED: expected int"),
        ("\nSEED: 2024-01-02\n", 2, "SEED: expected int"),
        ("SEED: " + "9" * 5000, 1, "a number of 5000 characters"),
        ("SEED: 0x" + "f" * 5000, 1, "a number of 5002 characters"),
        ("SEED: 0x" + "f" * 300, 1, "too large"),
        ('OUTPUT_DIR: "\\ud800"', 1, "lone surrogate"),
        ("MODEL: &m\n  WEIGHTS: *m\n", 1, "itself part of"),
        ("MODEL: &m {RPN: *m}\n", 1, "itself part of"),
        ("STAGES:\n- &s0 [l, l]\n" + "".join(f"- &s{i} [*s{i - 1}, *s{i - 1}]\n" for i in range(1, 30)), None, "aliases"),
        ("m0: &m0 {a: 1}\n" + "".join(f"m{i}: &m{i} {{a: *m{i - 1}, b: *m{i - 1}}}\n" for i in range(1, 30)), None, "aliases"),
        ("m0: &m0 {a: 1}\n" + "".join(f"m{i}: &m{i} {{<<: [*m{i - 1}, *m{i - 1}]}}\n" for i in range(1, 30)), None, "aliases"),
        ("a: " + "[" * 3000 + "]" * 3000, 1, "nested more than"),
        ("? [a, b]\n: 1\n", 1, "a key that is a list"),
        ("SOLVER:\n  BASELR: 1\n", 2, "unknown config key SOLVER.BASELR; did you mean SOLVER.BASE_LR"),
        ("a: 1\nb: \x01\n", 2, "not allowed"),
        ("_BASE_: 5\n", 1, "_BASE_ is the name"),
        ("_BASE_: absent.yaml\n", None, "does not exist"),
        ("x: " + "y" * 1_000_001, None, "bytes"),
    ],
)  # fmt: skip
def test_hostile_files_are_one_short_line_that_names_the_place(text, line, words, tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_cfg(write(tmp_path / "c.yaml", text))
    message = str(caught.value)
    assert words in message
    assert "c.yaml" in message
    assert "\n" not in message
    assert len(message) < 500
    assert line is None or f"c.yaml, line {line}:" in message


def test_base_chains_that_double_are_refused(tmp_path):
    for i in range(26):
        write(tmp_path / f"f{i}.yaml", f"_BASE_: [f{i + 1}.yaml, f{i + 1}.yaml]\n")
    write(tmp_path / "f26.yaml", "VERSION: 2\n")
    with pytest.raises(ConfigError, match="more than 64 _BASE_ files"):
        load_cfg(tmp_path / "f0.yaml")


def test_anchors_and_merge_keys_serve(tmp_path):
    text = "SOLVER: &s {BASE_LR: 0.5}\nSTAGES:\n- {<<: *s, NAME: a, MAX_ITER: 1}\n"
    cfg = load_cfg(write(tmp_path / "c.yaml", text))
    assert cfg.STAGES[0] == {"BASE_LR": 0.5, "NAME": "a", "MAX_ITER": 1}


def test_numbers_on_the_command_line_are_bounded_in_messages():
    for key, value in (("SOLVER.STEPS", "9" * 5000), ("SEED", "0x" + "f" * 5000)):
        with pytest.raises(ConfigError) as caught:
            merge_overrides(get_cfg(), [key, value])
        assert len(str(caught.value)) < 400


def test_missing_files_suggest_the_nearest():
    with pytest.raises(ConfigError, match=r"bdd_maskrcnn\.yaml"):
        find_config("bdd_maskrcn.yaml")


def test_a_dumped_config_loads_to_the_same(tmp_path):
    cfg = load_cfg("bdd_maskrcnn.yaml")
    again = load_cfg(write(tmp_path / "dump.yaml", cfg.dump()))
    assert again == cfg
    assert known_keys(again) == known_keys(get_cfg())


def test_an_odd_number_of_overrides_is_refused():
    with pytest.raises(ConfigError, match="pairs"):
        merge_overrides(get_cfg(), ["SOLVER.BASE_LR"])
