"""What ``import bdd_inst`` gives, and how little it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import bdd_inst
from tests.training.conftest import TINY, write_persons


@pytest.mark.parametrize("name", bdd_inst.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert name in dir(bdd_inst)
    assert f"``{name}(" in bdd_inst.__doc__
    assert getattr(bdd_inst, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        _ = bdd_inst.nothing


def test_importing_the_package_imports_no_library():
    code = "import sys, bdd_inst; print([m for m in ('torch', 'numpy', 'cv2', 'yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_each_does_what_its_docstring_says(tmp_path, project_root):
    write_persons(tmp_path, "train", 2, 1)
    labels = tmp_path / "coco" / "annotations" / "instances_train2017.json"
    images = tmp_path / "coco" / "train2017"
    found = bdd_inst.read_labels(labels)
    assert sorted(image.name for image in found.images) == ["000000000001.jpg", "000000000002.jpg"]
    dicts = bdd_inst.get_dataset(labels, images)
    assert {"file_name", "height", "width", "image_id", "annotations"} <= dicts[0].keys()

    (tmp_path / "tiny.yaml").write_text(TINY.format(root=project_root))
    words = {
        "DATASETS.TRAIN": [str(labels)],
        "DATASETS.TEST": [str(labels)],
        "DATASETS.TRAIN_IMAGES": [str(images)],
        "DATASETS.TEST_IMAGES": [str(images)],
        "STAGES": [],
        "SOLVER.MAX_ITER": 1,
        "SOLVER.EMA.ENABLED": False,
        "TEST.PICTURES": 0,
    }
    cfg = bdd_inst.load_cfg(
        tmp_path / "tiny.yaml", [word for pair in words.items() for word in map(str, pair)]
    )
    model = bdd_inst.build_model(cfg)
    assert model.training
    assert str(model.device) == "cpu"

    result = bdd_inst.train(cfg, str(tmp_path / "run"))
    weights = result.folder / "model_final.pth"
    assert "results in" in result.text
    assert bdd_inst.evaluate(weights, str(tmp_path / "eval")) == result.metrics
    predictor = bdd_inst.Predictor(weights)
    assert predictor.metadata["thing_classes"] == ["person"]
    instances = predictor(dicts[0]["file_name"])["instances"]
    assert instances.image_size == (dicts[0]["height"], dicts[0]["width"])
    assert instances.has("pred_masks")
