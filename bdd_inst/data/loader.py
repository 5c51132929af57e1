"""Batches for training and evaluation: the same ones for any number of workers and processes, from any iteration on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from fvcore.common.config import CfgNode
from torch.utils.data import DataLoader, Dataset

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.config.consistency import check_batch
from bdd_inst.data.mapper import DatasetMapper, Mapper
from bdd_inst.data.samplers import batches, build_sampler, inference_shard
from bdd_inst.data.user_mapper import as_mapper
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
    plan = RankBatches(
        sampler, size=total, wide=wide, rank=rank, world_size=world_size, start=start_iteration
    )
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
    shared = [int(np.random.SeedSequence().generate_state(1)[0])]
    if world_size > 1:
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            raise ConfigError("several processes need one seed: set SEED to a number >= 0")
        torch.distributed.broadcast_object_list(shared, src=0)
    return shared[0]
