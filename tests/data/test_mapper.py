"""The mapper: what it gives, what bad input gets, and each augmentation that the config may ask for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.config.checking import check_config
from bdd_inst.config.loading import get_cfg
from bdd_inst.data.mapper import DatasetMapper
from bdd_inst.masks import run_lengths
from bdd_inst.structures import BoxMode, CroppedMasks, PolygonMasks

HEIGHT, WIDTH = 90, 140


def annotation(box, category=0, **more):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    x1, y1, x2, y2 = box
    mask[y1:y2, x1:x2] = True
    return {
        "bbox": [float(v) for v in box],
        "bbox_mode": BoxMode.XYXY_ABS,
        "category_id": category,
        "segmentation": run_lengths.encode(mask),
        **more,
    }


@pytest.fixture
def record(tmp_path):
    """An image whose objects have colors of their own: class 1 red, class 2 green, on noise without either."""
    pixels = np.random.default_rng(1).integers(60, 120, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    pixels[10:40, 20:60] = (255, 0, 0)
    pixels[50:80, 90:130] = (0, 255, 0)
    path = tmp_path / "street.png"
    Image.fromarray(pixels).save(path)
    annotations = [
        annotation((20, 10, 60, 40), 1),
        annotation((90, 50, 130, 80), 2),
        annotation((0, 0, 140, 90), 3, iscrowd=1),
    ]
    return {
        "file_name": str(path),
        "height": HEIGHT,
        "width": WIDTH,
        "image_id": 4,
        "annotations": annotations,
    }


@pytest.fixture
def cfg():
    cfg = get_cfg()
    cfg.MODEL.MASK_ON = True
    cfg.INPUT.MASK_FORMAT = "bitmask"
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MIN_SIZE_TEST = [45, 60, 120], 45
    return cfg


def test_evaluation_gives_the_resized_image_and_no_labels(cfg, record):
    out = DatasetMapper(cfg, False)(record)
    assert out["image"].shape == (3, 45, 70)
    assert out["image"].dtype == torch.uint8
    assert (out["height"], out["width"], out["image_id"]) == (HEIGHT, WIDTH, 4)
    assert "annotations" not in out
    assert "instances" not in out


def test_channels_come_in_the_order_of_the_format(cfg, record):
    at = (25 * 45 // 90, 40 * 70 // 140)
    assert DatasetMapper(cfg, False)(record)["image"][:, at[0], at[1]].tolist() == [0, 0, 255]
    cfg.INPUT.FORMAT = "RGB"
    assert DatasetMapper(cfg, False)(record)["image"][:, at[0], at[1]].tolist() == [255, 0, 0]


def colors_match(out) -> None:
    """Every object's pixels have its color: boxes, masks and image moved together."""
    image = out["image"].numpy()
    for i in range(len(out["instances"])):
        mask = out["instances"].gt_masks[i].tensor[0].numpy()
        channel = {1: 2, 2: 1}[int(out["instances"].gt_classes[i])]  # BGR
        inside = image[channel][mask]
        assert (inside > 150).mean() > 0.9
        x1, y1, x2, y2 = out["instances"].gt_boxes.tensor[i].tolist()
        ys, xs = np.nonzero(mask)
        assert abs(xs.min() - x1) <= 1.5
        assert abs(ys.min() - y1) <= 1.5
        assert abs(xs.max() + 1 - x2) <= 1.5
        assert abs(ys.max() + 1 - y2) <= 1.5


AUGMENTATIONS = {
    "flip": {},
    "vertical": {"RANDOM_FLIP": "vertical"},
    "range": {"MIN_SIZE_TRAIN": [40, 130], "MIN_SIZE_TRAIN_SAMPLING": "range"},
    "crop": {"CROP.ENABLED": True, "CROP.SIZE": [0.5, 0.5]},
    "crop-absolute": {"CROP.ENABLED": True, "CROP.TYPE": "absolute_range", "CROP.SIZE": [50, 70]},
    "crop-instance": {
        "CROP.ENABLED": True,
        "CROP.TYPE": "relative",
        "CROP.SIZE": [0.5, 0.5],
        "CROP.INSTANCE_PROB": 1.0,
    },
    "rotation": {"ROTATION.ENABLED": True, "ROTATION.PROB": 1.0, "ROTATION.ANGLE": [-25.0, 25.0]},
    "jitter": {
        "LARGE_SCALE_JITTER.ENABLED": True,
        "LARGE_SCALE_JITTER.SCALE": [0.5, 1.5],
        "LARGE_SCALE_JITTER.SIZE": [100, 100],
    },
    "all": {
        "CROP.ENABLED": True,
        "CROP.SIZE": [0.7, 0.7],
        "ROTATION.ENABLED": True,
        "LARGE_SCALE_JITTER.ENABLED": True,
        "LARGE_SCALE_JITTER.SIZE": [100, 120],
        "COPY_PASTE.ENABLED": True,
        "COPY_PASTE.PROB": 1.0,
    },
}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_objects_keep_their_colors_through_every_augmentation(cfg, record, name):
    cfg.merge_from_list(
        [part for key, value in AUGMENTATIONS[name].items() for part in (f"INPUT.{key}", value)]
    )
    mapper = DatasetMapper(cfg, True)
    shapes, objects = set(), 0
    for seed in range(25):
        out = mapper(record, np.random.default_rng(seed), lambda: record)
        colors_match(out)
        assert tuple(out["image"].shape[1:]) == out["instances"].image_size
        shapes.add(tuple(out["image"].shape))
        objects += len(out["instances"])
        if name == "crop-instance":
            assert len(out["instances"]) >= 1
    assert objects >= 20
    assert len(shapes) > 1 or "jitter" in name or name == "all"


def test_the_same_generator_gives_the_same_sample_and_another_a_different_one(cfg, record):
    cfg.INPUT.COLOR_JITTER.ENABLED = cfg.INPUT.ROTATION.ENABLED = True
    mapper = DatasetMapper(cfg, True)
    first, again, other = (mapper(record, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert torch.equal(first["image"], again["image"])
    assert first["sample_seed"] == again["sample_seed"] != other["sample_seed"]
    assert first["image"].shape != other["image"].shape or not torch.equal(
        first["image"], other["image"]
    )


def test_crowds_and_emptied_objects_do_not_train(cfg, record):
    record["annotations"].append({**annotation((5, 5, 6, 6), 2), "bbox": [200.0, 5.0, 260.0, 9.0]})
    out = DatasetMapper(cfg, True)(record, np.random.default_rng(0))
    assert sorted(out["instances"].gt_classes.tolist()) == [1, 2]
    assert isinstance(out["instances"].gt_masks, CroppedMasks)


def test_a_dict_is_not_changed(cfg, record):
    import copy

    before = copy.deepcopy(record)
    DatasetMapper(cfg, True)(record, np.random.default_rng(0))
    assert record == before


def test_polygons_stay_polygons_where_the_config_says_so(cfg, record):
    cfg.INPUT.MASK_FORMAT = "polygon"
    with pytest.raises(DataError, match="bitmask"):
        DatasetMapper(cfg, True)(record, np.random.default_rng(0))
    for item in record["annotations"]:
        x1, y1, x2, y2 = item["bbox"]
        item["segmentation"] = [[x1, y1, x2, y1, x2, y2, x1, y2]]
    out = DatasetMapper(cfg, True)(record, np.random.default_rng(0))
    assert isinstance(out["instances"].gt_masks, PolygonMasks)
    assert len(out["instances"]) == 2


def test_detection_without_masks(cfg, record):
    cfg.MODEL.MASK_ON = False
    out = DatasetMapper(cfg, True)(record, np.random.default_rng(0))
    assert not out["instances"].has("gt_masks")
    assert len(out["instances"]) == 2


@pytest.mark.parametrize("training", [True, False])
def test_bad_images_are_one_line_with_their_name(cfg, record, tmp_path, training):
    mapper = DatasetMapper(cfg, training)
    missing = {**record, "file_name": str(tmp_path / "gone.png")}
    broken = {**record, "file_name": str(tmp_path / "broken.png")}
    (tmp_path / "broken.png").write_bytes((tmp_path / "street.png").read_bytes()[:900])
    text = {**record, "file_name": str(tmp_path / "text.png")}
    (tmp_path / "text.png").write_text("not an image")
    sized = {**record, "width": 139}
    for bad in (missing, broken, text, sized):
        with pytest.raises(DataError) as caught:
            mapper(bad, np.random.default_rng(0))
        assert bad["file_name"] in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_mask_of_another_size_is_named(cfg, record):
    record["annotations"][0]["segmentation"] = run_lengths.encode(np.ones((10, 10), bool))
    with pytest.raises(DataError, match=r"street\.png.*10x10"):
        DatasetMapper(cfg, True)(record, np.random.default_rng(0))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(cfg, tmp_path, orientation):
    """An upright image stored turned, with the tag that says how: the mapper shows it upright."""
    upright = Image.fromarray(
        np.random.default_rng(0).integers(0, 255, (12, 20, 3)).astype(np.uint8)
    )
    # What undoes each orientation (EXIF 2.32, 4.6.4), applied backwards to make the stored image.
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = (
        upright.transpose(Image.Transpose(inverse[orientation])) if orientation > 1 else upright
    )
    exif = Image.Exif()
    exif[274] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.FORMAT = 0, "RGB"
    out = DatasetMapper(cfg, False)(
        {"file_name": str(tmp_path / "turned.png"), "height": 12, "width": 20}
    )
    assert np.array_equal(out["image"].numpy().transpose(1, 2, 0), np.asarray(upright))


def test_a_stage_may_set_its_own_input(cfg, record):
    mapper = DatasetMapper(cfg, True, {"NAME": "small", "INPUT.MIN_SIZE_TRAIN": [30]})
    assert min(mapper(record, np.random.default_rng(0))["image"].shape[1:]) == 30
    assert cfg.INPUT.MIN_SIZE_TRAIN == [45, 60, 120]


def test_copy_paste_needs_bitmasks(cfg):
    cfg.INPUT.COPY_PASTE.ENABLED, cfg.INPUT.MASK_FORMAT = True, "polygon"
    with pytest.raises(ConfigError, match="bitmask"):
        check_config(cfg)


def test_pasted_objects_cover_what_was_there(cfg, record, tmp_path):
    """A blue object pasted over half of the red one: the red mask ends where blue begins, a covered object is gone."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[10:40, 40:140] = (0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "blue.png")
    other = {
        **record,
        "file_name": str(tmp_path / "blue.png"),
        "annotations": [annotation((40, 10, 140, 40), 5)],
    }
    record["annotations"].append(annotation((100, 20, 110, 30), 6))
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.RANDOM_FLIP = [HEIGHT], "none"
    cfg.INPUT.COPY_PASTE.ENABLED, cfg.INPUT.COPY_PASTE.PROB = True, 1.0
    out = DatasetMapper(cfg, True)(record, np.random.default_rng(0), lambda: other)
    found = out["instances"]
    assert found.gt_classes.tolist() == [1, 2, 5]
    assert found.gt_boxes.tensor[0].tolist() == [20.0, 10.0, 40.0, 40.0]
    assert out["image"][0][found.gt_masks[2].tensor[0]].min() == 255
    total = found.gt_masks.tensor.sum(dim=0)
    assert int(total.max()) == 1
