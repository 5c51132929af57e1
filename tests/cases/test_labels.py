"""Label files that users' reports come down to: every tool reads them in one way, with one verdict."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bdd_inst import formats
from bdd_inst.base.errors import DataError
from bdd_inst.base.vocabulary import BDD100K, BDD100K_DET, BDD100K_PAN_SEG
from bdd_inst.cli import check, convert
from bdd_inst.datasets import own
from bdd_inst.datasets.catalog import DatasetCatalog
from bdd_inst.evaluation import files
from bdd_inst.formats.write_yolo import joined, traced
from bdd_inst.images.png_bytes import encode_mask
from bdd_inst.masks import rasterize, run_lengths
from bdd_inst.masks.outlines import Outline

CASES = Path(__file__).resolve().parents[1] / "fixtures" / "cases"


def figures(truth: str | Path, results: str | Path) -> dict:
    return files.evaluate_files(CASES / truth, CASES / results)


def told(metrics: dict, code: str) -> bool:
    return any(code in note for note in metrics.get("notes", ()))


@pytest.mark.parametrize("name", ["gt", "gt_nested", "gt_points"])
def test_flat_lists_and_lists_of_points_score_as_nested_ones(name):
    metrics = figures(f"03_flat/{name}.json", "03_flat/dt.json")
    assert metrics["segm"]["AP"] == pytest.approx(100)


def test_a_stray_part_is_dropped_and_counted_and_the_object_kept():
    metrics = figures("05_stray/gt_four.json", "05_stray/dt.json")
    assert metrics["segm"]["AP"] == pytest.approx(100)
    assert told(metrics, "bad-polygon")


@pytest.mark.parametrize("name", ["empty", "null", "onlyfour", "degenerate", "bad_string"])
def test_an_object_without_mask_is_left_out_of_mask_ap_with_a_note(name):
    metrics = figures(f"05_stray/gt_{name}.json", "05_stray/dt.json")
    assert metrics["bbox"]["AP"] == pytest.approx(100)
    assert metrics["segm"]["AP"] == pytest.approx(50)  # its detection finds nothing there
    assert told(metrics, "left out of mask AP")
    boxes = figures(f"05_stray/gt_{name}.json", "05_stray/dt_box.json")
    assert boxes["bbox"]["AP"] == pytest.approx(100)


def test_results_with_empty_masks_score_their_boxes():
    metrics = figures("05_stray/gt_ok.json", "05_stray/dt_empty_seg.json")
    assert metrics["bbox"]["AP"] == pytest.approx(100)
    assert "segm" not in metrics
    assert told(metrics, "prediction-without-mask")


def test_results_with_polygons_and_bytes_as_text_are_masks(tmp_path):
    rows = json.loads((CASES / "05_stray/dt.json").read_text())
    rows[0]["segmentation"] = [[5, 5, 25, 5, 25, 25, 5, 25]]
    rows[1]["segmentation"]["counts"] = str(rows[1]["segmentation"]["counts"].encode())
    (tmp_path / "dt.json").write_text(json.dumps(rows))
    metrics = figures("05_stray/gt_ok.json", tmp_path / "dt.json")
    assert metrics["segm"]["AP"] == pytest.approx(100)


def test_an_unused_root_class_of_a_childs_name_is_dropped_with_a_note():
    labels = formats.read(CASES / "07_roboflow/train/_annotations.coco.json").load()
    assert labels.categories == ("person",)
    assert labels.category_ids == (1,)
    assert labels.problems.counts["unused-category"] == 1
    metrics = figures("07_roboflow/train/_annotations.coco.json", "07_roboflow/dt.json")
    assert metrics["segm"]["AP"] == pytest.approx(100)


def test_two_classes_of_one_name_with_objects_are_refused(tmp_path):
    tree = json.loads((CASES / "07_roboflow/train/_annotations.coco.json").read_text())
    tree["annotations"][0]["category_id"] = 0
    (tmp_path / "gt.json").write_text(json.dumps(tree))
    with pytest.raises(DataError, match="both called 'person'"):
        formats.read(tmp_path / "gt.json")


@pytest.mark.parametrize("name", ["pred_mixed", "pred_str"])
def test_ids_that_are_file_names_find_their_images(name):
    metrics = figures("09_ultralytics/gt_str.json", f"09_ultralytics/{name}.json")
    assert metrics["bbox"]["AP"] == pytest.approx(100)


def test_ids_that_are_numbers_of_file_names_follow_them_or_are_told():
    named = figures("09_ultralytics/gt.json", "09_ultralytics/pred_filename.json")
    assert named["bbox"]["AP"] == pytest.approx(100)
    assert told(figures("09_ultralytics/gt.json", "09_ultralytics/pred_old.json"), "id-or-name")


@pytest.mark.parametrize("name", ["11_kili/gt_area", "26_nan/gt_area", "72_area/gt_zero"])
def test_an_area_that_is_not_the_objects_gives_way_to_the_masks_own(name, capsys):
    results = "72_area/dt.json" if name.startswith("72") else "05_stray/dt.json"
    metrics = figures(f"{name}.json", results)
    size = "APl" if name.startswith("72") else "APs"
    assert metrics["bbox"][size] == pytest.approx(100)
    assert told(metrics, "odd-area")
    check.main(["--input", str(CASES / f"{name}.json")])
    assert "odd-area" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("truth", "results"),
    [("12_via_coco/str_ids", "12_via_coco/dt"), ("03_flat/gt", "12_via_coco/dt_float")],
)
def test_ids_as_text_or_floats_are_numbers(truth, results):
    assert figures(f"{truth}.json", f"{results}.json")["segm"]["AP"] == pytest.approx(100)


def test_an_image_without_file_name_is_called_as_its_url_ends():
    labels = formats.read(CASES / "32_lvis/gt.json").load()
    assert {p.name for p in labels.images} == {
        "train2017/000000037777.jpg",
        "val2017/000000397133.jpg",
    }


WORDS = [
    {
        "name": "a.jpg",
        "size": {"width": 64, "height": 48},
        "labels": [
            {
                "id": str(n),
                "category": word,
                "score": 0.9,
                "box2d": {"x1": 5 + n, "y1": 5, "x2": 24, "y2": 24},
                "poly2d": [
                    {"vertices": [[5, 5], [24, 5], [24, 24]], "types": "LLL", "closed": True}
                ],
            }
            for n, word in enumerate(("Car", "Person", "Van", "other person"))
        ],
    }
]


def test_capitals_and_aliases_of_scalabel_files_mean_one_class_everywhere(tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(WORDS))
    labels = formats.read(path)
    formats.write(labels, tmp_path / "coco.json", to="coco")
    written = json.loads((tmp_path / "coco.json").read_text())
    names = {c["id"]: c["name"] for c in written["categories"]}
    converted = [names[a["category_id"]] for a in written["annotations"]]
    truth = files.read_truth(path)
    scored = [truth.class_names[k] for k in truth.category]
    trained = [
        BDD100K_DET[found[0]]
        for word in ("Car", "Person", "Van", "other person")
        if (found := BDD100K.resolve(word))
    ]
    assert converted == scored == trained == ["car", "pedestrian", "car", "pedestrian"]
    assert truth.ignored.tolist() == [False, False, False, True]


def test_training_conversion_and_evaluation_draw_one_mask(tmp_path):
    """A curved outline by BDD100K's rule, two parts of one object: every way from labels to masks gives the same pixels."""
    curve = {
        "vertices": [[5, 5], [20, 2], [30, 20], [24, 30], [8, 30]],
        "types": "LCCLL",
        "closed": True,
    }
    part = {"vertices": [[40, 10], [55, 10], [50, 40]], "types": "LLL", "closed": True}
    label = WORDS[0]["labels"][0] | {"poly2d": [curve, part]}
    label.pop("score")
    path = tmp_path / "labels.json"
    path.write_text(json.dumps([WORDS[0] | {"labels": [label]}]))
    (tmp_path / "images").mkdir()
    Image.new("RGB", (64, 48)).save(tmp_path / "images" / "a.jpg")
    name = own.register(path, tmp_path / "images")
    [[trained]] = [record["annotations"] for record in DatasetCatalog.get(name)]
    DatasetCatalog.remove(name)
    target = tmp_path / "dicts.json"
    formats.write(formats.read(path), target, to="dicts", images=tmp_path / "images")
    [[converted]] = [record["annotations"] for record in json.loads(target.read_text())]
    truth = files.read_truth(path)
    formats.write(formats.read(path), tmp_path / "coco.json", to="coco", masks="rle")
    [written] = json.loads((tmp_path / "coco.json").read_text())["annotations"]
    masks = [
        run_lengths.decode(rle)
        for rle in (
            trained["segmentation"],
            converted["segmentation"],
            written["segmentation"],
            truth.rle(0),
        )
    ]
    assert masks[0].sum() > 500
    assert all(np.array_equal(mask, masks[0]) for mask in masks[1:])
    # Training takes the mask's box, as the official conversion does; a conversion keeps what the file says.
    assert trained["bbox"] == list(run_lengths.to_bbox(trained["segmentation"]))
    assert converted["bbox"] == [5, 5, 25, 25]
    assert trained["category_id"] == converted["category_id"]


def test_words_of_other_files_stay_as_they_are(tmp_path):
    tree = json.loads((CASES / "03_flat/gt.json").read_text())
    tree["categories"][0]["name"] = "Person"
    (tmp_path / "gt.json").write_text(json.dumps(tree))
    formats.write(formats.read(tmp_path / "gt.json"), tmp_path / "out.json", to="coco")
    assert json.loads((tmp_path / "out.json").read_text())["categories"][0]["name"] == "Person"
    assert files.read_truth(tmp_path / "gt.json").class_names == ["Person"]


def objects(path: str | Path, **options) -> list:
    return [i for p in formats.read(CASES / path, **options).images for i in p.instances]


def test_ticked_boxes_of_via_are_classes():
    assert [i.category for i in objects("47_via/checkbox.json")] == ["Specularity", "Instrument"]


def via(path: Path, regions: list[dict], **more) -> Path:
    shape = {"name": "rect", "x": 5, "y": 5, "width": 20, "height": 20}
    records = [{"shape_attributes": shape, "region_attributes": r} for r in regions]
    metadata = {"a.jpg1": {"filename": "a.jpg", "size": 1, "regions": records}}
    path.write_text(json.dumps({"_via_img_metadata": metadata} | more))
    return path


def test_of_several_attributes_of_via_one_is_chosen_and_the_others_are_said(tmp_path, capsys):
    path = via(tmp_path / "via.json", [{"color": "red", "kind": "car"}, {"kind": "bus"}])
    labels = formats.read(path).load()
    assert [i.category for i in labels.images[0].instances] == ["car", "bus"]
    assert "'color' could be it too" in labels.notes[0]
    out = tmp_path / "out.json"
    arguments = ["--input", str(path), "--images", str(CASES / "47_via"), "--to", "coco"]
    arguments += ["--output", str(out), "--class-attribute"]
    assert convert.main([*arguments, "color"]) == 0
    names = [c["name"] for c in json.loads(out.read_text())["categories"]]
    assert names == ["object", "red"]
    assert convert.main([*arguments, "shape"]) == 1
    assert "there are 'color', 'kind'" in capsys.readouterr().err


def test_numbered_options_of_a_via_choice_have_their_names(tmp_path):
    choice = {"type": "dropdown", "options": {"1": "car", "2": "bus"}}
    attributes = {"region": {"what": choice}, "file": {}}
    path = via(tmp_path / "via.json", [{"what": "2"}, {"what": "1"}], _via_attributes=attributes)
    assert [i.category for i in objects(path)] == ["bus", "car"]


def test_a_list_of_classes_is_not_taken_for_labels():
    with pytest.raises(DataError, match="no label format that we know"):
        formats.read(CASES / "51_classes/classes/classes.json")


def test_classes_of_two_splits_have_one_order_and_may_be_absent(tmp_path):
    for split, names in (("train", ["bird", "cat", "dog"]), ("val", ["cat", "dog"])):
        source = ["--input", str(CASES / "82_labelme_split" / split), "--to", "coco"]
        out = tmp_path / f"{split}.json"
        assert convert.main([*source, "--output", str(out)]) == 0
        assert [c["name"] for c in json.loads(out.read_text())["categories"]] == names
        listed = [*source, "--categories", "dog,bird,cat", "--output", str(out)]
        assert convert.main(listed) == 0
        tree = json.loads(out.read_text())
        assert {c["name"]: c["id"] for c in tree["categories"]} == {"dog": 1, "bird": 2, "cat": 3}


def labelme(path: Path, *shapes: dict) -> Path:
    content = {"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": "a.jpg"}
    path.write_text(json.dumps(content | {"imageHeight": 48, "imageWidth": 64}))
    return path


def test_labelmes_words_for_no_class_are_no_objects(tmp_path):
    square = {"points": [[5, 5], [25, 5], [25, 25], [5, 25]], "shape_type": "polygon"}
    words = ("__ignore__", "_background_", "car")
    path = labelme(tmp_path / "a.json", *({"label": word} | square for word in words))
    labels = formats.read(path).load()
    assert [i.category for i in labels.images[0].instances] == ["car"]
    assert labels.problems.counts == {"category-left-out": 2}


def test_a_mask_over_the_edge_is_cut_there(tmp_path):
    png = base64.b64encode(encode_mask(np.ones((10, 10), bool))).decode()
    shape = {"label": "car", "shape_type": "mask", "points": [[60, -4], [69, 5]], "mask": png}
    labels = formats.read(labelme(tmp_path / "a.json", shape)).load()
    assert run_lengths.to_bbox(labels.images[0].instances[0].rle) == (60, 0, 64, 6)
    assert labels.problems.counts == {"outside-image": 1}


def test_a_rotated_box_is_its_quadrilateral():
    ship = next(i for i in objects("13_xany/a.json") if i.category == "ship")
    assert ship.paths[0].vertices.tolist() == [[30, 10], [40, 5], [45, 15], [35, 20]]


def things(path: str | Path, **options) -> list[tuple]:
    return [(i.category, i.crowd, i.box) for i in objects(path, **options)]


def test_cityscapes_polygons_and_instance_numbers_are_classes_and_instances():
    outlined = things("36_cityscapes/gtFine")
    assert outlined[0] == ("road", False, (0, 30, 63, 47))
    assert outlined[1] == ("car", False, (5, 5, 25, 25))
    assert outlined[2][:2] == ("person", True)  # persongroup
    folder = CASES / "36_cityscapes/gtFine/aachen"
    assert things(folder / "*_instanceIds.png") == [
        ("road", False, (0, 30, 64, 48)),
        ("person", True, (30, 5, 40, 15)),
        ("car", False, (5, 5, 25, 25)),
    ]
    names = {p.name for p in formats.read(folder).images}
    assert names == {"aachen_000000_000019_leftImg8bit.png"}


def test_a_later_polygon_of_cityscapes_covers_an_earlier_one(tmp_path):
    square = [[0, 0], [20, 0], [20, 20], [0, 20]]
    shapes = [{"label": "road", "polygon": square}, {"label": "car", "polygon": square[:3]}]
    tree = {"imgHeight": 48, "imgWidth": 64, "objects": shapes}
    path = tmp_path / "x_1_2_gtFine_polygons.json"
    path.write_text(json.dumps(tree))
    road, car = objects(path)
    assert not (run_lengths.decode(road.rle) & run_lengths.decode(car.rle)).any()
    assert run_lengths.area(road.rle) + run_lengths.area(car.rle) == 400


def test_panoptic_bitmasks_have_their_own_forty_classes(tmp_path):
    folder = CASES / "37_panseg/bitmasks/val"
    assert {name for name, *_ in things(folder)} == {"road", "building", "car", "person"}
    formats.write(formats.read(folder), tmp_path / "out.json", to="coco")
    tree = json.loads((tmp_path / "out.json").read_text())
    assert {c["name"]: c["id"] for c in tree["categories"]}["truck"] == 40
    assert files.read_truth(folder).class_names == list(BDD100K_PAN_SEG)


def test_coco_panoptic_segments_are_instances():
    assert things("73_panoptic/panoptic_val.json") == [
        ("road", False, (0, 30, 64, 48)),
        ("person", False, (5, 5, 25, 25)),
    ]


@pytest.mark.parametrize("path", ["74_yolo", "74_yolo/data.yaml", "74_yolo/labels/train"])
def test_yolo_is_read_from_its_folder_its_yaml_or_its_labels(path):
    cat, dog = objects(CASES / path)
    assert (cat.category, dog.category) == ("cat", "dog")
    assert np.allclose(cat.paths[0].vertices, [[6.4, 4.8], [25.6, 4.8], [25.6, 24], [6.4, 24]])
    assert np.allclose(dog.box, [25.6, 19.2, 38.4, 28.8])


def test_yolo_is_written_and_read_again(tmp_path):
    source = formats.read(CASES / "05_stray/gt_four.json")
    arguments = ["--input", str(CASES / "05_stray/gt_four.json"), "--to", "yolo"]
    assert convert.main([*arguments, "--output", str(tmp_path / "out")]) == 0
    assert "0: person" in (tmp_path / "out/data.yaml").read_text()
    again = formats.read(tmp_path / "out", images=CASES / "05_stray/img")
    before, after = (
        [path.vertices for p in labels.images for i in p.instances for path in i.paths]
        for labels in (source, again)
    )
    assert all(np.allclose(a, b, atol=1e-3) for a, b in zip(before, after, strict=True))


def test_masks_become_outlines_of_the_same_pixels(tmp_path):
    mask = np.zeros((48, 64), bool)
    mask[5:25, 5:25] = mask[20:30, 20:40] = mask[40:44, 50:60] = True
    whole = joined(traced(run_lengths.encode(mask)))
    drawn = run_lengths.decode(rasterize.polygons_to_rle([Outline(whole)], 48, 64, "coco"))
    assert (drawn != mask).sum() <= 4


def test_deepfashion2_has_items_with_corner_boxes():
    images = CASES / "34_df2/image"
    assert things("34_df2/annos", images=images) == [
        ("short sleeve top", False, (5, 5, 38, 25)),
        ("trousers", False, (10, 30, 30, 45)),
    ]
    assert len(objects("34_df2/annos")[0].paths) == 2


def test_sam_has_masks_without_classes_and_damaged_ones_keep_their_box(tmp_path):
    labels = formats.read(CASES / "75_sam/sa_1.json").load()
    assert [i.category for i in labels.images[0].instances] == ["object"]
    assert labels.problems.counts == {"bad-rle": 1}
    tree = json.loads((CASES / "75_sam/sa_1.json").read_text())
    mask = np.zeros((48, 64), bool)
    mask[5:25, 5:25] = True
    tree["annotations"][0]["segmentation"] = run_lengths.encode(mask)
    (tmp_path / "sa_1.json").write_text(json.dumps(tree))
    (found,) = objects(tmp_path)
    assert run_lengths.area(found.rle) == 400


@pytest.mark.parametrize("folder", ["SegmentationObject", "Instance_ids"])
def test_instance_numbers_are_not_taken_for_classes(folder, tmp_path):
    (tmp_path / folder).mkdir()
    values = np.zeros((48, 64), np.uint8)
    values[5:25, 5:25], values[30:40, 30:40] = 1, 2
    Image.fromarray(values, "P").save(tmp_path / folder / "a.png")
    with pytest.raises(DataError, match="number instances"):
        formats.read(tmp_path / folder)
    assert formats.read(tmp_path / folder, kind="label-map").kind == "label-map"
