"""Label Studio's tasks: what each kind of region becomes, which annotation counts, and what comes back from what we write."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bdd_inst import formats
from bdd_inst.formats.label_studio import image_of_url
from bdd_inst.images.finder import ImageFinder
from bdd_inst.masks import brush_rle, run_lengths
from tests.formats import examples


def read(tmp_path, value):
    return formats.read(examples.write(tmp_path, "labelstudio", value)).load()


def test_regions_become_pixels(tmp_path):
    first, second = read(tmp_path, None).images
    assert (first.name, first.width, first.height) == (
        "0a1b2c3d-a.jpg",
        examples.WIDTH,
        examples.HEIGHT,
    )
    person, car, sign, wheel, road = first.instances
    assert person.paths[0].vertices.tolist() == [[8, 6], [40, 6], [40, 36]]
    assert car.box == (8, 6, 24, 24)
    # 20 x 12 pixels at 40, 30, turned clockwise about that corner: it lies to the left of it, below.
    assert np.allclose(sign.paths[0].vertices, [[40, 30], [40, 50], [28, 50], [28, 30]])
    assert np.allclose(wheel.paths[0].bounds, (32, 24, 48, 36))
    mask = run_lengths.decode(road.rle)
    assert np.flatnonzero(mask.reshape(-1)).tolist() == [1, 2, 3, 4]
    assert (second.name, second.labeled) == ("x y/b.jpg", True)
    assert [(i.category, i.score) for i in second.instances] == [("bus", 0.75)]


def test_the_first_completed_annotation_counts_and_others_are_counted(tmp_path):
    task = examples.label_studio()[0]
    shape = task["annotations"][0]["result"]
    task["annotations"] = [
        {"was_cancelled": True, "result": shape[:1]},
        {"was_cancelled": False, "result": shape[1:2]},
        {"was_cancelled": False, "result": shape},
    ]
    labels = read(tmp_path, [task])
    assert [i.category for i in labels.images[0].instances] == ["car"]
    assert labels.problems.counts == {"annotation-canceled": 1, "several-annotations": 1}
    task["annotations"][2]["ground_truth"] = True
    assert len(read(tmp_path, [task]).images[0].instances) == 5


def test_a_task_that_nobody_annotated_is_not_an_empty_one(tmp_path):
    empty, untouched, canceled = (copy.deepcopy(examples.label_studio()[0]) for _ in range(3))
    empty["annotations"][0]["result"] = []
    untouched |= {"annotations": [], "predictions": []}
    canceled["annotations"][0]["was_cancelled"] = True
    canceled["predictions"] = []
    for number, task in enumerate((empty, untouched, canceled)):
        task["data"] = {"image": f"{number}.jpg"}
    images = read(tmp_path, [empty, untouched, canceled]).images
    assert [image.labeled for image in images] == [True, False, False]


def test_label_and_attributes_of_a_region_may_be_results_of_their_own(tmp_path):
    task = examples.label_studio()[0]
    (one, *_) = task["annotations"][0]["result"]
    points = {"points": one["value"]["points"]}
    shape = one | {"type": "polygon", "value": dict(points)}
    label = one | {"type": "labels", "value": points | {"labels": ["dog"]}}
    color = one | {"type": "choices", "from_name": "color", "value": points | {"choices": ["red"]}}
    whole = {"type": "choices", "from_name": "weather", "value": {"choices": ["rain"]}}
    task["annotations"][0]["result"] = [shape, label, color, whole]
    (image,) = read(tmp_path, [task]).images
    assert [i.category for i in image.instances] == ["dog"]
    assert image.attributes == {"weather": ["rain"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_rotation": 90}, "turned by 90"),
        ({"original_width": 8}, "another original size"),
        ({"value": {"format": "rle", "rle": [0, 1, 2], "brushlabels": ["a"]}}, "break off"),
        ({"value": {"format": "rle", "rle": [255] * 20, "brushlabels": ["a"]}}, "of 4294967295 values"),
        ({"value": {"rle": [*examples.BRUSH[:9], 1], "brushlabels": ["a"]}}, "break off"),
        ({"value": {"rle": ["x"], "brushlabels": ["a"]}}, "no bytes"),
        ({"value": {"points": [[1, 2], [3, 4]], "polygonlabels": ["a"]}}, "a polygon of 2 points"),
        ({"type": "keypointlabels", "value": {"x": 1, "y": 2, "width": 0.3, "keypointlabels": ["a"]}}, "encloses nothing"),
    ],
)  # fmt: skip
def test_a_bad_region_costs_itself(change, message, tmp_path):
    task = examples.label_studio()[0]
    results = task["annotations"][0]["result"]
    results[1] |= change
    labels = read(tmp_path, [task])
    assert len(labels.images[0].instances) == 4
    assert labels.problems.counts == {"bad-label": 1}
    assert message in labels.problems.lines()[0]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("/data/upload/12/0a1b2c3d-a.jpg", "0a1b2c3d-a.jpg"),
        ("/data/local-files/?d=sets/a%20b.jpg", "sets/a b.jpg"),
        ("s3://bucket/x/a.jpg", "x/a.jpg"),
        ("http://host:8080/x/a.jpg?sig=1/2", "x/a.jpg"),
        ("http://host/data/upload/0a1b2c3d-a.jpg", "0a1b2c3d-a.jpg"),
        ("x/a.jpg", "x/a.jpg"),
        ("http://[broken/a.jpg", ""),
    ],
)
def test_urls_and_uploads_name_images(text, name):
    assert image_of_url(text) == name


def test_an_upload_is_found_under_its_own_name(tmp_path):
    Image.new("RGB", (8, 6)).save(tmp_path / "Street 1.jpg")
    Image.new("RGB", (8, 6)).save(tmp_path / "0a1b2c3d-other.jpg")
    finder = ImageFinder(tmp_path)
    assert finder.find("0a1b2c3d-Street%201.jpg").name == "Street 1.jpg"
    assert finder.find("other.jpg").name == "0a1b2c3d-other.jpg"
    assert finder.find("0a1b2c3dstreet 1.jpg") is None


def test_regions_come_back_from_what_is_written(tmp_path):
    source = read(tmp_path, examples.label_studio()[:1])
    done = formats.write(source, tmp_path / "tasks.json", to="labelstudio")
    assert set(done.lost.counts) == {"lost-ids"}
    (task,) = json.loads((tmp_path / "tasks.json").read_text())
    assert task["data"]["image"] == "/data/local-files/?d=0a1b2c3d-a.jpg"
    again = formats.read(tmp_path / "tasks.json").load()
    for one, two in zip(source.images[0].instances, again.images[0].instances, strict=True):
        assert (one.category, one.rle, one.score) == (two.category, two.rle, two.score)
        assert (one.box is None) == (two.box is None)
        assert one.box is None or np.allclose(one.box, two.box)
        for path, other in zip(one.paths or (), two.paths or (), strict=True):
            assert np.allclose(path.vertices, other.vertices)
    assert '<Label value="person"/>' in (tmp_path / "tasks.config.xml").read_text()


def test_flags_scores_and_several_parts_are_kept_or_said(tmp_path):
    labels = formats.read(examples.write(tmp_path, "scalabel"))
    done = formats.write(labels, tmp_path / "tasks.json", to="labelstudio")
    assert {"lost-curves", "lost-outlines", "lost-image-attributes"} <= set(done.lost.counts)
    first, second, third = formats.read(tmp_path / "tasks.json").load().images
    car, person, bike = first.instances
    assert (car.occluded, person.crowd, bike.score) == (True, True, 0.5)
    assert person.rle is not None  # of several parts
    assert (second.labeled, third.labeled, third.instances) == (False, True, [])


@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_any_mask_comes_back_from_a_brush(height, width, data):
    bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    rle = run_lengths.encode(np.array(bits).reshape(height, width))
    assert brush_rle.decode(brush_rle.encode(rle), height, width) == rle


def test_long_runs_come_back_from_a_brush():
    mask = np.zeros((300, 400), bool)
    mask[150:, :] = True
    rle = run_lengths.encode(mask)
    assert brush_rle.decode(brush_rle.encode(rle), 300, 400) == rle
