"""The catalog: every data set of the project by name, loaded once, described by its metadata."""

from __future__ import annotations

import sys
import types

import pytest

from bdd_inst.base.errors import ConfigError, DataError, ProblemLog
from bdd_inst.datasets import catalog
from bdd_inst.datasets.catalog import DatasetCatalog, MetadataCatalog, unreported
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.synthetic import render

NAMES = {
    *(f"bdd100k_{task}_{split}" for task in ("ins_seg", "det") for split in ("train", "val")),
    *(
        f"fashion_{target}_{split}"
        for target in ("person", "clothes")
        for split in ("train", "val", "test")
    ),
    *(f"coco_2017_person_{split}" for split in ("train", "val")),
    *(f"synthetic_bdd_{split}" for split in ("train", "val")),
}


@pytest.fixture
def entry():
    """A data set of our own under ``mine``, removed afterwards; counts how often it is loaded."""
    calls = []

    def load(raster: str = "official") -> DatasetRecords:
        calls.append(raster)
        return DatasetRecords(
            [{"file_name": "a.jpg", "annotations": []}],
            {"thing_classes": ["a"], "mask_rule": raster},
        )

    DatasetCatalog.register("mine", load)
    yield calls
    DatasetCatalog.remove("mine")
    MetadataCatalog.pop("mine")


def test_every_promised_name_is_there():
    assert set(DatasetCatalog.list()) >= NAMES


def test_a_data_set_is_loaded_once_for_each_way_of_loading(entry):
    assert DatasetCatalog.get("mine") is DatasetCatalog.get("mine", instances="class")
    assert DatasetCatalog.get("mine", raster="coco") is not DatasetCatalog.get("mine")
    assert entry == ["official", "coco"]
    assert MetadataCatalog.get("mine").thing_classes == ["a"]


def test_a_name_is_taken_once_and_a_wrong_one_gets_the_nearest(entry):
    with pytest.raises(ConfigError, match="already"):
        DatasetCatalog.register("mine", list)
    with pytest.raises(ConfigError, match="did you mean fashion_person_train"):
        DatasetCatalog.get("fashion_persons_train")


def test_metadata_that_nobody_set_is_named():
    with pytest.raises(AttributeError, match="keypoint_names"):
        _ = MetadataCatalog.get("fashion_person_train").keypoint_names
    MetadataCatalog.pop("fashion_person_train")


def test_the_root_is_looked_up_when_a_set_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path / "first"))
    DatasetCatalog.list()
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path / "second"))
    with pytest.raises(DataError, match="second"):
        DatasetCatalog.get("bdd100k_ins_seg_val")


def test_the_rendered_set_loads_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    monkeypatch.setattr(
        "bdd_inst.datasets.builtin.render",
        lambda root, progress: render(root, counts={"train": 2, "val": 1}, size=(160, 90)),
    )
    loaders = catalog.builtin_loaders(tmp_path)
    records = loaders["synthetic_bdd_train"]()
    assert len(records.dicts) == 2
    assert records.metadata["mask_rule"] == "official"
    assert loaders["synthetic_bdd_train"](raster="coco").metadata["mask_rule"] == "coco"


def test_detectron2s_catalogs_get_the_same_sets(entry, monkeypatch):
    """Against a stand-in with the calls of Detectron2's catalogs (the real one is not installed with the tests)."""
    theirs, metadata = {}, {}

    class Datasets:
        list = staticmethod(lambda: [*theirs])
        register = staticmethod(theirs.__setitem__)

    class Metadata:
        get = staticmethod(lambda name: metadata.setdefault(name, Namespace()))

    class Namespace(types.SimpleNamespace):
        def set(self, **values):
            self.__dict__.update(values)

    module = types.ModuleType("detectron2.data")
    module.DatasetCatalog, module.MetadataCatalog = Datasets, Metadata
    parent = types.ModuleType("detectron2")
    parent.__spec__ = types.SimpleNamespace(name="detectron2")
    monkeypatch.setitem(sys.modules, "detectron2", parent)
    monkeypatch.setitem(sys.modules, "detectron2.data", module)
    assert catalog.mirror_to_detectron2()
    assert set(theirs) >= {*NAMES, "mine"}
    assert metadata["fashion_clothes_val"].thing_classes[3] == "shoes"
    assert theirs["mine"]() == [{"file_name": "a.jpg", "annotations": []}]
    assert metadata["mine"].mask_rule == "official"


def test_what_the_catalog_has_said_is_not_said_again():
    said, later = ProblemLog(), ProblemLog()
    said.add("no-mask", "a", "left out")
    later.merge(said)
    later.add("empty-box", "b", "left out")
    assert set(unreported(later, ["said"]).counts) == {"no-mask", "empty-box"}
    DatasetCatalog.register("said", lambda: DatasetRecords([], {}, said))
    try:
        DatasetCatalog.get("said")
        assert dict(unreported(later, ["said"]).counts) == {"empty-box": 1}
    finally:
        DatasetCatalog.remove("said")
        MetadataCatalog.pop("said")
