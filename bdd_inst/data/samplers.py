"""Which image comes at which place of the endless training stream: shuffled, repeated for rare classes, or a subset.

Every stream is a function of its seed alone, so all processes see the same one, and a run may start anywhere in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError
from bdd_inst.base.registry import Registry
from bdd_inst.config.checking import check_value
from bdd_inst.datasets.dict_array import DictArray


class TrainingSampler:
    """Every image once an epoch, in an order that changes with the epoch."""

    def __init__(self, size: int, seed: int, shuffle: bool = True):
        if size <= 0:
            raise ValueError("a sampler needs at least one image")
        self.size, self.seed, self.shuffle = size, seed, shuffle

    def epoch(self, number: int) -> np.ndarray:
        """The indices (K int64) of epoch ``number`` in order."""
        return (
            self.generator(number).permutation(self.size) if self.shuffle else np.arange(self.size)
        )

    def generator(self, number: int) -> np.random.Generator:
        """The source of randomness of one epoch."""
        return np.random.default_rng([self.seed, number])

    def stream(self, start: int = 0) -> Iterator[int]:
        """Indices from place ``start`` of the endless stream on."""
        number, skip = 0, start
        while True:
            # Epochs differ in length where images are repeated: one that is passed over has to be made to be counted.
            indices = self.epoch(number)
            if skip < len(indices):
                yield from indices[skip:].tolist()
            skip = max(0, skip - len(indices))
            number += 1


class RandomSubsetTrainingSampler(TrainingSampler):
    """A fixed random share of the images, every one of them once an epoch."""

    def __init__(self, size: int, ratio: float, seed: int, shuffle: bool = True):
        check_value("DATALOADER.RANDOM_SUBSET_RATIO", ratio)
        if int(size * ratio) < 1:
            raise ConfigError(
                f"DATALOADER.RANDOM_SUBSET_RATIO {ratio} of {size} images leaves none; give a larger share"
            )
        super().__init__(int(size * ratio), seed, shuffle)
        # A number that no epoch reaches: the choice of the subset is independent of every order.
        self.subset = np.random.default_rng([seed, 2**32 - 1]).permutation(size)[: self.size]

    def epoch(self, number: int) -> np.ndarray:
        return self.subset[super().epoch(number)]


class RepeatFactorTrainingSampler(TrainingSampler):
    """Images with rare classes more than once an epoch (Gupta et al., LVIS, arXiv 1908.03195, appendix B.2).

    A factor of 2.3 means twice, and a third time in three epochs of ten, drawn anew each epoch.
    """

    def __init__(self, factors: Sequence[float] | np.ndarray, seed: int, shuffle: bool = True):
        super().__init__(len(factors), seed, shuffle)
        self.factors = np.asarray(factors, np.float32)

    def epoch(self, number: int) -> np.ndarray:
        rng = self.generator(number)
        whole = np.floor(self.factors)
        # Rounded up as often as its fraction says, so that over epochs an image comes as often as its factor.
        times = whole + (rng.random(self.size) < self.factors - whole)
        indices = np.repeat(np.arange(self.size), times.astype(int))
        return rng.permutation(indices) if self.shuffle else indices


def repeat_factors(
    categories: Sequence[set[int]], threshold: float, sqrt: bool = True
) -> np.ndarray:
    """N float32, the factor of each image: that of its rarest class, ``max(1, sqrt(threshold / share of images with the class))``.

    Args:
        categories: the classes in each image.
        threshold: the share of images below which a class is repeated.
        sqrt: False takes the plain ratio.
    """
    images = Counter(category for present in categories for category in present)
    factor = {}
    for category, count in images.items():
        # By images, not by objects, as in LVIS: a class is rare that few images show.
        ratio = threshold / (count / len(categories))
        factor[category] = max(1.0, ratio**0.5 if sqrt else ratio)
    return np.array(
        [max((factor[c] for c in present), default=1.0) for present in categories], np.float32
    )


def _plain(cfg: CfgNode, dicts: Sequence[dict], seed: int) -> TrainingSampler:
    return TrainingSampler(len(dicts), seed)


def _random_subset(cfg: CfgNode, dicts: Sequence[dict], seed: int) -> TrainingSampler:
    return RandomSubsetTrainingSampler(len(dicts), cfg.DATALOADER.RANDOM_SUBSET_RATIO, seed)


def _repeat_factor(cfg: CfgNode, dicts: Sequence[dict], seed: int) -> TrainingSampler:
    present = (
        dicts.category_sets()
        if isinstance(dicts, DictArray)
        else [{a["category_id"] for a in d["annotations"]} for d in dicts]
    )
    options = cfg.DATALOADER
    factors = repeat_factors(present, options.REPEAT_THRESHOLD, options.REPEAT_SQRT)
    return RepeatFactorTrainingSampler(factors, seed)


# From a cfg, the dicts and the seed to a sampler.
SAMPLERS: Registry[Callable[[CfgNode, Sequence[dict], int], TrainingSampler]] = Registry(
    "DATALOADER.SAMPLER_TRAIN",
    {
        "TrainingSampler": _plain,
        "RandomSubsetTrainingSampler": _random_subset,
        "RepeatFactorTrainingSampler": _repeat_factor,
    },
)


def build_sampler(cfg: CfgNode, dicts: Sequence[dict], seed: int) -> TrainingSampler:
    """The sampler that DATALOADER.SAMPLER_TRAIN names.

    Args:
        cfg: DATALOADER.SAMPLER_TRAIN and its keys.
        dicts: of the data set.
        seed: of the order.

    Returns:
        An endless stream of indices that can start anywhere.

    Raises:
        ConfigError: an unknown sampler.
    """
    return SAMPLERS.pick(cfg.DATALOADER.SAMPLER_TRAIN)(cfg, dicts, seed)


def batches(
    sampler: TrainingSampler, size: int, wide: np.ndarray | None = None, start: int = 0
) -> Iterator[list[tuple[int, int]]]:
    """Batches of ``(place in the stream, index)`` without end, from batch ``start`` on.

    Args:
        size: of a batch, over all processes.
        wide: N bool, for each of N images whether it is wider than high; batches then hold only one of the two kinds (less padding).
    """
    waiting: dict[bool, list[tuple[int, int]]] = {False: [], True: []}
    # With two queues a batch depends on all before it: the stream is run through from its start, indices only.
    place = start * size if wide is None else 0
    made = start if wide is None else 0
    for place, index in enumerate(sampler.stream(place), place):  # noqa: B020 (the stream goes on where it began)
        queue = waiting[False if wide is None else bool(wide[index])]
        queue.append((place, index))
        if len(queue) == size:
            if made >= start:
                # A copy, for the queue is emptied and filled again.
                yield list(queue)
            made += 1
            queue.clear()


def inference_shard(size: int, rank: int, world_size: int) -> range:
    """The images of one process in evaluation: contiguous, every one exactly once over all processes."""
    # The first ``extra`` processes take one more, so that the parts join to the whole in its order.
    base, extra = divmod(size, world_size)
    begin = rank * base + min(rank, extra)
    return range(begin, begin + base + (rank < extra))
