"""Dicts that a user registers: what would train or score wrongly is named, mended, or dropped and counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.config.loading import get_cfg
from bdd_inst.data.ground_truth import to_instances
from bdd_inst.data.loader import build_train_loader
from bdd_inst.data.loading import load_datasets
from bdd_inst.data.transforms import Chain
from bdd_inst.datasets.catalog import DatasetCatalog, MetadataCatalog
from bdd_inst.datasets.dict_array import DictArray
from bdd_inst.masks import run_lengths
from bdd_inst.structures import BoxMode
from bdd_inst.structures.polygon_masks import PolygonMasks

SQUARE = [2.0, 2.0, 8.0, 2.0, 8.0, 8.0, 2.0, 8.0]


def thing(**changes):
    item = {
        "bbox": [2, 2, 8, 8],
        "bbox_mode": BoxMode.XYXY_ABS,
        "category_id": 1,
        "segmentation": [SQUARE],
    }
    item |= changes
    return {key: value for key, value in item.items() if value is not ...}


def image(*objects, **changes):
    record = {
        "file_name": "street.jpg",
        "width": 20,
        "height": 10,
        "image_id": 7,
        "annotations": list(objects),
    }
    record |= changes
    return {key: value for key, value in record.items() if value is not ...}


@pytest.fixture
def cfg():
    cfg = get_cfg()
    cfg.MODEL.MASK_ON, cfg.MODEL.ROI_HEADS.NUM_CLASSES = True, 2
    return cfg


@pytest.fixture
def load(cfg):
    """``load(dicts)`` -> dicts, problems of a user's data set ``mine``."""

    def call(dicts, is_train=True, classes=("a", "b")):
        DatasetCatalog.register("mine", lambda: dicts)
        if classes:
            MetadataCatalog.get("mine").set(thing_classes=list(classes))
        try:
            out, _, problems = load_datasets(cfg, ["mine"], is_train)
            return out, problems
        finally:
            DatasetCatalog.remove("mine")
            MetadataCatalog.pop("mine")

    return call


@pytest.mark.parametrize("is_train", [True, False])
@pytest.mark.parametrize(
    ("record", "words"),
    [
        (image(thing(attributes="night")), "attributes is 'night', not a dict"),
        (image(thing(), thing(category_id=2)), r"street.jpg, annotations\[1\]: category_id is 2; .*from 0 to 1"),
        (image(thing(category_id=-1)), "category_id is -1"),
        (image(thing(category_id="1")), "category_id is '1'"),
        (image(thing(category_id=...)), "category_id is missing"),
        (image(thing(), image_id=...), None),
        (image(thing(), image_id=[1]), "image_id is a list"),
        (image(thing(), width=...), "width is missing"),
        (image(thing(), height="10"), "height is '10'"),
        (image(thing(), file_name=...), "no file_name"),
        (image(thing(bbox_mode="XYZ")), "bbox_mode is 'XYZ'"),
        (image(thing(bbox_mode=...)), "bbox_mode is missing"),
        (image(thing(bbox_mode=2)), "bbox_mode is 2"),
        (image(thing(bbox=...)), "bbox is missing"),
        (image(thing(bbox=[1, 2, 3])), "bbox is a list of 3"),
        (image(thing(iscrowd="0")), "iscrowd is '0'"),
        (image(thing(segmentation=np.ones((9, 20), bool))), "a mask of 9x20, but .* 10x20"),
        (image(thing(segmentation=run_lengths.encode(np.ones((9, 20), bool)))), "an RLE is for an image of 20x9"),
        (image(thing(segmentation={"counts": "x"})), "needs a size"),
        (image(thing(segmentation="polygon")), "segmentation is a str"),
        (image(annotations={}), "annotations is of type dict"),
        ("street.jpg", "entry 0 is a str"),
    ],
)  # fmt: skip
def test_what_would_train_wrongly_is_named(load, record, words, is_train):
    if words is None:
        assert load([record], is_train)[0][0]["image_id"] == 1
        return
    with pytest.raises(DataError, match=words) as caught:
        load([record], is_train)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("mine: ")


@pytest.mark.parametrize("given", [None, {"a": 1}, iter([])])
def test_a_loader_must_give_a_list(load, given):
    with pytest.raises(DataError, match="must return a list of dicts"):
        load(given)


def test_class_names_are_needed(load):
    with pytest.raises(ConfigError, match="thing_classes"):
        load([image(thing())], classes=())


def test_ids_are_one_each(load):
    two = [image(thing()), image(thing(), file_name="other.jpg")]
    with pytest.raises(DataError, match="street.jpg and other.jpg both have the image_id 7"):
        load(two)
    again = [image(thing()), image(thing())]  # an image listed twice trains twice
    assert len(load(again)[0]) == 2
    with pytest.raises(DataError, match="image_id 7"):
        load(again, is_train=False)


@pytest.mark.parametrize(
    "form",
    [
        lambda mask: mask,
        lambda mask: mask.astype(np.uint8) * 255,
        lambda mask: mask.astype(np.int64).tolist(),
        lambda mask: torch.from_numpy(mask),
        lambda mask: run_lengths.encode(mask),
        lambda mask: {"size": [10, 20], "counts": run_lengths.encode(mask)["counts"].encode()},
        lambda mask: {
            "size": [10, 20],
            "counts": run_lengths.counts_of(run_lengths.encode(mask)).tolist(),
        },
    ],
)
def test_masks_of_every_form_are_masks(cfg, load, form):
    cfg.INPUT.MASK_FORMAT = "bitmask"
    mask = np.zeros((10, 20), bool)
    mask[2:8, 3:9] = True
    dicts, problems = load([image(thing(segmentation=form(mask)))])
    assert np.array_equal(run_lengths.decode(dicts[0]["annotations"][0]["segmentation"]), mask)
    assert not problems
    cfg.INPUT.MASK_FORMAT = "polygon"
    for given in ([image(thing(segmentation=form(mask)))], DictArray.from_dicts(dicts)):
        with pytest.raises(ConfigError, match=r"street\.jpg.*set INPUT\.MASK_FORMAT bitmask"):
            load(given)


@pytest.mark.parametrize(
    "form",
    [
        SQUARE,
        np.array(SQUARE),
        [np.array(SQUARE)],
        np.array([SQUARE]),
        [[2, 2], [8, 2], [8, 8], [2, 8]],
        [np.array(SQUARE).reshape(4, 2)],
    ],
)
def test_polygons_of_every_form_are_polygons(load, form):
    dicts, _ = load([image(thing(segmentation=form))])
    assert dicts[0]["annotations"][0]["segmentation"] == [SQUARE]


@pytest.mark.parametrize(
    "shares", [{"bbox": [0.1, 0.1, 0.5, 0.9]}, {"segmentation": [[0.1, 0.1, 0.5, 0.1, 0.5, 1.0]]}]
)
def test_shares_of_the_images_sides_are_no_pixels(load, shares):
    with pytest.raises(DataError, match=r"annotations\[0\]: its coordinates are from 0 to 1"):
        load([image(thing(**shares))])


def test_a_box_beside_its_image_is_counted(load):
    objects = thing(), thing(bbox=[30, 2, 40, 8])
    dicts, problems = load([image(*objects)])
    assert len(dicts[0]["annotations"]) == 1
    assert problems.counts["empty-object"] == 1
    assert len(load([image(*objects)], is_train=False)[0][0]["annotations"]) == 2


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e9, 9e6])
@pytest.mark.parametrize("is_train", [True, False])
def test_vertices_that_no_image_has_are_left_out_and_counted(load, bad, is_train):
    wild = [2.0, 2.0, bad, 2.0, 8.0, 8.0]
    objects = thing(segmentation=[SQUARE, wild]), thing(segmentation=[wild])
    dicts, problems = load([image(*objects)], is_train)
    kept = dicts[0]["annotations"]
    assert kept[0]["segmentation"] == [SQUARE]
    assert problems.counts["bad-polygon"] == 2
    assert len(kept) == (1 if is_train else 2)
    assert problems.counts["no-mask"] == int(is_train)


def test_polygon_masks_refuse_vertices_that_no_image_has():
    for bad in (float("nan"), float("inf"), 1e9):
        with pytest.raises(ValueError, match="coordinate"):
            PolygonMasks([[[2.0, 2.0, bad, 2.0, 8.0, 8.0]]])


def test_an_object_without_a_mask_among_masks_is_left_out(load, cfg):
    given = [image(thing(), thing(segmentation=...), thing(segmentation=[]))]
    dicts, problems = load(given)
    assert len(dicts[0]["annotations"]) == 1
    assert problems.counts == {"no-mask": 2}
    assert len(given[0]["annotations"]) == 3  # the user's own dicts stay as they are
    cfg.MODEL.MASK_ON = False
    assert len(load(given)[0][0]["annotations"]) == 3


@pytest.mark.parametrize("arrays", [False, True])
def test_boxes_alone_under_a_mask_head_say_the_key(load, arrays):
    dicts = [image(thing(segmentation=...))]
    if arrays:
        dicts = DictArray.from_dicts(dicts)
    with pytest.raises(ConfigError, match="MODEL.MASK_ON False"):
        load(dicts)
    assert len(load(dicts, is_train=False)[0]) == 1


def test_arrays_count_objects_without_masks_and_the_mapper_leaves_them_out(load):
    odd = run_lengths.encode(np.ones((10, 20), bool)) | {
        "counts": [0, 200]
    }  # lies among the other fields
    given = [
        image(thing(), thing(segmentation=...)),
        image(thing(segmentation=odd), image_id=8),
    ]
    dicts, problems = load(DictArray.from_dicts(given))
    assert problems.counts == {"no-mask": 1}
    objects = to_instances(dicts[0]["annotations"], Chain((10, 20)), "bitmask", False, "street.jpg")
    assert len(objects) == len(objects.gt_masks) == 1


@pytest.mark.parametrize("mode", ["XYWH_ABS", "BoxMode.XYWH_ABS", 1, np.int64(1)])
def test_box_modes_by_name(load, mode):
    dicts, _ = load([image(thing(bbox=(2, 2, 6, 6), bbox_mode=mode))])
    assert dicts[0]["annotations"][0]["bbox_mode"] is BoxMode.XYWH_ABS


def test_boxes_that_are_none_are_dropped_and_counted(load):
    nan, zero = thing(bbox=[2, 2, float("nan"), 8]), thing(bbox=[2, 2, 2, 8])
    dicts, problems = load([image(thing(), nan, zero)])
    assert len(dicts[0]["annotations"]) == 1
    assert problems.counts == {"bad-box": 1, "empty-box": 1}
    dicts, problems = load([image(thing(), nan, zero)], is_train=False)
    assert len(dicts[0]["annotations"]) == 2
    assert problems.counts["empty-box"] == 1


def test_corners_called_width_and_height_are_said(load):
    wrong = thing(bbox=[12, 2, 18, 9], bbox_mode=BoxMode.XYWH_ABS)
    right = thing(bbox=[12, 2, 8, 8], bbox_mode=BoxMode.XYWH_ABS)
    _, problems = load([image(wrong, right)])
    assert "1 of 2 XYWH_ABS boxes" in problems.lines()[0]
    assert "XYXY_ABS meant" in problems.lines()[0]
    assert not load([image(right)])[1]


def test_what_is_left_trains(load, cfg, tmp_path):
    from PIL import Image

    Image.new("RGB", (20, 10)).save(tmp_path / "street.png")
    cfg.SEED, cfg.SOLVER.IMS_PER_BATCH, cfg.DATALOADER.NUM_WORKERS = 1, 1, 0
    for form in ("polygon", "bitmask"):
        cfg.INPUT.MASK_FORMAT = form
        objects = thing(), thing(segmentation=...), thing(segmentation=[[2, 2, np.nan, 2, 8, 8]])
        dicts, _ = load([image(*objects, file_name=tmp_path / "street.png")])
        sample = next(iter(build_train_loader(cfg, dicts)))[0]
        assert len(sample["instances"].gt_masks) == 1
