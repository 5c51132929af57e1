"""The prediction command with a pixel-wise model of random weights: what it leaves for which options."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from bdd_inst.cli import predict
from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.inference.label_maps import probability_of
from bdd_inst.inference.predictor import Predictor
from bdd_inst.weights.checkpoint import save_weights
from tests.cli.test_predict import save, scene

BASE = "Base-MaskRCNN-FPN.yaml"
KEYS = [
    *("MODEL.META_ARCHITECTURE", "SemanticSegmentor", "MODEL.SEM_SEG_HEAD.NAME", "FastSCNN"),
    *("MODEL.BACKBONE.FREEZE_AT", "0", "MODEL.DEVICE", "cpu"),
    *("INPUT.MIN_SIZE_TEST", "64", "INPUT.MAX_SIZE_TEST", "96"),
]


def keys(classes: int) -> list[str]:
    return [*KEYS, "MODEL.SEM_SEG_HEAD.NUM_CLASSES", str(classes)]


@pytest.fixture
def call(tmp_path, capsys):
    def run(source, classes, *options):
        weights = tmp_path / f"{classes}.pth"
        if not weights.exists():
            save_weights(build_model(load_cfg(BASE, keys(classes))), weights)
        words = ["--config", BASE, "--input", str(source), "--output", str(tmp_path / "out")]
        code = predict.main([*words, *options, "MODEL.WEIGHTS", str(weights), *keys(classes)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def labels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_one_class_leaves_labels_probabilities_and_cut_outs(call, tmp_path):
    folder = tmp_path / "in"
    wide, tall = scene(72, 128), scene(131, 37, seed=1)
    save(folder / "a.jpg", wide)
    save(folder / "sub" / "b.png", tall)
    code, out, err = call(folder, 1, "--probabilities", "--cutouts", "--batch-size", "2")
    assert (code, err) == (0, "")
    assert "2 images" in out
    assert not (tmp_path / "out" / "predictions.json").exists()
    for name, image in (("a.png", wide), ("sub/b.png", tall)):
        values = labels(tmp_path / "out" / "labels" / name)
        assert values.shape == image.shape[:2]
        assert set(np.unique(values)) <= {0, 1}
        sure = labels(tmp_path / "out" / "probabilities" / name)
        assert np.array_equal(values[sure != 127], (sure >= 128)[sure != 127])
        with Image.open(tmp_path / "out" / "cutouts" / name) as cut:
            assert cut.mode == "RGBA"
            assert np.array_equal(np.asarray(cut)[..., 3], sure)
    drawn = cv2.imread(str(tmp_path / "out" / "overlays" / "sub" / "b.png"))
    assert drawn.shape == tall.shape


def test_several_classes_leave_the_best_and_no_cut_outs(call, tmp_path):
    image = save(tmp_path / "a.png", scene())
    code, _, err = call(image, 5, "--no-overlays")
    assert (code, err) == (0, "")
    cfg = load_cfg(BASE, [*keys(5), "MODEL.WEIGHTS", str(tmp_path / "5.pth")])
    logits = Predictor(cfg)(str(image))["sem_seg"]
    assert np.array_equal(labels(tmp_path / "out/labels/a.png"), logits.argmax(0).numpy())
    assert not (tmp_path / "out" / "overlays").exists()
    code, _, err = call(image, 5, "--threshold", "0.3")
    assert code == 0
    unsure = probability_of(logits) < 0.3
    assert np.array_equal(labels(tmp_path / "out/labels/a.png") == 255, unsure)
    code, _, err = call(image, 5, "--cutouts")
    assert code == 1
    assert err == (
        "error: --cutouts needs a model of one class, this one has 5; --probabilities writes how sure it is\n"
    )


def test_more_than_255_classes_take_16_bits(call, tmp_path):
    call(save(tmp_path / "a.png", scene()), 300, "--no-overlays")
    values = labels(tmp_path / "out/labels/a.png")
    assert values.dtype == np.uint16
