"""Label maps: painted from objects by a stated order, read in every coding, and moved exactly with their image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.config.loading import get_cfg
from bdd_inst.data.loader import TrainDataset
from bdd_inst.data.mapper import DatasetMapper
from bdd_inst.data.sem_seg import label_map_of, layers
from bdd_inst.data.transforms import Chain, Crop, Flip, Resize, Rotate
from bdd_inst.masks import coco_fill, run_lengths
from bdd_inst.structures import BoxMode

COLORS = np.array([[0, 0, 0], [250, 10, 10], [10, 250, 10]], np.uint8)  # of the values 0, 1, 2


def thing(rows: slice, columns: slice, category: int, size=(40, 60), **more) -> dict:
    """An annotation of a rectangle."""
    mask = np.zeros(size, bool)
    mask[rows, columns] = True
    box = list(run_lengths.to_bbox(run_lengths.encode(mask)))
    return {
        "bbox": box, "bbox_mode": BoxMode.XYXY_ABS, "category_id": category, "iscrowd": 0,
        "segmentation": run_lengths.encode(mask), **more,
    }  # fmt: skip


def of(*things: dict, **options) -> np.ndarray:
    """The label map of some annotations on an image of 40x60."""
    return label_map_of({"height": 40, "width": 60, "annotations": list(things)}, **options)


LARGE, SMALL = (slice(0, 30), slice(0, 50)), (slice(5, 15), slice(5, 15))


def test_smaller_objects_lie_on_top_in_any_order():
    a, b = thing(*LARGE, 0), thing(*SMALL, 1)
    assert of(a, b)[10, 10] == of(b, a)[10, 10] == 2
    assert of(a, b)[20, 20] == 1
    assert of(a, b)[35, 55] == 0


def test_scores_then_priorities_overrule_size():
    a, b = thing(*LARGE, 0, score=0.9), thing(*SMALL, 1, score=0.3)
    assert of(a, b)[10, 10] == 1
    assert of(a, b, priority=layers(["car", "person"], ["person"]))[10, 10] == 2
    with pytest.raises(ConfigError, match="bus is no class"):
        layers(["car"], ["bus"])


def test_crowds_are_ignored_below_every_object():
    out = of(
        thing(*LARGE, 0, iscrowd=1),
        thing(*SMALL, 1),
        thing(slice(32, 36), slice(0, 4), 0, attributes={"ignored": True}),
    )
    assert out[10, 10] == 2
    assert out[20, 20] == 255
    assert out[33, 2] == 255
    assert out[38, 58] == 0


def test_polygons_are_filled_as_coco_does():
    polygon = [5.0, 5.0, 25.0, 5.0, 25.0, 20.0, 5.0, 20.0]
    out = of({**thing(*SMALL, 0), "segmentation": [polygon]})
    assert np.array_equal(
        out == 1, run_lengths.decode(coco_fill.from_polygons_coco([polygon], 40, 60))
    )


def write(path, values, mode=None, palette=None):
    image = Image.fromarray(values, mode)
    if palette is not None:
        image.putpalette(palette.ravel().tolist())
    image.save(path)
    return str(path)


@pytest.mark.parametrize("coding", ["index", "palette", "binary", "smooth", "color"])
def test_files_of_every_coding(tmp_path, rng, coding):
    truth = rng.integers(0, 2 if coding in ("binary", "smooth") else 3, (40, 60)).astype(np.uint8)
    truth[0, 0] = 255 if coding in ("index", "palette") else 0
    meaning = None
    if coding == "palette":
        path = write(tmp_path / "m.png", truth, "P", np.resize(COLORS, (256, 3)))
    elif coding == "index":
        path = write(tmp_path / "m.png", truth)
    elif coding == "color":
        meaning = {tuple(int(v) for v in color): n for n, color in enumerate(COLORS)}
        path = write(tmp_path / "m.png", COLORS[truth])
    else:
        meaning = "binary"
        path = write(tmp_path / "m.png", truth * 255 if coding == "binary" else truth * 200 + 20)
    record = {"height": 40, "width": 60, "sem_seg_file_name": path, "sem_seg_values": meaning}
    assert np.array_equal(label_map_of(record), truth)
    with pytest.raises(DataError, match="60x40, its image 61x40"):
        label_map_of({**record, "width": 61})


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_label_maps_move_as_the_masks_of_their_classes(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, (20, 30)).astype(np.uint8)
    chain = Chain((20, 30))
    for _ in range(rng.integers(1, 5)):
        size = chain.out
        out = tuple(int(v) for v in rng.integers(5, 40, 2))
        corner = (int(v) for v in rng.integers(-5, 5, 2))
        chain.steps.append(
            [
                Resize(size, out),
                Flip(size),
                Flip(size, True),
                Crop(size, *corner, out),
                Rotate(size, float(rng.uniform(-90, 90))),
            ][rng.integers(5)]
        )
    got = chain.labels(values, 255)
    for k in range(4):
        assert np.array_equal(got == k, chain.mask(values == k))
    assert np.array_equal(got == 255, ~chain.mask(values < 4))


@pytest.fixture
def cfg():
    cfg = get_cfg()
    cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES = "SemanticSegmentor", 3
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MAX_SIZE_TRAIN = [40], 1000
    return cfg


@pytest.fixture
def record(tmp_path):
    """An image that is painted in the colors of its label map."""
    truth = np.zeros((40, 60), np.uint8)
    truth[5:25, 10:40], truth[15:35, 30:55] = 1, 2
    write(tmp_path / "a.png", COLORS[truth])
    write(tmp_path / "a_labels.png", truth)
    return {
        "file_name": str(tmp_path / "a.png"), "height": 40, "width": 60, "image_id": 1,
        "sem_seg_file_name": str(tmp_path / "a_labels.png"),
    }  # fmt: skip


AUGMENTATIONS = {
    "none": [],
    "crop": ["INPUT.CROP.ENABLED", True, "INPUT.CROP.SIZE", [0.5, 0.5]],
    "rotation": [
        "INPUT.ROTATION.ENABLED",
        True,
        "INPUT.ROTATION.ANGLE",
        [-60.0, 60.0],
        "INPUT.ROTATION.PROB",
        1.0,
    ],
    "jitter": ["INPUT.LARGE_SCALE_JITTER.ENABLED", True, "INPUT.LARGE_SCALE_JITTER.SIZE", [80, 80]],
    "scale": ["INPUT.MIN_SIZE_TRAIN", [30, 80], "INPUT.MIN_SIZE_TRAIN_SAMPLING", "range"],
    "paste": ["INPUT.COPY_PASTE.ENABLED", True, "INPUT.COPY_PASTE.PROB", 1.0],
}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_pixels_keep_their_class_through_every_augmentation(cfg, record, name):
    cfg.merge_from_list(["INPUT.FORMAT", "RGB", *AUGMENTATIONS[name]])
    mapper = DatasetMapper(cfg, True)
    ignored = 0
    for seed in range(8):
        out = mapper(record, np.random.default_rng(seed), lambda: record)
        labels, image = out["sem_seg"].numpy(), out["image"].numpy().transpose(1, 2, 0)
        assert labels.shape == image.shape[:2]
        assert labels.dtype == np.int64
        assert "instances" not in out
        assert "sem_seg_file_name" not in out
        known = labels != 255
        ignored += int((~known).sum())
        distance = np.abs(image[:, :, None].astype(int) - COLORS.astype(int)).sum(axis=-1)
        # Interpolated pixels at outlines may look like either class.
        assert (distance.argmin(axis=-1) == labels)[known].mean() > (
            0.9 if known.sum() > 200 else 0
        )
    assert bool(ignored) == (name in ("rotation", "jitter"))


def test_objects_are_pasted_onto_backgrounds_alone(cfg, record, tmp_path):
    """Every pixel of a class comes from the sample, every other one from an image that shows nothing."""
    gray = tmp_path / "nothing.png"
    Image.new("RGB", (60, 40), (120, 120, 120)).save(gray)
    nothing = {"file_name": str(gray), "height": 40, "width": 60, "annotations": []}
    cfg.merge_from_list(["INPUT.COPY_PASTE.ENABLED", True, "INPUT.COPY_PASTE.BACKGROUNDS", True])
    cfg.merge_from_list(["INPUT.COPY_PASTE.PROB", 1.0, "INPUT.FORMAT", "RGB"])
    cfg.INPUT.MIN_SIZE_TRAIN = [40]
    dataset = TrainDataset([record, nothing, record], DatasetMapper(cfg, True), seed=0)
    out = dataset[(0, 0)]
    labels, image = out["sem_seg"].numpy(), out["image"].numpy().transpose(1, 2, 0)
    assert {1, 2} <= set(np.unique(labels))
    assert (image[labels == 0] == 120).all()
    with pytest.raises(DataError, match="COPY_PASTE.BACKGROUNDS: no image"):
        TrainDataset([record], DatasetMapper(cfg, True), seed=0)


def test_blur_smooths_the_image_and_leaves_the_labels(cfg, record):
    cfg.INPUT.RANDOM_FLIP = "none"
    sharp = DatasetMapper(cfg, True)(record, np.random.default_rng(0))
    cfg.merge_from_list(["INPUT.BLUR.ENABLED", True, "INPUT.BLUR.PROB", 1.0])
    soft = DatasetMapper(cfg, True)(record, np.random.default_rng(0))
    assert soft["sem_seg"].equal(sharp["sem_seg"])
    step = [out["image"].float().diff(dim=2).abs().max() for out in (sharp, soft)]
    assert step[1] < 0.9 * step[0]


def test_a_value_that_is_no_class_is_named_with_its_image(cfg, record):
    cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES = 2
    with pytest.raises(DataError, match=r"a\.png: value 2 in the label map"):
        DatasetMapper(cfg, True)(record, np.random.default_rng(0))


def test_objects_become_a_label_map_in_training(cfg, record):
    del record["sem_seg_file_name"]
    record["annotations"] = [thing(*LARGE, 0), thing(*SMALL, 1)]
    cfg.INPUT.RANDOM_FLIP = "none"
    out = DatasetMapper(cfg, True)(record, np.random.default_rng(0))["sem_seg"].numpy()
    assert out[10, 10] == 2
    assert out[20, 20] == 1
    assert out[35, 55] == 0
