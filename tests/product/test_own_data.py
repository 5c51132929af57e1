"""A user's own labels, in any format, go in at the command line and come out as names of what was found."""

from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.cli import evaluate, predict, train
from bdd_inst.config.loading import load_cfg
from bdd_inst.datasets import own
from bdd_inst.datasets.catalog import DatasetCatalog, MetadataCatalog
from bdd_inst.training.stages import parse_stages
from bdd_inst.weights.trained import trained_cfg

SMALL = [
    "MODEL.FPN.OUT_CHANNELS",
    "16",
    "MODEL.RESNETS.RES2_OUT_CHANNELS",
    "16",
    "MODEL.RESNETS.STEM_OUT_CHANNELS",
    "8",
    "MODEL.ROI_BOX_HEAD.FC_DIM",
    "16",
    "MODEL.ROI_MASK_HEAD.CONV_DIM",
    "16",
    "MODEL.ROI_MASK_HEAD.NUM_CONV",
    "1",
    "MODEL.RPN.POST_NMS_TOPK_TEST",
    "20",
    "MODEL.RPN.POST_NMS_TOPK_TRAIN",
    "20",
    "INPUT.MIN_SIZE_TRAIN",
    "(64,)",
    "INPUT.MAX_SIZE_TRAIN",
    "96",
    "INPUT.MIN_SIZE_TEST",
    "64",
    "INPUT.MAX_SIZE_TEST",
    "96",
    "DATALOADER.NUM_WORKERS",
    "0",
    "STAGES.heads.MAX_ITER",
    "1",
    "STAGES.full.MAX_ITER",
    "1",
    "SOLVER.IMS_PER_BATCH",
    "2",
    "TEST.PICTURES",
    "1",
    "TEST.EVAL_PERIOD",
    "0",
    "LOGGERS",
    "['csv']",
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST",
    "0.0",
]


def square(x: float) -> list[float]:
    return [x, 10.0, x + 20, 10.0, x + 20, 40.0, x, 40.0]


def coco(folder, images, names=("cat", "dog"), number=4):
    """A COCO file with ids that are not 1, 2, ... and its images."""
    images.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    entries, annotations = [], []
    for i in range(number):
        image = np.full((64, 80, 3), 40 * i, np.uint8)
        cv2.imwrite(str(images / f"{i}.png"), image)
        entries.append({"id": i + 1, "file_name": f"{i}.png", "width": 80, "height": 64})
        for k, _ in enumerate(names):
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": i + 1, "category_id": 7 + 10 * k, "iscrowd": 0, "area": 600.0,
                    "bbox": [5.0 + 30 * k, 10, 20, 30], "segmentation": [square(5.0 + 30 * k)],
                }
            )  # fmt: skip
    categories = [{"id": 7 + 10 * k, "name": name} for k, name in enumerate(names)]
    content = {"images": entries, "annotations": annotations, "categories": categories}
    (folder / "labels.json").write_text(json.dumps(content))
    return folder / "labels.json"


def labelme(folder, names=("dog", "cat")):
    """LabelMe files beside their images, classes in another order than the COCO file's."""
    folder.mkdir(parents=True)
    for i in range(2):
        cv2.imwrite(str(folder / f"{i}.png"), np.full((64, 80, 3), 90, np.uint8))
        shapes = [
            {
                "label": name,
                "points": np.array(square(5.0 + 30 * k)).reshape(-1, 2).tolist(),
                "shape_type": "polygon",
            }
            for k, name in enumerate(names)
        ]
        content = {"version": "5.0.1", "flags": {}, "shapes": shapes, "imagePath": f"{i}.png"}
        content |= {"imageData": None, "imageHeight": 64, "imageWidth": 80}
        (folder / f"{i}.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def data(tmp_path):
    return coco(tmp_path / "mine", tmp_path / "pictures"), labelme(tmp_path / "val")


def test_train_evaluate_and_predict_on_labels_of_two_formats(data, tmp_path, monkeypatch, capsys):
    labels, val = data
    monkeypatch.chdir(tmp_path)
    words = ["--config", "demo.yaml", "--output", "run", *SMALL]
    words += ["--train", "mine/labels.json", "--train-images", "pictures", "--val", "val"]
    assert train.main(words) == 0, capsys.readouterr()
    table = capsys.readouterr().out
    assert "class (AP)" in table
    assert "\ncat " in table
    cfg = load_cfg(tmp_path / "run" / "config.yaml")
    assert list(cfg.DATASETS.CLASSES) == ["cat", "dog"]
    assert cfg.MODEL.ROI_HEADS.NUM_CLASSES == 2
    assert list(cfg.DATASETS.TRAIN) == [str(labels)]
    # The validation's own order of classes, dog before cat, is not the numbers' order.
    objects = DatasetCatalog.get(str(val))[0]["annotations"]
    assert [(d["category_id"], d["bbox"][0]) for d in objects] == [(1, 5.0), (0, 35.0)]
    # Nothing but the weights is needed later, from any folder.
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    weights = str(tmp_path / "run" / "model_final.pth")
    assert evaluate.main(["--weights", weights, "--output", "scores", "--no-report"]) == 0
    figures = json.loads((tmp_path / "elsewhere/scores/metrics.json").read_text())
    assert {"AP-cat", "AP-dog"} <= set(figures["segm"])
    words = ["--weights", weights, "--input", str(tmp_path / "pictures"), "--output", "out"]
    assert predict.main(words) == 0
    found = json.loads((tmp_path / "elsewhere/out/predictions.json").read_text())
    assert {(r["category_id"], r["category_name"]) for r in found} <= {(7, "cat"), (17, "dog")}
    assert found


def prepared(*words):
    cfg = load_cfg("demo.yaml", list(words))
    own.prepare(cfg)
    return cfg


def test_the_config_names_labels_as_the_options_do(data):
    cfg = prepared("DATASETS.TRAIN", repr([str(data[0])]), "DATASETS.TRAIN_IMAGES", repr([str(data[0].parents[1] / "pictures")]))  # fmt: skip
    assert list(cfg.DATASETS.CLASSES) == ["cat", "dog"]
    assert len(DatasetCatalog.get(str(data[0]))) == 4
    assert list(cfg.DATASETS.TEST) == ["synthetic_bdd_val"]


def test_configs_of_known_data_sets_stay_as_they_are():
    cfg = prepared()
    assert cfg.dump() == load_cfg("demo.yaml").dump()


def test_the_classes_may_be_chosen(data):
    cfg = prepared("DATASETS.TRAIN", repr([str(data[1])]), "DATASETS.CLASSES", "['dog']")
    assert cfg.MODEL.ROI_HEADS.NUM_CLASSES == 1
    dicts = DatasetCatalog.get(str(data[1]))
    assert [len(d["annotations"]) for d in dicts] == [1, 1]
    assert MetadataCatalog.get(str(data[1])).problems.counts["unknown-category"] == 2


@pytest.mark.parametrize("nested", [True, False])
def test_a_stage_may_name_labels_of_its_own(data, nested):
    images = str(data[0].parents[1] / "pictures")
    cfg = load_cfg("demo.yaml", ["DATASETS.TRAIN", repr([str(data[1])])])
    first, second = (dict(stage) for stage in cfg.STAGES)
    keys = {"TRAIN": [os.path.relpath(data[0])], "TRAIN_IMAGES": [images]}
    second |= {"DATASETS": keys} if nested else {f"DATASETS.{k}": v for k, v in keys.items()}
    cfg.STAGES = [first, second]
    own.prepare(cfg)
    assert list(cfg.DATASETS.CLASSES) == ["cat", "dog"]
    stages = parse_stages(cfg)
    assert [list(stage.cfg.DATASETS.TRAIN) for stage in stages] == [[str(data[1])], [str(data[0])]]
    assert MetadataCatalog.get(str(data[0])).thing_classes == ["cat", "dog"]
    dicts = DatasetCatalog.get(str(data[0]))
    assert [a["category_id"] for a in dicts[0]["annotations"]] == [0, 1]
    own.prepare(cfg)  # once more, as a tool that starts another does
    assert list(parse_stages(cfg)[1].cfg.DATASETS.TRAIN) == [str(data[0])]


def test_a_stages_labels_go_by_the_classes_of_the_runs_data_set(data):
    cfg = load_cfg("demo.yaml")
    labels = coco(data[1], data[1].parent / "pictures", ("car", "dog"))
    cfg.STAGES = [dict(cfg.STAGES[0]), dict(cfg.STAGES[1]) | {"DATASETS.TRAIN": [str(labels)]}]
    own.prepare(cfg)
    assert len(cfg.DATASETS.CLASSES) == cfg.MODEL.ROI_HEADS.NUM_CLASSES == 8
    assert list(cfg.DATASETS.CLASSES)[2] == "car"


def test_label_maps_have_a_background_before_the_classes(data):
    semantic = ["MODEL.META_ARCHITECTURE", "SemanticSegmentor"]
    cfg = prepared("DATASETS.TRAIN", repr([str(data[1])]), *semantic)
    assert cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES == 3


def test_get_dataset_takes_a_label_file(data):
    dicts = own.get_dataset(data[1])
    assert [len(d["annotations"]) for d in dicts] == [2, 2]
    assert own.get_dataset(data[0], images=data[0].parents[1] / "pictures")[0]["width"] == 80


def test_images_that_are_not_beside_the_labels_are_asked_for(data):
    with pytest.raises(DataError, match="name the folder of the images"):
        own.get_dataset(data[0])


@pytest.mark.parametrize("name", ["missing.json", "no/such/folder"])
def test_missing_labels_are_one_line(name):
    with pytest.raises(DataError, match=name.split("/")[-1]):
        prepared("DATASETS.TRAIN", repr([name]))


def test_a_wrong_name_still_says_which_there_are():
    with pytest.raises(ConfigError, match="did you mean synthetic_bdd_val"):
        own.get_dataset("synthetic_bdd_vall")


def test_a_modules_data_set_joins_by_import(data, tmp_path, monkeypatch):
    (tmp_path / "my_sets_of_this_test.py").write_text(
        "from bdd_inst.datasets.own import register\nregister('val')\n"
    )
    monkeypatch.chdir(tmp_path)
    prepared("DATASETS.IMPORTS", "['my_sets_of_this_test']")
    assert len(DatasetCatalog.get(str(tmp_path / "val"))) == 2
    with pytest.raises(ConfigError, match="no_such_module"):
        prepared("DATASETS.IMPORTS", "['no_such_module']")


def test_a_path_makes_one_folder():
    assert own.folder_name("/data/val set/labels.json") == "data_val_set_labels.json"
    assert own.folder_name("synthetic_bdd_val") == "synthetic_bdd_val"


@pytest.mark.parametrize("words", [["--train-images", "x"], ["--val-images", "x"]])
def test_folders_without_labels_are_a_usage_error(words):
    with pytest.raises(SystemExit) as stop:
        train.main(["--config", "demo.yaml", *words])
    assert stop.value.code == 2


def test_weights_never_make_code_run(tmp_path):
    import torch

    cfg = load_cfg("demo.yaml", ["DATASETS.IMPORTS", "['evil']"])
    torch.save(
        {"model": {"a": torch.zeros(1)}, "bdd_inst": {"config": cfg.dump()}}, tmp_path / "w.pth"
    )
    assert list(trained_cfg(tmp_path / "w.pth").DATASETS.IMPORTS) == []
