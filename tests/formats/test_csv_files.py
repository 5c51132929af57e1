"""CSV: run lengths as Kaggle's contests have them, in and out, and VIA's export."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bdd_inst import formats
from bdd_inst.base.errors import DataError
from bdd_inst.formats import rle_csv
from bdd_inst.masks import run_lengths
from tests.formats import examples

# 5 rows, 4 columns: pixels 1 to 3 are the head of the first column, 6 and 7 of the second.
SIZE = (5, 4)


@pytest.fixture
def folder(tmp_path):
    for name in ("a.jpg", "b_c.jpg", "d.png"):
        Image.new("RGB", SIZE[::-1]).save(tmp_path / name)
    return tmp_path


def read(folder, text):
    (folder / "train.csv").write_text(text)
    return formats.read(folder / "train.csv").load()


def found(labels):
    return [
        (image.name, [(i.category, run_lengths.area(i.rle)) for i in image.instances])
        for image in labels.images
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Airbus: a row an object, none for an empty image
        ("ImageId,EncodedPixels\na.jpg,1 3 6 2\na.jpg,20 1\nb_c.jpg,\n", [("a.jpg", [("object", 5), ("object", 1)]), ("b_c.jpg", [])]),
        # Carvana; names without ending
        ("img,rle_mask\na.jpg,1 3\nd,6 2\n", [("a.jpg", [("object", 3)]), ("d.jpg", [("object", 2)])]),
        # Severstal, of the contest's two forms
        ("ImageId,ClassId,EncodedPixels\na.jpg,3,1 3\nb_c.jpg,4.0,6 2\n", [("a.jpg", [("3", 3)]), ("b_c.jpg", [("4", 2)])]),
        ("ImageId_ClassId,EncodedPixels\nb_c.jpg_1,\nb_c.jpg_2,1 3\n", [("b_c.jpg", [("2", 3)])]),
        # clouds
        ("Image_Label,EncodedPixels\na.jpg_Fish,1 3\na.jpg_Sugar_x,6 2\n", [("a.jpg", [("Fish", 3), ("Sugar_x", 2)])]),
        # iMaterialist: sizes in the file, attributes behind the class
        ("ImageId,EncodedPixels,Height,Width,ClassId\nz.jpg,1 3,5,4,6_1_20\nz.jpg,6 2,5,4,7\n", [("z.jpg", [("6", 3), ("7", 2)])]),
    ],
)  # fmt: skip
def test_the_contests_variants(text, expected, folder):
    labels = read(folder, text)
    assert (labels.kind, found(labels)) == ("rle-csv", expected)
    assert not labels.problems


def test_pixels_are_counted_from_1_down_the_columns(folder):
    (image,) = read(folder, "ImageId,EncodedPixels\na.jpg,1 3 6 2\n").images
    mask = run_lengths.decode(image.instances[0].rle).astype(int)
    assert mask.T.tolist() == [[1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [0] * 5, [0] * 5]


@pytest.mark.parametrize(
    ("pixels", "message"),
    [("1", "pairs"), ("0 3", "pixel 2 of 20"), ("19 3", "pixel 21 of 20"), ("1 5 3 2", "overlap"), ("1 -3", "pairs"), ("1 x", "pairs"), ("1 99999999999", "of 20")],
)  # fmt: skip
def test_bad_runs_cost_their_row(pixels, message, folder):
    labels = read(folder, f"ImageId,EncodedPixels\na.jpg,{pixels}\na.jpg,1 2\n")
    assert found(labels) == [("a.jpg", [("object", 2)])]
    assert labels.problems.counts == {"bad-rle": 1}
    assert message in labels.problems.lines()[0]


def test_images_that_are_not_there_and_rows_without_a_name_are_counted(folder):
    labels = read(folder, "ImageId,EncodedPixels\nno.jpg,1 2\n,1 2\na.jpg,1 2\n")
    assert found(labels) == [("a.jpg", [("object", 2)])]
    assert labels.problems.counts == {"no-image-size": 1, "bad-record": 1}


def test_another_csv_is_refused_in_one_line(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="not a JSON label file"):
        formats.read(tmp_path / "a.csv")


def test_what_is_written_is_read_again(tmp_path):
    source = formats.read(examples.write(tmp_path, "coco")).load()
    done = formats.write(source, tmp_path / "out.csv", to="rle-csv")
    assert done.skipped.counts["crowd-left-out"] == 2
    labels = formats.read(tmp_path / "out.csv").load()
    assert [i.name for i in labels.images] == ["000042.jpg", "000007.jpg"]
    assert [i.category for i in labels.images[0].instances] == ["dog"]
    assert (labels.images[0].height, labels.images[0].width) == (examples.HEIGHT, examples.WIDTH)
    assert labels.images[1].instances == []


def test_scores_are_kept(tmp_path):
    source = formats.read(examples.write(tmp_path, "coco-results"))
    formats.write(source, tmp_path / "out.csv", to="rle-csv")
    labels = formats.read(tmp_path / "out.csv").load()
    assert [[i.score for i in image.instances] for image in labels.images] == [[0.9]]


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_any_mask_comes_back(height, width, data):
    bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    rle = run_lengths.encode(np.array(bits).reshape(height, width))
    text = rle_csv.encode(rle)
    assert bool(text) == any(bits)
    if text:
        assert rle_csv.decode(text, height, width) == rle


def via_csv(path, regions):
    """VIA 2's export of regions, two images, the second without any."""
    head = ["filename", "file_size", "file_attributes", "region_count", "region_id", "region_shape_attributes", "region_attributes"]  # fmt: skip
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(head)
        for number, (shape, attributes) in enumerate(regions):
            row = ["a.jpg", 123, "{}", len(regions), number, shape, attributes]
            writer.writerow([v if isinstance(v, str | int) else json.dumps(v) for v in row])
        writer.writerow(["b.jpg", 123, '{"weather":"rain"}', 0, 0, "{}", "{}"])


def test_vias_csv_is_read_as_its_json(tmp_path):
    regions = [(r["shape_attributes"], r["region_attributes"]) for r in examples.via()["a.jpg123"]["regions"]]  # fmt: skip
    via_csv(tmp_path / "via.csv", regions)
    labels = formats.read(tmp_path / "via.csv").load()
    same = formats.read(examples.write(tmp_path, "via")).load()
    assert labels.kind == "via"
    assert labels.images[0].instances == same.images[0].instances
    assert (labels.images[1].labeled, labels.images[1].instances) == (True, [])
    assert labels.images[1].attributes == {"weather": "rain"}
    assert not labels.problems


def test_broken_json_in_vias_csv_costs_its_region(tmp_path):
    rect = {"name": "rect", "x": 1, "y": 2, "width": 10, "height": 20}
    via_csv(tmp_path / "via.csv", [(rect, {"class": "a"}), ("{broken", {}), ("[" * 100_000, {})])
    labels = formats.read(tmp_path / "via.csv").load()
    assert [i.category for i in labels.images[0].instances] == ["a"]
    assert labels.problems.counts == {"bad-label": 2}
