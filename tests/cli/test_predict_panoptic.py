"""The prediction command with a panoptic model of random weights: COCO panoptic files that its own tools read and score."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from bdd_inst import formats
from bdd_inst.cli import evaluate, predict
from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.formats.panoptic_png import read_ids
from bdd_inst.inference.predictor import Predictor
from bdd_inst.weights.checkpoint import save_weights
from tests.cli.test_predict import save, scene
from tests.product.tiny import MODEL

BASE = "bdd_panoptic.yaml"
KEYS = [
    *MODEL,
    *("MODEL.RESNETS.DEPTH", "18", "MODEL.BACKBONE.FREEZE_AT", "0", "MODEL.DEVICE", "cpu"),
    *("MODEL.SEM_SEG_HEAD.CONVS_DIM", "32", "MODEL.PANOPTIC_FPN.COMBINE.STUFF_AREA_LIMIT", "20"),
    *("MODEL.PANOPTIC_FPN.COMBINE.INSTANCES_CONFIDENCE_THRESH", "0.05"),
]


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "panoptic.pth"
    save_weights(build_model(load_cfg(BASE, KEYS)), path)
    return ["MODEL.WEIGHTS", str(path), *KEYS]


def test_segments_are_coco_panoptic_files_and_drawn(weights, tmp_path, capsys):
    images = {"a.jpg": scene(72, 128), "sub/b.png": scene(96, 64, seed=1)}
    for name, image in images.items():
        save(tmp_path / "in" / name, image)
    out = tmp_path / "out"
    words = ["--config", BASE, "--input", str(tmp_path / "in"), "--output", str(out)]
    assert predict.main([*words, *weights]) == 0, capsys.readouterr().err
    assert f"segments: {out / 'panoptic.json'}" in capsys.readouterr().out
    content = json.loads((out / "panoptic.json").read_text())
    names = {row["id"]: row["file_name"] for row in content["images"]}
    assert sorted(names.values()) == sorted(images)
    assert [(c["id"], c["isthing"]) for c in content["categories"] if c["name"] == "road"] == [
        (7, 0)
    ]
    assert len(content["categories"]) == 40
    predictor = Predictor(load_cfg(BASE, weights))
    for row in content["annotations"]:
        name = names[row["image_id"]]
        ids, segments = predictor(str(tmp_path / "in" / name))["panoptic_seg"]
        assert row["file_name"] == name.rsplit(".", 1)[0] + ".png"
        assert np.array_equal(read_ids(out / "panoptic" / row["file_name"]), ids.numpy())
        assert [s["id"] for s in row["segments_info"]] == [s["id"] for s in segments]
        assert [s["area"] for s in row["segments_info"]] == [int((ids == s["id"]).sum()) for s in segments]  # fmt: skip
        assert cv2.imread(str(out / "overlays" / name)).shape == images[name].shape
    labels = formats.read(out / "panoptic.json").load()
    assert {image.name for image in labels.images} == set(images)
    assert set(labels.things) >= {"car", "person"}
    # Scored against itself by the evaluation of files, every segment is found.
    files = [
        "--ground-truth",
        str(out / "panoptic.json"),
        "--predictions",
        str(out / "panoptic.json"),
    ]
    assert evaluate.main([*files, "--output", str(tmp_path / "scores")]) == 0
    metrics = json.loads((tmp_path / "scores/metrics.json").read_text())
    assert metrics["panoptic_seg"]["PQ"] == 100


def test_images_of_one_stem_keep_their_segments_apart(weights, tmp_path, capsys):
    for name in ("a.jpg", "a.png"):
        save(tmp_path / "in" / name, scene(64, 64))
    words = ["--config", BASE, "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    assert predict.main([*words, "--no-overlays", *weights]) == 0, capsys.readouterr().err
    assert {p.name for p in (tmp_path / "out/panoptic").iterdir()} == {"a.jpg.png", "a.png.png"}
