"""The loader: one stream of samples, whatever the workers, the processes and the iteration it starts from."""

from __future__ import annotations

import itertools

import pytest

from bdd_inst.base.errors import ConfigError, DataError, ProblemLog
from bdd_inst.config.loading import get_cfg
from bdd_inst.data.loader import build_test_loader, build_train_loader
from bdd_inst.data.loading import load_datasets
from bdd_inst.datasets.bdd100k import load_bdd100k
from bdd_inst.datasets.catalog import DatasetCatalog, MetadataCatalog
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.synthetic import FOLDER, render


@pytest.fixture(scope="module")
def dicts(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    render(root, counts={"train": 7}, size=(96, 54))
    return load_bdd100k(root, folder=FOLDER).dicts


@pytest.fixture
def cfg():
    cfg = get_cfg()
    cfg.SEED, cfg.MODEL.MASK_ON, cfg.SOLVER.IMS_PER_BATCH = 11, True, 4
    cfg.INPUT.MASK_FORMAT = "bitmask"
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MIN_SIZE_TEST = [40, 54], 54
    cfg.INPUT.COLOR_JITTER.ENABLED = True
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = 2
    return cfg


def stream(loader, count):
    """What tells samples apart: image, seed, size and content."""
    batches = itertools.islice(iter(loader), count)
    return [
        [
            (s["image_id"], s["sample_seed"], tuple(s["image"].shape), int(s["image"].sum()))
            for s in batch
        ]
        for batch in batches
    ]


def test_workers_do_not_change_the_samples(cfg, dicts):
    alone = stream(build_train_loader(cfg, dicts), 5)
    cfg.DATALOADER.NUM_WORKERS = 2
    assert stream(build_train_loader(cfg, dicts), 5) == alone
    assert len({seed for batch in alone for _, seed, _, _ in batch}) == 20


@pytest.mark.parametrize(
    "sampler", ["TrainingSampler", "RepeatFactorTrainingSampler", "RandomSubsetTrainingSampler"]
)
def test_processes_share_the_batches_of_one(cfg, dicts, sampler):
    (
        cfg.DATALOADER.SAMPLER_TRAIN,
        cfg.DATALOADER.REPEAT_THRESHOLD,
        cfg.DATALOADER.RANDOM_SUBSET_RATIO,
    ) = sampler, 0.9, 0.6
    alone = stream(build_train_loader(cfg, dicts), 4)
    ranks = [stream(build_train_loader(cfg, dicts, rank=r, world_size=2), 4) for r in (0, 1)]
    assert [first + second for first, second in zip(*ranks)] == alone


@pytest.mark.parametrize("grouped", [True, False])
def test_a_run_resumes_at_any_iteration(cfg, dicts, grouped):
    cfg.DATALOADER.ASPECT_RATIO_GROUPING = grouped
    whole = stream(build_train_loader(cfg, dicts), 9)
    for start in (1, 3, 6):
        assert (
            stream(build_train_loader(cfg, dicts, start_iteration=start), 3)
            == whole[start : start + 3]
        )


def test_another_seed_is_another_stream(cfg, dicts):
    first = stream(build_train_loader(cfg, dicts), 3)
    cfg.SEED = 12
    assert stream(build_train_loader(cfg, dicts), 3) != first


def test_plain_lists_and_arrays_give_the_same_stream(cfg, dicts):
    cfg.DATALOADER.SAMPLER_TRAIN, cfg.DATALOADER.REPEAT_THRESHOLD = (
        "RepeatFactorTrainingSampler",
        0.9,
    )
    assert stream(build_train_loader(cfg, list(dicts)), 4) == stream(
        build_train_loader(cfg, dicts), 4
    )


def test_evaluation_sees_every_image_once_in_order(cfg, dicts):
    cfg.TEST.IMS_PER_BATCH = 2
    ids = [s["image_id"] for batch in build_test_loader(cfg, dicts) for s in batch]
    assert ids == [d["image_id"] for d in dicts]
    shares = [
        [s["image_id"] for b in build_test_loader(cfg, dicts, rank=r, world_size=3) for s in b]
        for r in range(3)
    ]
    assert [i for share in shares for i in share] == ids


def test_what_cannot_be_shared_or_agreed_on_is_refused(cfg, dicts):
    with pytest.raises(ConfigError, match="multiple"):
        build_train_loader(cfg, dicts, world_size=3)
    cfg.SEED = -1
    with pytest.raises(ConfigError, match="SEED"):
        build_train_loader(cfg, dicts, world_size=2)


def entry(name, objects, classes=("a", "b")):
    records = [
        {
            "file_name": f"{name}{i}.jpg",
            "height": 8,
            "width": 9,
            "image_id": i,
            "annotations": [
                {"category_id": 0, "iscrowd": c, "bbox": [1, 2, 5, 6], "bbox_mode": 0}
                for c in crowds
            ],
        }
        for i, crowds in enumerate(objects)
    ]
    problems = ProblemLog()
    problems.add("missing-image", "x.jpg", "not there")
    DatasetCatalog.register(
        name, lambda: DatasetRecords(records, {"thing_classes": list(classes)}, problems)
    )


@pytest.fixture
def sets(cfg):
    """``full`` has two images with objects, one with a crowd alone and one with none; ``void`` has no object; ``other`` other classes."""
    cfg.MODEL.MASK_ON = False
    entry("full", [[0, 1], [0], [1], []])
    entry("void", [[], [1]])
    entry("other", [[0]], classes=("a", "c"))
    yield
    for name in ("full", "void", "other"):
        DatasetCatalog.remove(name)
        MetadataCatalog.pop(name)


def test_sets_are_joined_and_images_without_objects_left_out_of_training(cfg, sets):
    dicts, metadata, problems = load_datasets(cfg, ["full", "full"], True)
    assert [d["file_name"] for d in dicts] == ["full0.jpg", "full1.jpg"] * 2
    assert metadata["thing_classes"] == ["a", "b"]
    assert dict(problems.counts) == {"missing-image": 2, "no-usable-object": 4}
    assert len(load_datasets(cfg, ["full"], False)[0]) == 4
    cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS = False
    assert len(load_datasets(cfg, ["full"], True)[0]) == 4


def test_nothing_left_stops_with_the_reasons(cfg, sets):
    with pytest.raises(DataError, match="void: nothing left to train on: 2 x no-usable-object"):
        load_datasets(cfg, ["void"], True)


def test_classes_must_agree_among_sets_and_with_the_model(cfg, sets):
    with pytest.raises(ConfigError, match="full and other"):
        load_datasets(cfg, ["full", "other"], True)
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = 80
    with pytest.raises(ConfigError, match="NUM_CLASSES is 80.* 2 classes"):
        load_datasets(cfg, ["full"], True)
    with pytest.raises(ConfigError, match=r"DATASETS\.TRAIN is empty"):
        load_datasets(cfg, [], True)
