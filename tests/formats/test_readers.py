"""What each reader makes of its kind: every field of the examples, and the variants that real files have."""

from __future__ import annotations

import copy
import gzip
import json

import numpy as np
import pytest
from PIL import Image

from bdd_inst import formats
from bdd_inst.base.errors import DataError
from bdd_inst.masks import run_lengths
from tests.formats import examples


def read(tmp_path, kind, value=None):
    return formats.read(examples.write(tmp_path, kind, value)).load()


@pytest.mark.parametrize("kind", [*examples.JSON_KINDS, *examples.PNG_KINDS])
def test_every_kind_is_told_from_its_content(kind, tmp_path):
    path = examples.write(tmp_path, kind)
    other = path.with_name("labels" + path.suffix)
    path.rename(other)
    assert formats.detect(other) == kind
    labels = formats.read(other).load()
    assert labels.kind == kind
    assert labels.images
    assert not labels.problems


# Scalabel


def test_scalabel_fields(tmp_path):
    first, second, third = read(tmp_path, "scalabel").images
    assert first.name == "a-1.jpg"  # and not what the url says
    assert first.attributes == {"weather": "clear", "scene": "city street", "timeofday": "night"}
    car, person, bike = first.instances
    assert car.box == (9.5, 10.0, 30.25, 31.5)  # the last pixel included
    assert (car.occluded, car.truncated, car.crowd, car.attributes) == (
        True,
        False,
        False,
        {"trafficLightColor": "NA"},
    )
    assert car.paths[0].types == "LLCC"
    assert car.paths[0].vertices.tolist() == [
        [10.25, 10.5],
        [30.0, 12.0],
        [28.0, 30.0],
        [12.0, 28.5],
    ]
    assert (person.id, person.category, person.occluded, person.crowd) == (8, "person", True, True)
    assert len(person.paths) == 2
    assert run_lengths.area(person.rle) == 30
    assert (bike.score, bike.attributes, bike.box) == (0.5, {"index": 3}, None)
    assert (second.labeled, second.video, second.frame_index, second.width) == (
        False,
        "v",
        1,
        examples.WIDTH,
    )
    assert (third.labeled, third.instances) == (True, [])


def test_scalabel_wrapper_single_frame_folder_gzip_and_mark(tmp_path):
    frames = examples.scalabel()
    config = {
        "imageSize": {"width": 80, "height": 60},
        "categories": [{"name": "human", "subcategories": [{"name": "person"}]}, {"name": "car"}],
    }
    wrapped = read(tmp_path, "scalabel", {"frames": frames, "groups": None, "config": config})
    assert wrapped.categories == ("person", "car")
    assert [p.width for p in wrapped.images] == [80, 80, 80]
    for number, frame in enumerate(frames):
        (tmp_path / "folder" / "sub").mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / "sub" / f"{number}.json").write_text(json.dumps(frame))
    folder = formats.read(tmp_path / "folder").load()
    assert [p.name for p in folder.images] == [f["name"] for f in frames]
    packed = tmp_path / "labels.json.gz"
    packed.write_bytes(
        gzip.compress(b"\xef\xbb\xbf" + json.dumps([frames[:2], frames[2:]]).encode())
    )
    assert len(formats.read(packed).load().images) == 3


def test_scalabel_of_2018_keeps_its_boxes(tmp_path):
    label = {
        "id": 0,
        "category": "bike",
        "manualShape": True,
        "manualAttributes": True,
        "box2d": {"x1": 1, "y1": 2, "x2": 11, "y2": 12},
    }
    rows = [[1, 2, "L"], [11, 2, "C"], [12, 5, "C"], [1, 12, "L"]]
    lane = {
        "id": 1,
        "category": "lane",
        "poly2d": [{"vertices": [[0, 0], [5, 5]], "types": "LL", "closed": False}],
    }
    labels = read(
        tmp_path,
        "scalabel",
        [{"name": "a.jpg", "labels": [label, {"id": 2, "category": "area", "poly2d": rows}, lane]}],
    )
    box, area, line = labels.images[0].instances
    assert box.box == (1, 2, 11, 12)
    assert area.paths[0].types == "LCCL"
    assert line.paths[0].closed is False
    assert not labels.problems
    assert "2018" in labels.notes[0]


@pytest.mark.parametrize(
    ("poly2d", "parts", "types"),
    [
        ([{"vertices": [[1, 2], [3, 4], [5, 1]], "types": None, "closed": True}], 1, ""),
        ([{"vertices": [[1, 2], [3, 4], [5, 1]]}], 1, ""),
        ({"vertices": [[1, 2], [3, 4], [5, 1]], "types": "LLL", "closed": True}, 1, ""),
        ([{"vertices": [[1, 2], [3, 4], [5, 1]], "types": ["L", "c", "C"]}], 1, "LCC"),
        ([[1, 2, "L"], [3, 4, "L"], [5, 1, "L"]], 1, ""),
        (
            [[[1, 2, "L"], [3, 4, "C"], [5, 1, "C"]], [[1, 2, "L"], [3, 4, "L"], [5, 1, "L"]]],
            2,
            "LCC",
        ),
        ([], 0, ""),
        (None, 0, ""),
    ],
)
def test_every_spelling_of_poly2d(poly2d, parts, types, tmp_path):
    label = {
        "id": "1",
        "category": "car",
        "box2d": {"x1": 1, "y1": 1, "x2": 5, "y2": 5},
        "poly2d": poly2d,
    }
    labels = read(tmp_path, "scalabel", [{"name": "a.jpg", "labels": [label]}])
    paths = labels.images[0].instances[0].paths or []
    assert len(paths) == parts
    assert not labels.problems
    if parts:
        assert paths[0].types == types
        assert paths[0].vertices.tolist() == [[1, 2], [3, 4], [5, 1]]


@pytest.mark.parametrize(
    ("change", "code", "instances"),
    [
        (
            {"poly2d": [{"vertices": [[1, 2], [3, 4]], "types": "LL", "closed": True}]},
            "bad-polygon",
            1,
        ),
        (
            {
                "poly2d": [
                    {
                        "vertices": [[1, 2], [3, float("nan")], [5, 5]],
                        "types": "LLL",
                        "closed": True,
                    }
                ]
            },
            "bad-polygon",
            1,
        ),
        (
            {
                "poly2d": [
                    {"vertices": [[1, 2], [3, 1e300], [5, 5]], "types": "LLL", "closed": True}
                ]
            },
            "bad-polygon",
            1,
        ),
        (
            {"poly2d": [{"vertices": [[1, 2], [3, 3], [5, 5]], "types": "LLLL", "closed": True}]},
            "bad-polygon",
            1,
        ),
        ({"poly2d": "LLL"}, "bad-polygon", 1),
        ({"box2d": {"x1": 5, "y1": 5, "x2": 1, "y2": 9}}, "bad-box", 0),
        ({"box2d": {"x1": 5, "y1": 5}}, "bad-box", 0),
        ({"category": None}, "bad-label", 0),
        ({"category": "  "}, "bad-label", 0),
        ({"score": "high"}, "bad-label", 0),
        ({"rle": {"counts": "PPPP", "size": [720, 1280]}}, "bad-rle", 1),
        ({"rle": {"counts": "é~", "size": [720, 1280]}}, "bad-rle", 1),
    ],
)
def test_one_bad_thing_costs_that_thing_and_is_named(change, code, instances, tmp_path):
    label = {"id": "77", "category": "car", "box2d": {"x1": 1, "y1": 1, "x2": 5, "y2": 5}} | change
    labels = read(
        tmp_path,
        "scalabel",
        [
            {
                "name": "a.jpg",
                "labels": [
                    label,
                    {"id": "78", "category": "bus", "box2d": {"x1": 1, "y1": 1, "x2": 5, "y2": 5}},
                ],
            }
        ],
    )
    assert code in labels.problems.counts
    problem = labels.problems.examples[code][0]
    assert "scalabel.json" in problem.where
    assert "a.jpg" in problem.where
    assert "77" in problem.where
    assert [i.id for i in labels.images[0].instances] == ["77", "78"][1 - instances :]


def test_rle_spellings_in_scalabel(tmp_path):
    mask = np.zeros((720, 1280), bool)
    mask[5:9, 3:9] = True
    compressed, runs = examples.rle_of(mask), examples.coco_runs(mask)
    spellings = [
        compressed,
        compressed["counts"],
        {"counts": runs, "size": [720, 1280]},
        {"counts": compressed["counts"]},
        runs,
    ]
    frame = {
        "name": "a.jpg",
        "labels": [{"id": str(i), "category": "car", "rle": s} for i, s in enumerate(spellings)],
    }
    labels = read(tmp_path, "scalabel", [frame])
    assert not labels.problems
    assert [i.rle for i in labels.images[0].instances] == [compressed] * len(spellings)


def test_frames_that_are_none_are_counted(tmp_path):
    good = {"name": "a.jpg", "labels": []}
    labels = read(
        tmp_path,
        "scalabel",
        [good, None, 5, {"labels": []}, {"name": ""}, {"name": "b.jpg", "labels": "x"}, good],
    )
    assert [p.name for p in labels.images] == ["a.jpg", "b.jpg"]
    assert labels.problems.counts == {"bad-record": 4, "bad-labels": 1, "duplicate-image": 1}
    assert labels.images[1].labeled is False


def test_problems_are_counted_once_however_often_images_are_read(tmp_path):
    labels = formats.read(
        examples.write(tmp_path, "scalabel", [None, {"name": "a.jpg", "labels": []}])
    )
    for _ in range(3):
        assert len(list(labels.images)) == 1
    assert labels.problems.counts == {"bad-record": 1}


# BDD100K before August 2018


def test_bdd_v1_fields(tmp_path):
    labels = read(tmp_path, "bdd-v1")
    (image,) = labels.images
    assert image.name == "0000f77c-6257be58.jpg"
    assert image.attributes["weather"] == "rainy"
    car, area, bike = image.instances
    assert car.box == (10, 11, 20.5, 30)
    assert car.occluded
    assert area.paths[0].types == "LCCL"
    assert [len(p) for p in bike.paths] == [4, 3]
    assert bike.truncated


def test_bdd_v1_folder_of_files_without_names_and_videos(tmp_path):
    record = examples.bdd_v1()
    nameless = copy.deepcopy(record)
    del nameless["name"]
    video = copy.deepcopy(record) | {
        "name": "v",
        "frames": [{"index": 0, "objects": []}, {"index": 1, "objects": None}],
    }
    for name, value in (("a", record), ("b", nameless), ("c", video)):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    labels = formats.read(tmp_path).load()
    assert [p.name for p in labels.images] == [
        "0000f77c-6257be58.jpg",
        "b.jpg",
        "v-0000001.jpg",
        "v-0000002.jpg",
    ]
    assert [p.labeled for p in labels.images] == [True, True, True, False]
    assert labels.problems.counts == {"no-file-name": 1}


# COCO


def test_coco_fields(tmp_path):
    labels = read(tmp_path, "coco")
    assert (labels.categories, labels.category_ids, labels.rule) == (
        ("dog", "person"),
        (18, 1),
        "coco",
    )
    first, second = labels.images
    assert (first.image_id, first.name, second.instances) == (42, "000042.jpg", [])
    dog, crowd, ignored = first.instances
    assert (dog.category, dog.box, dog.area, len(dog.paths)) == (
        "dog",
        (10.5, 10.0, 30.0, 30.0),
        200.5,
        2,
    )
    assert (crowd.crowd, crowd.ignored, ignored.crowd, ignored.ignored) == (
        True,
        False,
        False,
        True,
    )
    assert crowd.rle == ignored.rle == examples.rle_of(examples.square(10, 10, 20, 30))


def test_coco_without_optional_fields(tmp_path):
    value = examples.coco()
    del value["info"], value["categories"]
    value["annotations"] = [
        {"image_id": "42", "category_id": 3, "bbox": [1, 2, 3, 4]},
        {"image_id": 7, "category_id": 3, "segmentation": [1, 1, 5, 1, 5, 5]},
    ]
    value["images"][1] = {"id": "7", "file_name": "x.jpg"}
    labels = read(tmp_path, "coco", value)
    assert not labels.problems
    first, second = labels.images
    assert (first.instances[0].category, first.instances[0].box, first.instances[0].area) == (
        "3",
        (1, 2, 4, 6),
        None,
    )
    assert second.instances[0].paths[0].vertices.tolist() == [[1, 1], [5, 1], [5, 5]]
    del value["annotations"]
    assert [p.labeled for p in read(tmp_path, "coco", value).images] == [False, False]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"image_id": 5}, "unknown-image"),
        ({"category_id": 99}, "unknown-category"),
        ({"category_id": None}, "bad-label"),
        ({"bbox": [1, 2, -3, 4]}, "bad-box"),
        ({"segmentation": [[1, 1, 2, 2]]}, "bad-polygon"),
        ({"segmentation": [[1, 1, 2, 2, 3]]}, "bad-polygon"),
        ({"segmentation": [[1, 1, 2, float("nan"), 3, 4]]}, "bad-polygon"),
        ({"segmentation": {"size": [60, 81], "counts": "PP"}}, "bad-rle"),
        ({"segmentation": {"size": [60, 80], "counts": [1, 2]}}, "bad-rle"),
        ({"segmentation": "x"}, "bad-segmentation"),
        ({"id": 2}, "duplicate-id"),
        ({"iscrowd": 2}, "odd-crowd-flag"),
        ({"iscrowd": -1, "area": "x"}, "odd-crowd-flag"),
    ],
)
def test_bad_annotations_are_counted(change, code, tmp_path):
    value = examples.coco()
    value["annotations"][0] |= change
    labels = read(tmp_path, "coco", value)
    assert labels.problems.counts == {code: 1}
    assert "coco.json" in labels.problems.examples[code][0].where


def test_coco_whose_categories_share_an_id_is_refused(tmp_path):
    value = examples.coco() | {"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}
    with pytest.raises(DataError, match="share the id 1"):
        read(tmp_path, "coco", value)


def test_results_are_grouped_by_image(tmp_path):
    labels = read(tmp_path, "coco-results")
    assert [(p.name, p.image_id) for p in labels.images] == [("42", 42), ("000007.jpg", 7)]
    assert (labels.images[0].width, labels.images[0].instances[0].score) == (
        examples.WIDTH,
        0.9,
    )
    assert [p.instances[0].category for p in labels.images] == ["1", "dog"]


# The others


def test_supervisely_bitmaps_polygons_and_holes(tmp_path):
    (tmp_path / "meta.json").write_text(
        json.dumps({"classes": [{"title": "person_bmp"}, {"title": "person_poly"}]})
    )
    (tmp_path / "ds" / "ann").mkdir(parents=True)
    (tmp_path / "ds" / "ann" / "photo.png.json").write_text(json.dumps(examples.supervisely()))
    labels = formats.read(tmp_path).load()
    (image,) = labels.images
    assert (labels.categories, image.name, image.width) == (
        ("person_bmp", "person_poly"),
        "photo.png",
        examples.WIDTH,
    )
    bitmap, holed, plain, rectangle = image.instances
    assert run_lengths.to_bbox(bitmap.rle) == (3, 4, 8, 10)
    mask = run_lengths.decode(holed.rle)
    assert mask[25, 25]
    assert not mask[35, 35]
    assert len(plain.paths[0]) == 3
    assert rectangle.box == (1, 1, 10, 10)


def test_supervisely_bitmap_that_leaves_its_image_is_cut(tmp_path):
    value = examples.supervisely()
    value["objects"] = value["objects"][:1]
    value["objects"][0]["bitmap"]["origin"] = [-2, 57]
    labels = read(tmp_path, "supervisely", value)
    assert run_lengths.to_bbox(labels.images[0].instances[0].rle) == (0, 57, 3, 60)
    assert labels.problems.counts == {"outside-image": 1}


def test_labelme_groups_shapes_and_masks(tmp_path):
    labels = read(tmp_path, "labelme")
    (image,) = labels.images
    assert (image.name, image.width, image.height) == (
        "a.jpg",
        examples.WIDTH,
        examples.HEIGHT,
    )
    person, face, wheel, hat = image.instances
    assert (len(person.paths), person.category) == (2, "person")
    assert face.box == (30, 31, 40, 45)
    assert np.allclose(np.hypot(*(wheel.paths[0].vertices - (30, 30)).T), 10)
    assert run_lengths.to_bbox(hat.rle) == (3, 4, 8, 10)


def test_via_shapes(tmp_path):
    person, box, wheel = read(tmp_path, "via").images[0].instances
    assert (person.category, box.category, wheel.category) == ("person", "object", "wheel")
    assert box.box == (1, 2, 11, 22)
    assert len(wheel.paths[0]) > 16
    project = {"_via_img_metadata": examples.via(), "_via_settings": {}}
    assert len(read(tmp_path, "via", project).images) == 1


def test_dicts_take_names_from_the_file_beside_them(tmp_path):
    path = examples.write(tmp_path, "dicts")
    assert [i.category for i in formats.read(path).load().images[0].instances] == ["0", "1"]
    (tmp_path / "dicts.meta.json").write_text(
        json.dumps({"thing_classes": ["car", "bus"], "mask_rule": "official"})
    )
    labels = formats.read(path).load()
    car, bus = labels.images[0].instances
    assert (car.category, bus.category, labels.rule) == ("car", "bus", "official")
    assert car.box == (1, 2, 11, 22.5)
    assert bus.box == (1, 2, 11, 22)
    assert bus.crowd


# PNGs


def test_bitmask_fields_and_tracking_folder(tmp_path):
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "v-0000003.png").write_bytes(examples.bitmask())
    labels = formats.read(tmp_path).load()
    (image,) = labels.images
    assert (image.name, image.video, image.frame_index) == ("v-0000003.jpg", "v", 2)
    car, person = image.instances
    assert (car.category, car.id, car.truncated, car.box) == ("car", 1, True, (5, 5, 20, 20))
    assert (person.category, person.id, person.crowd) == ("pedestrian", 260, True)


def test_label_maps_of_two_sets_in_one_folder_are_not_mixed(tmp_path):
    for name in ("0001_person", "0001_clothes", "0002_person", "0002_clothes"):
        (tmp_path / f"{name}.png").write_bytes(examples.label_map())
    with pytest.raises(DataError, match="2 label sets"):
        formats.read(tmp_path)
    labels = formats.read(tmp_path / "*_clothes.png").load()
    assert [p.name for p in labels.images] == ["0001.jpg", "0002.jpg"]
    assert [(i.category, i.id) for i in labels.images[0].instances] == [("hair", 2), ("pants", 5)]


def test_binary_masks_are_cut_at_half(tmp_path):
    values = np.zeros((60, 80), np.uint8)
    values[10:20, 10:20], values[20, 10:20], values[21, 10:20] = 255, 130, 120
    (tmp_path / "a.png").write_bytes(examples.png(values))
    labels = formats.read(tmp_path, kind="binary-masks").load()
    assert labels.images[0].instances[0].box == (10, 10, 20, 21)


def test_a_broken_png_among_good_ones_is_counted(tmp_path):
    for name in "abcde":
        (tmp_path / f"{name}.png").write_bytes(examples.bitmask())
    (tmp_path / "c.png").write_bytes(examples.bitmask()[:60])
    labels = formats.read(tmp_path).load()
    assert [p.name for p in labels.images] == ["a.jpg", "b.jpg", "d.jpg", "e.jpg"]
    assert labels.problems.counts == {"unreadable-file": 1}


# What is nothing that we know


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("hello", "not a JSON label file"),
        ("[]", "an empty list"),
        ("{}", "an empty object"),
        ('{"a": 1}', "keys 'a'"),
        ("[1, 2]", "a list of 2"),
        (
            '[{"name": "a.jpg", "category": "car", "bbox": [1, 2, 3, 4], "score": 0.5}]',
            "keys 'name', 'category'",
        ),
        ('[{"name": "a.jpg"', "line 1"),
        ('{\n "frames": [,]}', "line 2, column 13"),
    ],
)
def test_unknown_files_say_what_was_seen(text, says, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataError, match=says) as caught:
        formats.read(path)
    assert "x.json" in str(caught.value)


def test_mixed_folders_are_refused(tmp_path):
    examples.write(tmp_path, "labelme")
    examples.write(tmp_path, "supervisely")
    with pytest.raises(DataError, match="different kinds"):
        formats.read(tmp_path)


def test_same_labels_in_several_forms_are_not_read_twice(tmp_path):
    for form in ("polygons", "rles"):
        (tmp_path / form).mkdir()
        examples.write(tmp_path / form, "scalabel")
    with pytest.raises(DataError, match="several forms"):
        formats.read(tmp_path)
    assert len(formats.read(tmp_path / "rles").load().images) == 3


def test_missing_path_and_unknown_kind(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        formats.read(tmp_path / "none.json")
    with pytest.raises(DataError, match="unknown label kind"):
        formats.read(tmp_path, kind="pascal3d")


def test_sizes_come_from_images_where_labels_lack_them(tmp_path):
    images = tmp_path / "images" / "deep"
    images.mkdir(parents=True)
    Image.new("RGB", (93, 72)).save(images / "a-1.jpg")
    labels = formats.read(examples.write(tmp_path, "scalabel"), images=tmp_path / "images").load()
    assert [(p.width, p.height) for p in labels.images] == [(93, 72), (80, 60), (None, None)]
    assert labels.problems.counts == {"no-image-size": 1}


@pytest.mark.parametrize("by", ["index", "id", "order"])
def test_json_takes_its_masks_from_bitmasks(by, tmp_path):
    (tmp_path / "masks").mkdir()
    values = np.zeros((60, 80, 4), np.uint8)
    values[5:20, 5:20], values[30:50, 30:50], values[0:3, 0:3] = (
        (3, 8, 0, 1),
        (1, 2, 0, 2),
        (5, 0, 0, 3),
    )
    (tmp_path / "masks" / "a.png").write_bytes(examples.png(values, "RGBA"))
    labels = [
        {"id": "x", "category": "car"},
        {"id": "y", "category": "person"},
        {"id": "z", "category": "truck"},
    ]
    if by != "order":
        labels = [
            dict(label, **{by: n if by == "index" else str(n)})
            for label, n in zip(labels[:2], (1, 2), strict=True)
        ][::-1]
    path = examples.write(
        tmp_path, "scalabel", [{"name": "a.jpg", "labels": labels}, {"name": "b.jpg", "labels": []}]
    )
    found = formats.read(path, bitmasks=tmp_path / "masks").load()
    masks = {i.category: i.rle and run_lengths.to_bbox(i.rle) for i in found.images[0].instances}
    assert masks["car"] == (5, 5, 20, 20)
    assert masks["person"] == (30, 30, 50, 50)
    mismatch = {"mask-mismatch": 1} if by == "order" else {}
    assert found.problems.counts == {"missing-bitmask": 1, "mask-without-label": 1} | mismatch


# Real files


def test_real_files(shared_dir):
    samples = shared_dir / "data" / "bdd100k" / "samples"
    expected = {
        "seg_track_20_frames.json": (20, 516),
        "ins_seg_polygon.json": (1, 2),
        "example_annotation.json": (1, 4),
        "example_ignore_annotation.json": (2, 2),
    }
    for name, (images, instances) in expected.items():
        labels = formats.read(samples / name).load()
        assert (len(labels.images), sum(len(p.instances) for p in labels.images)) == (
            images,
            instances,
        )
        assert not labels.problems
    coco = formats.read(shared_dir / "data" / "coco_mini").load()
    assert (len(coco.images), sum(len(p.instances) for p in coco.images)) == (215, 2035)
    assert not coco.problems
    both = formats.read(samples / "seg_track_20_frames.json").load().images[0].instances
    assert all(i.paths and i.rle for i in both)


def test_lanes_before_august_2018_are_open_lines(tmp_path):
    rows = [[0, 0, "L"], [5, 5, "L"]]
    area = {"id": 1, "category": "area/drivable", "poly2d": [*rows, [9, 0, "L"]]}
    objects = [{"id": 0, "category": "lane/road curb", "poly2d": rows}, area]
    labels = read(
        tmp_path,
        "bdd-v1",
        {"name": "x", "attributes": {}, "frames": [{"timestamp": 1, "objects": objects}]},
    )
    lane, area = labels.images[0].instances
    assert [path.closed for path in (*lane.paths, *area.paths)] == [False, True]
    assert not labels.problems


def test_labelme_groups_of_masks_and_boxes(tmp_path):
    content = examples.labelme()
    masks = [shape for shape in content["shapes"] if shape.get("shape_type") == "mask"]
    (x, y), (x2, y2) = masks[0]["points"]
    moved = masks[0] | {"points": [[x + 2, y], [x2 + 2, y2]]}
    frame = {
        "label": masks[0]["label"],
        "shape_type": "rectangle",
        "points": [[1, 1], [30, 30]],
        "flags": {},
    }
    content["shapes"] = [shape | {"group_id": 7} for shape in (masks[0], moved, frame)]
    one = read(tmp_path, "labelme", content).images[0].instances
    assert len(one) == 1
    assert one[0].box == (1, 1, 30, 30)
    content["shapes"] = content["shapes"][:1]
    alone = read(tmp_path, "labelme", content).images[0].instances[0]
    expected = run_lengths.decode(alone.rle)
    expected[:, 2:] |= run_lengths.decode(alone.rle)[:, :-2]
    assert np.array_equal(run_lengths.decode(one[0].rle), expected)


def test_gzip_files_of_several_members(tmp_path):
    path = examples.write(tmp_path, "coco")
    data = path.read_bytes()
    packed = tmp_path / "two.json.gz"
    packed.write_bytes(gzip.compress(data[:40]) + gzip.compress(data[40:]))
    assert len(formats.read(packed).load().images) == len(formats.read(path).load().images)
