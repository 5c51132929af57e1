"""Panoptic samples: segments of every form of dict, objects and label map moved together, checks before training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from bdd_inst.base.errors import ConfigError, DataError, ProblemLog
from bdd_inst.config.checking import check_config
from bdd_inst.config.loading import load_cfg
from bdd_inst.data.loading import check_classes
from bdd_inst.data.mapper import DatasetMapper
from bdd_inst.data.panoptic import segments_of, stuff_map_of
from bdd_inst.data.sem_seg import label_map_of
from bdd_inst.data.validation import checked_dicts
from bdd_inst.formats.panoptic_png import read_ids, write_ids
from bdd_inst.masks import run_lengths
from bdd_inst.structures import BoxMode

SIZE = HEIGHT, WIDTH = 40, 60
META = {"thing_classes": ["car", "person"], "stuff_classes": ["things", "road", "sky"]}


@pytest.fixture
def ids():
    """Sky 5 above, road 9 below, a car 300 on it, unlabeled 0 on the right, and 77, which nobody explains."""
    out = np.zeros(SIZE, np.uint32)
    out[:20, :50], out[20:, :50] = 5, 9
    out[15:30, 10:30] = 300
    out[0, 50:] = 77
    return out


@pytest.fixture
def record(tmp_path, ids):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    write_ids(tmp_path / "ids.png", ids)
    car = run_lengths.encode(ids == 300)
    return {
        "file_name": str(tmp_path / "a.png"),
        "height": HEIGHT,
        "width": WIDTH,
        "image_id": 1,
        "annotations": [
            {
                "bbox": [10.0, 15.0, 30.0, 30.0],
                "bbox_mode": BoxMode.XYXY_ABS,
                "category_id": 0,
                "iscrowd": 0,
                "segmentation": car,
            }
        ],
        "pan_seg_file_name": str(tmp_path / "ids.png"),
        "segments_info": [
            {"id": 5, "category_id": 2, "isthing": False, "iscrowd": 0},
            {"id": 9, "category_id": 1, "isthing": False, "iscrowd": 0},
            {"id": 300, "category_id": 0, "isthing": True, "iscrowd": 0},
        ],
    }


def with_masks(record, ids):
    """The same image with stuff as run lengths."""
    out = {k: v for k, v in record.items() if k != "pan_seg_file_name"}
    out["segments_info"] = [
        {**s, "segmentation": run_lengths.encode(ids == s["id"])}
        for s in record["segments_info"]
        if not s["isthing"]
    ]
    return out


def with_label_map(record, ids, tmp_path):
    """The same image as Detectron2's separated data sets have it."""
    values = np.full(SIZE, 255, np.uint8)
    for segment in record["segments_info"]:
        values[ids == segment["id"]] = 0 if segment["isthing"] else segment["category_id"]
    Image.fromarray(values).save(tmp_path / "stuff.png")
    out = {k: v for k, v in record.items() if k not in ("pan_seg_file_name", "segments_info")}
    return out | {"sem_seg_file_name": str(tmp_path / "stuff.png")}


def test_ids_are_written_and_read_as_cocos_colors(tmp_path):
    ids = np.array([[0, 1, 255], [256, 70000, 256**3 - 1]], np.uint32)
    write_ids(tmp_path / "x.png", ids)
    np.testing.assert_array_equal(read_ids(tmp_path / "x.png"), ids)
    assert np.asarray(Image.open(tmp_path / "x.png"))[1, 1].tolist() == [112, 17, 1]
    with pytest.raises(DataError, match="16777216"):
        write_ids(tmp_path / "y.png", ids + 1)


def test_every_form_gives_the_same_segments_and_stuff(record, ids, tmp_path):
    forms = [record, with_masks(record, ids), with_label_map(record, ids, tmp_path)]
    for form in forms:
        found, segments = segments_of(form)
        assert found.dtype == np.int32
        told = {(s["isthing"], s["category_id"]): found == s["id"] for s in segments}
        for segment in record["segments_info"]:
            mask = told[segment["isthing"], segment["category_id"]]
            np.testing.assert_array_equal(mask, ids == segment["id"])
        assert (found[:, 50:] == 0).all()
        stuff = label_map_of(form, 255)
        np.testing.assert_array_equal(stuff, label_map_of(record, 255))
    assert stuff_map_of(record, 254)[0, 59] == 254


def test_a_png_of_another_size_is_refused(record, ids):
    write_ids(record["pan_seg_file_name"], ids[:-1])
    with pytest.raises(DataError, match="60x39"):
        segments_of(record)


def config(**keys):
    cfg = load_cfg("bdd_panoptic.yaml")
    cfg.MODEL.ROI_HEADS.NUM_CLASSES, cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES = 2, 3
    cfg.INPUT.MIN_SIZE_TRAIN = [80]
    cfg.merge_from_list([item for pair in keys.items() for item in pair])
    return cfg


def test_a_training_sample_has_objects_and_stuff_that_move_together(record):
    cfg = config(**{"INPUT.CROP.ENABLED": True, "INPUT.CROP.SIZE": [0.8, 0.8]})
    mapper = DatasetMapper(cfg, True)
    flips = set()
    for seed in range(6):
        sample = mapper(record, np.random.default_rng(seed))
        assert "segments_info" not in sample
        assert "pan_seg_file_name" not in sample
        labels, objects = sample["sem_seg"], sample["instances"]
        assert labels.shape == sample["image"].shape[1:] == objects.image_size
        assert labels.dtype == torch.int64
        cars = objects.gt_masks.to_bitmasks().tensor.any(dim=0) if len(objects) else labels < 0
        assert torch.equal(labels == 0, cars)
        flips.add(bool((labels == 255).nonzero()[:, 1].float().mean() < labels.shape[1] / 2))
    assert flips == {True, False}
    assert set(DatasetMapper(cfg, False)(record)) >= {"image", "height", "width", "image_id"}
    assert "sem_seg" not in DatasetMapper(cfg, False)(record)


def test_pasting_is_refused():
    with pytest.raises(ConfigError, match="COPY_PASTE is not built for"):
        check_config(load_cfg("bdd_panoptic.yaml", ["INPUT.COPY_PASTE.ENABLED", "True"]))


def test_both_heads_must_have_the_classes_of_the_data():
    check_classes(config(), META, ["x"])
    with pytest.raises(ConfigError, match="SEM_SEG_HEAD.NUM_CLASSES is 9"):
        check_classes(config(**{"MODEL.SEM_SEG_HEAD.NUM_CLASSES": 9}), META, ["x"])
    with pytest.raises(ConfigError, match="ROI_HEADS.NUM_CLASSES is 9"):
        check_classes(config(**{"MODEL.ROI_HEADS.NUM_CLASSES": 9}), META, ["x"])
    with pytest.raises(ConfigError, match="no stuff"):
        check_classes(config(), {"thing_classes": ["car", "person"]}, ["x"])


def test_a_users_segments_are_checked(record, ids):
    for form in (record, with_masks(record, ids)):
        (out,) = checked_dicts("mine", [form], META, config(), True, ProblemLog())
        np.testing.assert_array_equal(label_map_of(out), label_map_of(record))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"category_id": 3}, "counts from 1 to 2 in stuff_classes"),
        ({"category_id": 0}, "counts from 1 to 2 in stuff_classes"),
        ({"isthing": True}, "counts from 0 to 1 in thing_classes"),
        ({"id": 0}, "number of the PNG"),
        ({"iscrowd": 2}, "must be 0 or 1"),
        ({"id": None}, "number of the PNG"),
    ],
)
def test_wrong_segments_are_named(record, change, says):
    record["segments_info"][0] |= change
    with pytest.raises(DataError, match=says) as caught:
        checked_dicts("mine", [record], META, config(), True, ProblemLog())
    assert "segments_info[0]" in str(caught.value)


def test_segments_without_a_png_need_masks_and_are_stuff(record):
    record.pop("pan_seg_file_name")
    with pytest.raises(DataError, match="must be an RLE"):
        checked_dicts("mine", [record], META, config(), True, ProblemLog())
    record["segments_info"] = record["segments_info"][2:]
    with pytest.raises(DataError, match="things belong into annotations"):
        checked_dicts("mine", [record], META, config(), True, ProblemLog())
