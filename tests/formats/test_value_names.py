"""What the values of label maps mean: by their endings, by what the user says, in every tool."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from bdd_inst import formats
from bdd_inst.base.errors import DataError
from bdd_inst.cli import convert, evaluate
from bdd_inst.config.loading import load_cfg
from bdd_inst.datasets import own
from bdd_inst.datasets.catalog import DatasetCatalog
from bdd_inst.formats.value_names import image_key, parse_values


def label_map(path, *values, size=(24, 32)):
    """A gray PNG with a square of each value, one below the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(size, np.uint8)
    for n, value in enumerate(values):
        pixels[1 + 4 * n : 4 + 4 * n, 2:8] = value
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "3=road, 7=car"),
        ("a.txt", "# value name\n3 road\n\n7: car\n"),
        ("a.csv", "3,road\n7,car"),
        ("a.json", '{"3": "road", "7": "car"}'),
        ("a.json", '{"road": 3, "car": 7}'),
        ("a.yaml", "names:\n  3: road\n  7: car\n"),
    ],
)
def test_values_are_named_in_many_ways(name, text, tmp_path):
    if name:
        (tmp_path / name).write_text(text)
    assert parse_values(str(tmp_path / name) if name else text) == {3: "road", 7: "car"}


def test_names_alone_count_from_one(tmp_path):
    (tmp_path / "classes.txt").write_text("road\ntraffic light\n")
    assert parse_values(str(tmp_path / "classes.txt")) == {1: "road", 2: "traffic light"}


@pytest.mark.parametrize("text", ["road", "1=", "1=a,1=b", "1=a,2=a", "70000=a", "=a", ""])
def test_what_names_no_values_is_refused(text, tmp_path):
    with pytest.raises(DataError, match="value"):
        parse_values(text)
    (tmp_path / "a.json").write_text(json.dumps([text, 5]))
    with pytest.raises(DataError, match=r"a\.json: no values with their names"):
        parse_values(str(tmp_path / "a.json"))


def classes(path, **options):
    labels = formats.read(path, **options).load()
    return [i.category for p in labels.images for i in p.instances], labels


def test_values_get_the_names_that_the_user_gives(tmp_path, capsys):
    label_map(tmp_path / "maps" / "a.png", 3, 7, 9)
    assert classes(tmp_path / "maps")[0] == ["3", "7", "9"]
    named, labels = classes(tmp_path / "maps", values={3: "road", 7: "car"})
    assert named == ["road", "car"]
    assert labels.problems.counts == {"unknown-category": 1}
    out = ["--to", "coco", "--output", str(tmp_path / "out.json"), "--values", "3=road,7=car"]
    assert convert.main(["--input", str(tmp_path / "maps"), *out]) == 0
    tree = json.loads((tmp_path / "out.json").read_text())
    assert {c["name"]: c["id"] for c in tree["categories"]} == {"road": 3, "car": 7}
    assert convert.main(["--input", str(tmp_path / "out.json"), *out[:3], "x.json", *out[4:]]) == 1
    assert "--values is for label maps" in capsys.readouterr().err


def test_a_data_set_of_label_maps_trains_under_given_names(tmp_path, monkeypatch):
    monkeypatch.setenv("BDD_INST_CACHE", "")
    masks = label_map(tmp_path / "maps" / "a.png", 3, 7).parent
    (tmp_path / "img").mkdir()
    Image.new("RGB", (32, 24)).save(tmp_path / "img" / "a.jpg")
    words = ["DATASETS.TRAIN", [str(masks)], "DATASETS.TRAIN_IMAGES", [str(tmp_path / "img")]]
    cfg = load_cfg(
        "Base-MaskRCNN-FPN.yaml", [*words, "DATASETS.TEST", [], "DATASETS.VALUES", "3=road,7=car"]
    )
    own.prepare(cfg)
    assert list(cfg.DATASETS.CLASSES) == ["road", "car"]
    (record,) = DatasetCatalog.get(str(masks))
    assert [a["category_id"] for a in record["annotations"]] == [0, 1]


def test_label_maps_are_scored_by_given_names(tmp_path):
    label_map(tmp_path / "gt" / "a.png", 3, 7)
    label_map(tmp_path / "dt" / "a.png", 3, 3)
    both = ["--ground-truth", str(tmp_path / "gt"), "--predictions", str(tmp_path / "dt")]
    out = ["--output", str(tmp_path / "out"), "--no-report", "--values", "3=road,7=car"]
    assert evaluate.main([*both, *out]) == 0
    figures = json.loads((tmp_path / "out/metrics.json").read_text())["sem_seg"]
    assert figures["IoU-road"] == pytest.approx(50)
    assert figures["IoU-car"] == 0


@pytest.mark.parametrize(
    ("ending", "values", "names"),
    [
        ("labelIds", (7, 26, 1), ["road", "car"]),
        ("labelTrainIds", (13, 255), ["road", "car"]),  # value 0 is a class there
    ],
)
def test_cityscapes_maps_have_their_classes_and_images(ending, values, names, tmp_path):
    file = label_map(tmp_path / "aachen" / f"aachen_000000_000019_gtFine_{ending}.png", *values)
    found, labels = classes(file.parent)
    assert found == names
    assert [p.name for p in labels.images] == ["aachen_000000_000019_leftImg8bit.png"]
    assert labels.problems.counts == ({"category-left-out": 1} if 1 in values else {})
    assert image_key(file.stem) == "aachen_000000_000019_leftImg8bit"


def test_a_gtfine_folder_of_pngs_is_read_by_its_instance_numbers(tmp_path):
    stem = tmp_path / "aachen" / "aachen_000000_000019_gtFine"
    label_map(stem.with_name(stem.name + "_labelIds.png"), 7, 26)
    Image.new("RGB", (32, 24), (128, 64, 128)).save(f"{stem}_color.png")
    numbers = np.full((24, 32), 7, np.uint16)
    numbers[2:9, 2:9] = 26001
    Image.fromarray(numbers).save(f"{stem}_instanceIds.png")
    found, labels = classes(tmp_path / "aachen")
    assert (labels.kind, found) == ("cityscapes-instances", ["road", "car"])
