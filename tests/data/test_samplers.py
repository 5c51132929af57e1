"""Samplers: every image in its turn, rare classes more often, any place of the stream without what came before."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.checking import check_config
from bdd_inst.config.loading import get_cfg
from bdd_inst.data.samplers import (
    RandomSubsetTrainingSampler,
    RepeatFactorTrainingSampler,
    TrainingSampler,
    batches,
    build_sampler,
    inference_shard,
    repeat_factors,
)


def take(iterator, count):
    return list(itertools.islice(iterator, count))


def test_every_epoch_holds_every_image_once_in_another_order():
    stream = take(TrainingSampler(7, seed=3).stream(), 21)
    epochs = [stream[i : i + 7] for i in (0, 7, 14)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize(
    "sampler",
    [
        TrainingSampler(11, 5),
        RandomSubsetTrainingSampler(40, 0.3, 5),
        RepeatFactorTrainingSampler([1, 1.5, 2.7, 1, 3.2], 5),
    ],
    ids=["plain", "subset", "repeat"],
)
def test_a_stream_can_start_anywhere(sampler):
    whole = take(sampler.stream(), 120)
    for start in (0, 1, 12, 53):
        assert take(sampler.stream(start), 120 - start) == whole[start:]


def test_a_subset_is_fixed_and_of_the_right_size():
    sampler = RandomSubsetTrainingSampler(100, 0.2, seed=9)
    assert set(take(sampler.stream(), 20)) == set(take(sampler.stream(400), 20))
    assert len(set(take(sampler.stream(), 400))) == 20


def test_repeat_factors_by_the_formula_of_the_paper():
    """Class 0 in all four images, class 1 in one: f = 1 and 1/4; t = 1/2 gives r = 1 and sqrt(2)."""
    images = [{0}, {0}, {0, 1}, {0}]
    assert repeat_factors(images, 0.5).tolist() == pytest.approx([1, 1, 2**0.5, 1])
    assert repeat_factors(images, 0.5, sqrt=False).tolist() == pytest.approx([1, 1, 2, 1])
    assert repeat_factors([set(), {0}], 0.9).tolist() == pytest.approx([1, (0.9 / 0.5) ** 0.5])


def test_repeats_come_out_at_their_factors():
    factors = np.array([1.0, 1.25, 2.5, 4.0])
    sampler = RepeatFactorTrainingSampler(factors, seed=1)
    times = np.bincount(np.concatenate([sampler.epoch(i) for i in range(400)]), minlength=4) / 400
    assert times == pytest.approx(factors, abs=0.08)
    assert times[0] == 1.0
    assert times[3] == 4.0


@given(st.integers(1, 6), st.integers(0, 9), st.booleans(), st.integers(0, 1000))
def test_batches_from_any_start_are_those_of_the_whole_run(size, start, grouped, seed):
    wide = np.random.default_rng(seed).random(13) < 0.5 if grouped else None
    whole = take(batches(TrainingSampler(13, seed), size, wide), start + 4)
    assert take(batches(TrainingSampler(13, seed), size, wide, start), 4) == whole[start:]


def test_grouped_batches_are_of_one_shape_and_lose_nothing():
    wide = np.array([True, False, True, True, False, True, True])
    made = take(batches(TrainingSampler(7, 0), 3, wide), 40)
    assert all(len({bool(wide[index]) for _, index in batch}) == 1 for batch in made)
    places = sorted(place for batch in made for place, _ in batch)
    assert len(places) == len(set(places))
    assert len(set(range(places[-1])) - set(places)) <= 4  # only what still waits in the two queues


@given(st.integers(0, 50), st.integers(1, 9))
def test_shards_cover_every_image_once(size, world):
    shards = [inference_shard(size, rank, world) for rank in range(world)]
    assert [i for shard in shards for i in shard] == list(range(size))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_a_wrong_sampler_or_threshold_is_named():
    cfg = get_cfg()
    cfg.DATALOADER.SAMPLER_TRAIN = "RepeatFactorTrainingSampler"
    with pytest.raises(ConfigError, match="REPEAT_THRESHOLD"):
        check_config(cfg)
    cfg.DATALOADER.SAMPLER_TRAIN = "Sampler"
    with pytest.raises(ConfigError, match="TrainingSampler"):
        build_sampler(cfg, [{0}], 1)
