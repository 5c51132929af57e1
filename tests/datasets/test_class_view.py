"""A data set seen through DATASETS.CLASSES and CLASS_MAP: chosen, renamed and joined classes, everything left out counted."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bdd_inst.base.errors import ConfigError, ProblemLog
from bdd_inst.config.consistency import check_consistency
from bdd_inst.config.loading import load_cfg
from bdd_inst.data.loading import load_datasets
from bdd_inst.datasets.catalog import DatasetCatalog, MetadataCatalog
from bdd_inst.datasets.class_view import ClassedDicts, ClassView, renumbered, seen_metadata
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.datasets.dict_array import DictArray
from bdd_inst.datasets.own import prepare
from bdd_inst.inference.results import OutputClasses
from bdd_inst.structures import BoxMode

STREET = ("pedestrian", "rider", "car", "bus")
PHOTO = ("person", "car", "dog")


def box_of(category, crowd=0):
    return {
        "bbox": [1.0, 2.0, 30.0, 40.0],
        "bbox_mode": BoxMode.XYXY_ABS,
        "category_id": category,
        "iscrowd": crowd,
        "segmentation": [[1.0, 2.0, 30.0, 2.0, 30.0, 40.0]],
    }


def images_of(objects):
    return [
        {
            "file_name": f"{n}.jpg",
            "height": 50,
            "width": 60,
            "image_id": n,
            "annotations": [box_of(*one) if isinstance(one, tuple) else box_of(one) for one in own],
        }
        for n, own in enumerate(objects)
    ]


@pytest.fixture
def sets():
    """``street`` as arrays, ``photo`` as a list of dicts."""
    made = {
        "street": (STREET, [[0, 1, 2], [2, 3], [3], [(0, 1)]]),
        "photo": (PHOTO, [[0, 2], [1], [2]]),
    }
    for name, (classes, objects) in made.items():
        dicts = images_of(objects)
        loaded = DatasetRecords(
            DictArray.from_dicts(dicts) if name == "street" else dicts,
            {"thing_classes": list(classes), "evaluator_type": "coco"},
        )
        DatasetCatalog.register(name, lambda loaded=loaded: loaded)
        MetadataCatalog.get(name).set(thing_classes=list(classes))
    yield
    for name in made:
        DatasetCatalog.remove(name)
        MetadataCatalog.pop(name)


def config(classes, entries=(), **keys):
    cfg = load_cfg(
        "demo.yaml",
        ["DATASETS.CLASSES", repr(list(classes)), "DATASETS.CLASS_MAP", repr(list(entries)),
         "MODEL.ROI_HEADS.NUM_CLASSES", len(classes), "INPUT.MASK_FORMAT", "polygon"],
    )  # fmt: skip
    cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = keys.get("train", ["street"]), keys.get("test", [])
    return cfg


def categories(dicts):
    return [[a["category_id"] for a in d["annotations"]] for d in dicts]


def test_a_subset_in_an_order_of_its_own(sets):
    dicts, metadata, problems = load_datasets(config(["bus", "car"]), ["street"], True)
    assert categories(dicts) == [[1], [1, 0], [0]]
    assert metadata["thing_classes"] == ["bus", "car"]
    assert metadata["thing_dataset_id_to_contiguous_id"] == {1: 0, 2: 1}
    # Two pedestrians (one a crowd) and a rider; an image that has nothing left is not trained on.
    assert problems.counts == {"category-left-out": 3, "no-usable-object": 1}
    assert MetadataCatalog.get("street").thing_classes == list(STREET)  # the set itself stays


def test_sets_of_different_words_are_joined(sets):
    entries = ["pedestrian=person", "rider=person@str*", "dog=car@nothing_of_that_name"]
    cfg = config(["person", "car"], entries, train=["street", "photo"])
    dicts, metadata, problems = load_datasets(cfg, ["street", "photo"], True)
    assert categories(dicts) == [[0, 0, 1], [1], [0], [1]]
    assert metadata["thing_classes"] == ["person", "car"]
    assert problems.counts == {"category-left-out": 4, "no-usable-object": 3}
    left_out = [line for line in problems.lines() if "category-left-out" in line]
    assert "class 'bus' is not among DATASETS.CLASSES; 2 objects left out" in left_out[0]
    assert MetadataCatalog.get("photo").thing_classes == list(PHOTO)


def test_a_class_that_a_set_does_not_label_is_refused_in_training_and_scored_without(sets):
    cfg = config(["person", "car", "bus"], ["pedestrian=person"], train=["photo"])
    with pytest.raises(ConfigError, match="photo does not label bus.*trained as background"):
        load_datasets(cfg, ["photo"], True)
    dicts, metadata, _ = load_datasets(cfg, ["photo"], False)
    assert categories(dicts) == [[0], [1], []]
    assert metadata["unlabeled_classes"] == ("bus",)


def test_sets_that_share_no_class_and_words_that_no_set_has_are_told(sets):
    with pytest.raises(ConfigError, match=r"street: none of its classes .*pedestrian=tree"):
        load_datasets(config(["tree"]), ["street"], True)
    with pytest.raises(ConfigError, match="no data set has a class 'pedestrain' .street: pedestr"):
        prepare(config(["person"], ["pedestrain=person"]))
    with pytest.raises(ConfigError, match="street and photo have different classes"):
        load_datasets(config([]), ["street", "photo"], True)


@pytest.mark.parametrize(
    ("classes", "entries", "words"),
    [
        (["a", "a"], [], "names a more than once"),
        ([], ["b=a"], "needs DATASETS.CLASSES"),
        (["a"], ["b=c"], "'c' is not among DATASETS.CLASSES"),
        (["a"], ["b"], "write theirs=ours"),
        (["a"], ["b=a@"], "write theirs=ours"),
    ],
)
def test_keys_that_cannot_be_are_refused(classes, entries, words):
    with pytest.raises(ConfigError, match=words):
        check_consistency(config(classes, entries))


def test_label_maps_keep_their_classes():
    cfg = config(["road"], train=["bdd100k_sem_seg_train"])
    with pytest.raises(ConfigError, match="label maps keep their classes"):
        from bdd_inst.datasets.class_view import class_view

        name = "bdd100k_sem_seg_train"
        class_view(name, MetadataCatalog.get(name).as_dict(), cfg.DATASETS)


def test_the_head_follows_the_classes(sets):
    cfg = config(["bus", "car"])
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = 4
    prepare(cfg)
    assert cfg.MODEL.ROI_HEADS.NUM_CLASSES == 2
    # Weights that say nothing of themselves: the classes are those that the config chooses.
    assert OutputClasses.from_cfg(cfg).names == ["bus", "car"]
    assert seen_metadata("street", cfg.DATASETS)["thing_classes"] == ["bus", "car"]


def test_a_label_file_and_a_named_set_are_joined(sets, tmp_path):
    Image.new("RGB", (60, 50)).save(tmp_path / "a.png")
    shape = {
        "bbox": [1, 2, 29, 38],
        "area": 551,
        "iscrowd": 0,
        "segmentation": [[1, 2, 30, 2, 30, 40]],
    }
    content = {
        "images": [{"id": 5, "file_name": "a.png", "width": 60, "height": 50}],
        "categories": [{"id": 3, "name": "human"}, {"id": 8, "name": "tree"}],
        "annotations": [
            {"id": n, "image_id": 5, "category_id": category} | shape
            for n, category in enumerate((3, 8), 1)
        ],
    }
    file = tmp_path / "labels.json"
    file.write_text(json.dumps(content))
    cfg = config(
        ["person"], ["human=person", "pedestrian=person@street"], train=[str(file), "street"]
    )
    prepare(cfg)
    assert list(cfg.DATASETS.CLASSES) == ["person"]
    dicts, metadata, problems = load_datasets(cfg, list(cfg.DATASETS.TRAIN), True)
    assert categories(dicts) == [[0], [0]]
    assert metadata["thing_classes"] == ["person"]
    assert problems.counts["category-left-out"] == 6  # a tree; a rider, two cars, two buses
    DatasetCatalog.remove(str(file))


def test_category_ids_of_the_file_are_kept_where_none_are_joined():
    known = {"thing_dataset_id_to_contiguous_id": {7: 0, 9: 1, 4: 2}, "thing_colors": [[1, 2, 3]]}
    chosen = ClassView(("c", "a"), np.array([1, -1, 0]), ("a", "b", "c")).metadata(known)
    assert chosen["thing_dataset_id_to_contiguous_id"] == {7: 1, 4: 0}
    assert "thing_colors" not in chosen
    joined = ClassView(("x",), np.array([0, -1, 0]), ("a", "b", "c")).metadata(known)
    assert joined["thing_dataset_id_to_contiguous_id"] == {1: 0}


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), max_size=5), max_size=6),
    st.lists(st.integers(-1, 2), min_size=4, max_size=4),
    st.data(),
)
def test_arrays_and_lists_are_seen_alike(objects, table, data):
    numbers, dicts = np.array(table), images_of(objects)
    for record in dicts[::3]:
        del record["annotations"]
    wanted = [renumbered(record, numbers) for record in dicts]
    arrays = ClassedDicts(DictArray.from_dicts(dicts), numbers)
    chosen = np.array(data.draw(st.lists(st.integers(0, max(len(dicts) - 1, 0)), max_size=4)), int)
    for seen, expected in (
        (arrays, wanted),
        (pickle.loads(pickle.dumps(arrays)), wanted),
        (arrays.select(chosen[: len(dicts) * 4]), [wanted[i] for i in chosen] if dicts else []),
    ):
        if not dicts:
            continue
        assert list(seen) == expected
        own = [d.get("annotations", ()) for d in expected]
        assert seen.object_counts().tolist() == [len(a) for a in own]
        plain = [sum(not one["iscrowd"] for one in a) for a in own]
        assert seen.object_counts(crowds=False).tolist() == plain
        assert seen.category_sets() == [{one["category_id"] for one in a} for a in own]


def test_what_is_left_out_is_counted_by_class_in_both_forms():
    dicts = images_of([[0, 1, 1], [2], [1]])
    view = ClassView(("b",), np.array([-1, 0, -1]), ("a", "b", "c"))
    for form in (dicts, DictArray.from_dicts(dicts)):
        problems = ProblemLog()
        assert categories(view.dicts("mine", form, problems)) == [[0, 0], [], [0]]
        assert problems.counts == {"category-left-out": 2}
    assert categories(dicts) == [[0, 1, 1], [2], [1]]
