"""The recipes of docs/extending.md: each example is one file that joins by ``--import`` and does what it says."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bdd_inst import formats
from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.cli import check, convert, evaluate, train
from bdd_inst.config.loading import load_cfg
from bdd_inst.data.augmentations import AUGMENTATIONS, build_augmentations
from bdd_inst.datasets.catalog import DatasetCatalog
from bdd_inst.datasets.own import import_modules
from bdd_inst.engines import build_model
from bdd_inst.evaluation.protocols import PROTOCOLS, ProtocolScores
from bdd_inst.formats.registry import register_format
from bdd_inst.formats.table import FORMATS
from bdd_inst.modeling.backbones import BACKBONES
from bdd_inst.modeling.meta import META_ARCHITECTURES
from bdd_inst.modeling.meta.base import ImageModel
from bdd_inst.structures import Boxes, Instances, pairwise_iou
from tests.product.tiny import MODEL, SHORT, coco_data

REGISTRIES = (BACKBONES, META_ARCHITECTURES, PROTOCOLS, AUGMENTATIONS)
CSV = """image,width,height,class,points
a.png,80,64,hat,10,10,30,10,30,30,10,30
a.png,80,64,shoe,40,40,60,40,60,60
b.png,80,64,
b.png,80,64,hat,1,2,three
"""


@pytest.fixture
def example(project_root, monkeypatch):
    """The path of an example; what it has imported and entered is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    tables = (sys.modules, FORMATS, *REGISTRIES)
    before, known = [set(table) for table in tables], set(DatasetCatalog.list())
    folder = project_root / "examples" / "extending"
    names = {path.stem for path in folder.glob("*.py")}
    yield lambda name: str(folder / f"{name}.py")
    for table, keys in zip(tables, before, strict=True):
        added = set(table) - keys
        for key in added & names if table is sys.modules else added:
            del table[key]
    for name in set(DatasetCatalog.list()) - known:
        DatasetCatalog.remove(name)


def test_a_label_format(example, tmp_path, capsys):
    source, coco, back = (tmp_path / name for name in ("labels.csv", "labels.json", "back.csv"))
    source.write_text(CSV)
    own = ["--import", example("point_csv")]
    assert convert.main([*own, "--input", str(source), "--to", "coco", "--output", str(coco)]) == 0
    assert "1 x bad-label" in capsys.readouterr().err
    content = json.loads(coco.read_text())
    assert [c["name"] for c in content["categories"]] == ["hat", "shoe"]
    assert content["annotations"][0]["segmentation"] == [[10, 10, 30, 10, 30, 30, 10, 30]]
    words = [*own, "--input", str(coco), "--to", "point-csv", "--output", str(back)]
    assert convert.main(words) == 0
    lines = back.read_text().splitlines()
    assert lines[0] == CSV.splitlines()[0]
    assert lines[1:] == [
        "a.png,80,64,hat,10.0,10.0,30.0,10.0,30.0,30.0,10.0,30.0",
        "a.png,80,64,shoe,40.0,40.0,60.0,40.0,60.0,60.0",
        "b.png,80,64,",
    ]


def marks(folder: Path) -> Path:
    """A folder of marks-json files, one of which is broken and one of which holds a broken mark."""
    folder.mkdir()
    square = [[10, 10], [30, 10], [30, 30], [10, 30]]
    for name, found in (("a", [{"name": "hat", "outline": square}, {"name": "hat"}]), ("b", [])):
        tree = {"photo": f"{name}.png", "resolution": [80, 64], "marks": found}
        (folder / f"{name}.json").write_text(json.dumps(tree))
    (folder / "c.json").write_text('{"photo": "c.png", "resol')
    return folder


def test_a_json_label_format_needs_its_module_alone(example, tmp_path, capsys):
    folder, coco = marks(tmp_path / "labels"), tmp_path / "labels.json"
    words = ["--input", str(folder), "--to", "coco", "--output", str(coco)]
    assert convert.main(words) == 1
    assert "no label format that we know" in capsys.readouterr().err
    own = ["--import", example("marks_json")]
    assert convert.main([*own, *words]) == 0
    said = capsys.readouterr().err
    assert "1 x bad-label" in said
    assert "1 x unreadable-file" in said
    content = json.loads(coco.read_text())
    assert [image["file_name"] for image in content["images"]] == ["a.png", "b.png"]
    assert content["annotations"][0]["bbox"] == [10, 10, 20, 20]
    assert formats.detect(coco) == "coco"  # what was known before still is
    with pytest.raises(DataError, match="known are marks-json, COCO"):
        formats.detect(save(tmp_path / "other.json", {"what": 1}))


def test_formats_of_ones_own_are_asked_first_and_may_be_named_files(example, tmp_path):
    """A kind that a built-in one would take too: the user's word is the more particular one."""
    import_modules([example("marks_json")])
    shapes = {"photo": "a.png", "resolution": [80, 64], "marks": [], "shapes": []}
    assert formats.detect(save(tmp_path / "labels.json", shapes)) == "marks-json"
    register_format("one-shapes", signs=lambda glimpse: glimpse.has("shapes"), one_file=True)
    for name in "ab":
        save(tmp_path / "folder" / f"{name}.json", {"shapes": []})
    with pytest.raises(DataError, match="2 one-shapes files; name one"):
        formats.detect(tmp_path / "folder")


def save(path: Path, tree: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(tree))
    return path


def test_a_label_format_is_a_usage_error_without_its_module(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        convert.main(["--input", "x.json", "--to", "point-csv", "--output", str(tmp_path / "x")])
    assert stop.value.code == 2
    assert "there are coco" in capsys.readouterr().err


def test_a_data_set(example, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    assert check.main(["--import", example("stripes"), "--dataset", "stripes_val"]) == 0
    said = capsys.readouterr().out
    assert "2 images" in said
    assert "stripe" in said


def test_a_backbone(example):
    words = [*MODEL, "MODEL.BACKBONE.NAME", "plain_fpn"]
    with pytest.raises(ConfigError, match="plain_fpn"):
        build_model(load_cfg("demo.yaml", words))
    import_modules([example("plain_backbone")])
    model = build_model(load_cfg("demo.yaml", words)).eval()
    maps = model.backbone(torch.zeros(1, 3, 64, 96))
    assert {name: tuple(m.shape[1:]) for name, m in maps.items()} == {
        "p2": (16, 16, 24),
        "p3": (16, 8, 12),
        "p4": (16, 4, 6),
        "p5": (16, 2, 3),
        "p6": (16, 1, 2),
    }
    found = model([{"image": torch.zeros(3, 64, 80, dtype=torch.uint8)}])[0]["instances"]
    assert found.has("pred_masks")


def test_a_meta_architecture_learns_one_box(example):
    import_modules([example("center_points")])
    words = [
        "MODEL.META_ARCHITECTURE",
        "CenterPoints",
        "MODEL.MASK_ON",
        "False",
        "MODEL.ROI_HEADS.NUM_CLASSES",
        "2",
    ]
    model = build_model(load_cfg("demo.yaml", [*MODEL, *words]))
    image = torch.zeros(3, 64, 80, dtype=torch.uint8)
    image[:, 10:40, 20:60] = 255
    box = torch.tensor([[20.0, 10, 60, 40]])
    truth = Instances((64, 80), gt_boxes=Boxes(box), gt_classes=torch.tensor([1]))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(200):
        losses = model([{"image": image, "instances": truth}])
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    assert set(losses) == {"loss_points", "loss_reach"}
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        model([{"image": image, "instances": truth}])
    found = model.eval()([{"image": image, "height": 128, "width": 160}])[0]["instances"]
    assert found.image_size == (128, 160)
    assert int(found.pred_classes[0]) == 1
    assert float(pairwise_iou(found.pred_boxes[:1], Boxes(2 * box))) > 0.5


def test_a_meta_architecture_needs_no_backbone():
    """A model of one's own that is written anew: nothing but losses and inference is asked of it."""

    class Mean(ImageModel):
        def losses(self, batch):
            return {"loss": self.preprocess(batch).tensor.mean()}

    cfg = load_cfg("demo.yaml", MODEL)
    batch = [{"image": torch.zeros(3, 9, 7, dtype=torch.uint8)}] * 2
    assert float(Mean(**Mean.image_options(cfg))(batch)["loss"]) < 0


def test_notes_of_a_metric_may_be_any_sequence(tmp_path, monkeypatch):
    def noted(*arguments, **options):
        found = PROTOCOLS["coco"](*arguments, **options)
        return ProtocolScores(found.figures, found.scores, notes=("counted by hand",))

    monkeypatch.setitem(PROTOCOLS, "noted", noted)
    data = coco_data(tmp_path / "data")
    words = ["--protocol", "noted", "--no-report", "--output", str(tmp_path / "out")]
    words += ["--ground-truth", f"{data}/labels.json", "--predictions", f"{data}/results.json"]
    assert evaluate.main(words) == 0
    assert "counted by hand" in (tmp_path / "out" / "metrics.json").read_text()


def test_a_metric(example, tmp_path):
    data = coco_data(tmp_path / "data")
    results = json.loads((data / "results.json").read_text())[:-1]  # the last image's dog is missed
    (data / "results.json").write_text(json.dumps(results))
    words = ["--import", example("counting"), "--protocol", "counting", "--no-report"]
    words += ["--ground-truth", f"{data}/labels.json", "--predictions", f"{data}/results.json"]
    assert evaluate.main([*words, "--output", str(tmp_path / "out")]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["protocol"] == "counting"
    third = pytest.approx(1 / 3)
    assert metrics["counting"] == {"error-cat": 0.0, "error-dog": third, "error": third}
    assert metrics["bbox"]["AP-cat"] == pytest.approx(100)


def test_an_augmentation(example):
    import_modules([example("gray")])
    cfg = load_cfg("demo.yaml", ["INPUT.AUGMENTATIONS", "['resize', 'flip', 'gray']"])
    step = build_augmentations(cfg)[-1]
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    made = [step.recolor(image, np.random.default_rng(seed)) for seed in range(50)]
    gray = [out for out in made if (out == out[:, :, :1]).all()]
    assert 0 < len(gray) < 25
    assert all(out.dtype == np.uint8 for out in made)
    assert all(out is image for out in made if not any(out is g for g in gray))


def test_the_recipes_show_the_examples(project_root):
    text = (project_root / "docs" / "extending.md").read_text(encoding="utf-8")
    recipes = re.split(r"^## ", text, flags=re.M)[1:]
    assert len(recipes) == 6
    for recipe in recipes:
        links = re.findall(r"\]\((\.\./examples/extending/\w+\.py)\)", recipe)
        source = "".join((project_root / "docs" / link).read_text("utf-8") for link in links)
        blocks = re.findall(r"```python\n(.*?)```", recipe, re.S)
        assert blocks
        for block in blocks:
            assert block in source, block
        commands = re.findall(r"^    (bdd-inst .*)$", recipe, re.M)
        assert commands
        for command in commands:
            assert command in source


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain_backbone", "center_points", "gray"])
def test_the_command_of_the_recipe_trains(name, example, project_root, tmp_path, monkeypatch):
    path = Path(example(name))
    command = re.search(r"^bdd-inst train (.*)$", path.read_text(), re.M)[1]
    data = coco_data(tmp_path / "data")
    monkeypatch.chdir(project_root)
    words = [*shlex.split(command), *MODEL, *SHORT, "--output", str(tmp_path / "run")]
    for which in ("train", "val"):
        words += [f"--{which}", f"{data}/labels.json", f"--{which}-images", f"{data}/images"]
    assert train.main(words) == 0
    assert (tmp_path / "run" / "model_final.pth").is_file()
