"""A user's own panoptic labels from the command line: train, evaluate by the weights alone, predict, score the files."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from bdd_inst.base.errors import DataError
from bdd_inst.cli import evaluate, predict, train
from bdd_inst.config.loading import load_cfg
from bdd_inst.datasets import own
from bdd_inst.datasets.catalog import DatasetCatalog, MetadataCatalog
from bdd_inst.formats.panoptic_png import write_ids
from bdd_inst.formats.write_panoptic import segment_rows
from tests.product.tiny import MODEL, SHORT, coco_data

CATEGORIES = [
    {"id": 4, "name": "sky", "isthing": 0},
    {"id": 9, "name": "cat", "isthing": 1},
    {"id": 2, "name": "grass", "isthing": 0},
]
WORDS = [
    *("--config", "demo_panoptic.yaml", *MODEL, *SHORT),
    *("MODEL.SEM_SEG_HEAD.CONVS_DIM", "32", "MODEL.PANOPTIC_FPN.COMBINE.STUFF_AREA_LIMIT", "10"),
]


@pytest.fixture
def data(tmp_path):
    """Two images of a cat between sky and grass."""
    folder = tmp_path / "mine"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    rows, images = [], []
    for n in range(2):
        ids = np.full((64, 80), 1, np.int32)
        ids[40:] = 2
        ids[20:50, 10 + 20 * n : 40 + 20 * n] = 300
        cv2.imwrite(str(folder / f"images/{n}.png"), np.uint8(ids[..., None] % 255 * [70, 80, 90]))
        write_ids(folder / f"labels/{n}.png", ids)
        segments = [{"id": i, "category_id": c} for i, c in ((1, 4), (2, 2), (300, 9))]
        rows.append({"image_id": n, "file_name": f"{n}.png", "segments_info": segment_rows(ids, segments)})  # fmt: skip
        images.append({"id": n, "file_name": f"{n}.png", "width": 80, "height": 64})
    content = {"images": images, "annotations": rows, "categories": CATEGORIES}
    (folder / "labels.json").write_text(json.dumps(content))
    return folder


def test_train_evaluate_predict_and_score(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(data)
    words = [*WORDS, "--output", "run", "--train", "labels.json", "--val", "labels.json"]
    assert train.main(words) == 0, capsys.readouterr().err
    cfg = load_cfg(data / "run/config.yaml")
    assert (list(cfg.DATASETS.CLASSES), list(cfg.DATASETS.STUFF_CLASSES)) == (["cat"], ["sky", "grass"])  # fmt: skip
    assert (cfg.MODEL.ROI_HEADS.NUM_CLASSES, cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES) == (1, 3)
    metrics = json.loads((data / "run/metrics.json").read_text())
    assert {"PQ-cat", "PQ-sky", "PQ-grass"} <= set(metrics["panoptic_seg"])
    weights = str(data / "run/model_final.pth")
    monkeypatch.chdir(tmp_path)
    assert evaluate.main(["--weights", weights, "--output", "scores", "--no-report"]) == 0
    again = json.loads((tmp_path / "scores/metrics.json").read_text())
    assert again["panoptic_seg"] == metrics["panoptic_seg"]
    call = ["--weights", weights, "--input", str(data / "images"), "--output", "out"]
    assert predict.main(call) == 0
    content = json.loads((tmp_path / "out/panoptic.json").read_text())
    told = {c["name"]: (c["id"], c["isthing"]) for c in content["categories"]}
    assert told == {c["name"]: (c["id"], c["isthing"]) for c in CATEGORIES}
    files = ["--ground-truth", str(data / "labels.json"), "--predictions", "out/panoptic.json"]
    assert evaluate.main([*files, "--protocol", "both", "--output", "files"]) == 0
    scored = json.loads((tmp_path / "files/metrics.json").read_text())
    for kind in ("coco", "bdd"):
        ours = metrics[kind]["panoptic_seg"]
        assert scored[kind]["panoptic_seg"]["PQ"] == pytest.approx(ours["PQ"])


def test_the_dicts_have_things_and_stuff(data):
    cfg = load_cfg("demo_panoptic.yaml", ["DATASETS.TRAIN", repr([str(data / "labels.json")])])
    own.prepare(cfg)
    name = str(data / "labels.json")
    record = DatasetCatalog.get(name)[1]
    assert [(a["category_id"], a["bbox"]) for a in record["annotations"]] == [(0, [30.0, 20.0, 60.0, 50.0])]  # fmt: skip
    assert [s["category_id"] for s in record["segments_info"]] == [1, 2]
    metadata = MetadataCatalog.get(name)
    assert metadata.thing_dataset_id_to_contiguous_id == {9: 0}
    assert metadata.stuff_dataset_id_to_contiguous_id == {0: 0, 4: 1, 2: 2}


def test_labels_without_stuff_are_refused_by_name(tmp_path):
    labels = coco_data(tmp_path / "coco") / "labels.json"
    cfg = load_cfg("demo_panoptic.yaml", ["DATASETS.TRAIN", repr([str(labels)])])
    with pytest.raises(DataError, match="do not tell things from stuff"):
        own.prepare(cfg)
