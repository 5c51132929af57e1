"""Batches for training and evaluation: the same ones for any number of workers and processes, from any iteration on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from fvcore.common.config import CfgNode
from torch.utils.data import DataLoader, Dataset

from bdd_inst.base.errors import ConfigError, DataError, ProblemLog
from bdd_inst.config.consistency import check_batch
from bdd_inst.data.ground_truth import usable
from bdd_inst.data.mapper import DatasetMapper, Mapper
from bdd_inst.data.panoptic import is_panoptic
from bdd_inst.data.samplers import batches, build_sampler, inference_shard
from bdd_inst.data.sem_seg import BACKGROUND, class_names, is_pixelwise
from bdd_inst.data.user_mapper import as_mapper
from bdd_inst.data.validation import checked_dicts
from bdd_inst.datasets.catalog import DatasetCatalog, MetadataCatalog
from bdd_inst.datasets.dict_array import DictArray

log = logging.getLogger(__name__)


class TrainDataset(Dataset):
    """Sample ``(place, index)``: dict ``index``, mapped with the randomness of ``place`` in the stream."""

    def __init__(self, dicts: Sequence[dict], mapper: Mapper, seed: int):
        self.dicts, self.mapper, self.seed = dicts, as_mapper(mapper), seed
        # Where copy-paste takes its second image from.
        self.others: Sequence[int] = range(len(dicts))
        if getattr(self.mapper, "onto_backgrounds", False) and self.mapper.pastes:
            self.others = backgrounds(dicts)

    def __getitem__(self, key: tuple[int, int]) -> dict:
        place, index = key
        # By the place in the stream, not by the image: one that comes again is augmented anew.
        rng = np.random.default_rng([self.seed, place])
        if not getattr(self.mapper, "pastes", False):
            return self.mapper(self.dicts[index], rng)
        return self.mapper(
            self.dicts[index],
            rng,
            lambda: self.dicts[self.others[int(rng.integers(len(self.others)))]],
        )

    def __len__(self) -> int:
        return len(self.dicts)


def backgrounds(dicts: Sequence[dict]) -> list[int]:
    """Indices of the images that are known to show no object.

    Raises:
        DataError: there are none.
    """
    found = [
        i
        for i, d in enumerate(dicts)
        if "sem_seg_file_name" not in d and d.get("annotations") == []
    ]
    if not found:
        raise DataError(
            "INPUT.COPY_PASTE.BACKGROUNDS: no image of the training set is known to show nothing; put some into a folder "
            "backgrounds/ of people/, set DATALOADER.FILTER_EMPTY_ANNOTATIONS to false, or BACKGROUNDS to false"
        )
    return found


class TestDataset(Dataset):
    """Sample ``index``: dict ``index``, mapped for evaluation."""

    __test__ = False  # not a test case, whatever its name looks like to pytest

    def __init__(self, dicts: Sequence[dict], mapper: Mapper):
        self.dicts, self.mapper = dicts, as_mapper(mapper)

    def __getitem__(self, index: int) -> dict:
        return self.mapper(self.dicts[index], None)

    def __len__(self) -> int:
        return len(self.dicts)


class RankBatches:
    """The endless batches of one process: its even share of every global batch."""

    def __init__(
        self, sampler, size: int, wide: np.ndarray | None, rank: int, world_size: int, start: int
    ):
        self.sampler, self.size, self.is_wide = sampler, size, wide
        self.rank, self.world_size, self.start = rank, world_size, start

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        # Every process makes all batches, indices only, and takes its slice: nothing has to be exchanged.
        share = self.size // self.world_size
        for batch in batches(self.sampler, self.size, self.is_wide, self.start):
            yield batch[self.rank * share : (self.rank + 1) * share]


def build_train_loader(
    cfg: CfgNode,
    dataset_dicts: Sequence[dict],
    *,
    rank: int = 0,
    world_size: int = 1,
    start_iteration: int = 0,
    mapper: Mapper | None = None,
) -> DataLoader:
    """An endless loader of ``list[dict]``: this process's share of batches of SOLVER.IMS_PER_BATCH.

    Which samples make batch ``i``, and every random choice in them, follow from SEED and ``i`` alone.

    Args:
        cfg: SOLVER.IMS_PER_BATCH, SEED, and the keys of DATALOADER and INPUT.
        dataset_dicts: Detectron2's standard dicts, checked.
        rank, world_size: this process, and how many there are.
        start_iteration: batches before it are passed over without being made.
        mapper: dict -> sample; None takes the config's.

    Returns:
        Yields lists of samples, this process's part of a batch.

    Raises:
        ConfigError: a batch that the processes cannot share evenly, or processes without a common seed.
    """
    check_batch(cfg, world_size)
    total = cfg.SOLVER.IMS_PER_BATCH
    seed = common_seed(cfg.SEED, world_size)
    sampler = build_sampler(cfg, dataset_dicts, seed)
    wide = wider_than_high(dataset_dicts) if cfg.DATALOADER.ASPECT_RATIO_GROUPING else None
    dataset = TrainDataset(dataset_dicts, mapper or DatasetMapper(cfg, True), seed)
    plan = RankBatches(sampler, total, wide, rank, world_size, start_iteration)
    return make_loader(cfg, dataset, plan)


def wider_than_high(dicts: Sequence[dict]) -> np.ndarray:
    """N bool: whether each image is wider than high."""
    if isinstance(dicts, DictArray):
        return dicts.is_wide
    return np.array([d["width"] > d["height"] for d in dicts])


def build_test_loader(
    cfg: CfgNode,
    dataset_dicts: Sequence[dict],
    *,
    rank: int = 0,
    world_size: int = 1,
    mapper: Mapper | None = None,
) -> DataLoader:
    """A loader of ``list[dict]`` over this process's contiguous share of the images, in order, TEST.IMS_PER_BATCH at a time.

    Args:
        cfg: TEST.IMS_PER_BATCH, and the keys of DATALOADER and INPUT.
        dataset_dicts: Detectron2's standard dicts, checked.
        rank, world_size: this process, and how many there are.
        mapper: dict -> sample; None takes the config's.

    Returns:
        Yields lists of samples; every image once over all processes.
    """
    shard = list(inference_shard(len(dataset_dicts), rank, world_size))
    size = max(1, cfg.TEST.IMS_PER_BATCH)
    plan = [shard[i : i + size] for i in range(0, len(shard), size)]
    return make_loader(cfg, TestDataset(dataset_dicts, mapper or DatasetMapper(cfg, False)), plan)


def make_loader(cfg: CfgNode, dataset: Dataset, plan) -> DataLoader:
    """A DataLoader over planned batches; workers compute on one thread each, since there is one for every core.

    Args:
        cfg: the keys of DATALOADER.
        dataset: gives the sample of an index.
        plan: yields the indices of each batch.

    Returns:
        With DATALOADER.NUM_WORKERS processes.
    """
    workers = cfg.DATALOADER.NUM_WORKERS
    # Pages that stay in memory can be copied to the GPU while it computes.
    pinned = torch.cuda.is_available() and cfg.MODEL.DEVICE != "cpu"
    return DataLoader(
        dataset,
        batch_sampler=plan,
        num_workers=workers,
        collate_fn=as_list,
        worker_init_fn=one_thread if workers else None,
        pin_memory=pinned,
        prefetch_factor=2 if workers else None,
    )


def as_list(samples: list[dict]) -> list[dict]:
    """A batch is the list of its samples: images differ in size."""
    return samples


def one_thread(worker: int) -> None:
    """Keep torch and OpenCV in a worker from starting threads of their own."""
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def common_seed(seed: int, world_size: int) -> int:
    """SEED itself; where it is negative a random one, the same for all processes.

    Raises:
        ConfigError: several processes, no seed, and no process group to agree by.
    """
    if seed >= 0:
        return seed
    drawn = [int(np.random.SeedSequence().generate_state(1)[0])]
    if world_size > 1:
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            raise ConfigError("several processes need one seed: set SEED to a number >= 0")
        torch.distributed.broadcast_object_list(drawn, src=0)
    return drawn[0]


def load_datasets(
    cfg: CfgNode, names: Sequence[str], is_train: bool
) -> tuple[Sequence[dict], dict, ProblemLog]:
    """The dicts of all named data sets, their metadata, and what was skipped and why.

    In training, images without a usable object are left out (DATALOADER.FILTER_EMPTY_ANNOTATIONS) and counted.

    Args:
        cfg: DATALOADER.FILTER_EMPTY_ANNOTATIONS, and the classes that MODEL has.
        names: of the catalog.
        is_train: leave out what cannot train.

    Returns:
        Detectron2's standard dicts, the metadata that the sets share, and the counts.

    Raises:
        ConfigError: no names, names of sets with different classes, or a model with another number of classes.
        DataError: a data set that is not there, dicts that would train or score wrongly (see :mod:`bdd_inst.data.validation`), or nothing left to train or evaluate on.
    """
    if not names:
        raise ConfigError(
            f"DATASETS.{'TRAIN' if is_train else 'TEST'} is empty; name a data set, e.g. synthetic_bdd_train"
        )
    problems = ProblemLog()
    parts: list[Sequence[dict]] = []
    for name in names:
        loaded = DatasetCatalog.get(
            name,
            raster=cfg.DATASETS.RASTER,
            instances=cfg.DATASETS.INSTANCES,
            source=cfg.DATASETS.SOURCE,
        )
        metadata = MetadataCatalog.get(name)
        if metadata.get("problems") is not None:
            problems.merge(metadata.get("problems"))
        parts.append(checked_dicts(name, loaded, metadata.as_dict(), cfg, is_train, problems))
    metadata = common_metadata(names)
    check_classes(cfg, metadata, names)
    dicts = parts[0] if len(parts) == 1 else [d for part in parts for d in part]
    # A label map of stuff trains a pixel-wise model without any object.
    stuff = is_pixelwise(cfg) and metadata.get("stuff_classes")
    if is_train and cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS and not stuff:
        dicts = without_empty(dicts, problems)
    if not len(dicts):
        reasons = "; ".join(problems.lines()) or "the label files list no images"
        raise DataError(
            f"{', '.join(names)}: nothing left to {'train' if is_train else 'evaluate'} on: {reasons}"
        )
    if len(names) > 1:  # each of them has been announced by the catalog
        log.info("%s: %d images in all", ", ".join(names), len(dicts))
    return dicts, metadata, problems


def common_metadata(names: Sequence[str]) -> dict:
    """The metadata of the first data set; the others must have the same classes."""
    first = MetadataCatalog.get(names[0]).as_dict()
    for name in names[1:]:
        other = MetadataCatalog.get(name).as_dict()
        for mine, theirs in zip(vocabularies(first), vocabularies(other), strict=True):
            if mine == theirs:
                continue
            both = f"{mine} and {theirs}"
            raise ConfigError(
                f"{names[0]} and {name} have different classes, {both}, and cannot be joined"
            )
    return first


def vocabularies(metadata: dict) -> tuple[list[str], list[str]]:
    """The classes of objects and those of label maps."""
    return list(metadata.get("thing_classes") or ()), class_names(metadata)


def check_classes(cfg: CfgNode, metadata: dict, names: Sequence[str]) -> None:
    """Raise ConfigError where the model has another number of classes than the data."""
    if is_panoptic(cfg) and not metadata.get("stuff_classes"):
        raise ConfigError(
            f"{', '.join(names)}: its labels know no stuff, which MODEL.META_ARCHITECTURE PanopticFPN needs; "
            "name a panoptic data set, e.g. synthetic_bdd_pan_seg_train"
        )
    if is_pixelwise(cfg) or is_panoptic(cfg):
        check_label_classes(cfg, metadata, names)
    if is_pixelwise(cfg):
        return
    there, wanted = len(metadata["thing_classes"]), cfg.MODEL.ROI_HEADS.NUM_CLASSES
    if there != wanted:
        raise ConfigError(
            f"MODEL.ROI_HEADS.NUM_CLASSES is {wanted}, but {', '.join(names)} has {there} classes: set it to {there}"
        )


def check_label_classes(cfg: CfgNode, metadata: dict, names: Sequence[str]) -> None:
    """As :func:`check_classes` of label maps: as many classes as values, or 1 where they are background and one class."""
    there, wanted = class_names(metadata), cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES
    fits = {len(there), 1} if len(there) == 2 and there[0] == BACKGROUND else {len(there)}
    if wanted not in fits:
        raise ConfigError(
            f"MODEL.SEM_SEG_HEAD.NUM_CLASSES is {wanted}, but the label maps of {', '.join(names)} have {len(there)} values "
            f"({', '.join(there[:4])}{', ...' if len(there) > 4 else ''}): set it to {' or '.join(map(str, sorted(fits)))}"
        )


def without_empty(dicts: Sequence[dict], problems: ProblemLog) -> Sequence[dict]:
    """Images with at least one object that is no crowd; the others are counted."""
    if isinstance(dicts, DictArray):
        keep = dicts.object_counts(crowds=False) > 0
    else:
        keep = np.array(
            ["sem_seg_file_name" in d or bool(usable(d.get("annotations", ()))) for d in dicts],
            bool,
        )
    if not keep.all():
        example = dicts[int(np.flatnonzero(~keep)[0])]["file_name"]
        message = "no object to train on (none labeled, or only crowds); left out of training"
        problems.add("no-usable-object", example, message, count=int((~keep).sum()))
    return (
        dicts.select(keep)
        if isinstance(dicts, DictArray)
        else [d for d, k in zip(dicts, keep) if k]
    )
