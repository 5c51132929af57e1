"""Working ahead keeps the order, passes errors on, stays within its bounds and ends with its consumer."""

from __future__ import annotations

import threading
import time

import pytest

from bdd_inst.base.pipeline import batched, ordered_map, prefetch


def counted(number, seen):
    for i in range(number):
        seen.append(i)
        yield i


def test_prefetch_keeps_order_and_depth():
    seen = []
    stream = prefetch(counted(50, seen), depth=3)
    assert next(stream) == 0
    time.sleep(0.05)
    assert len(seen) <= 5
    assert list(stream) == list(range(1, 50))
    assert list(prefetch([])) == []


def test_prefetch_raises_what_the_source_raises():
    def broken():
        yield 1
        raise OSError("the disk is gone")

    stream = prefetch(broken())
    assert next(stream) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(stream)


def test_ordered_map_keeps_order_though_items_finish_out_of_it():
    def slow(i):
        time.sleep(0.002 * (i % 3))
        return i * i

    assert list(ordered_map(slow, range(30), 4)) == [i * i for i in range(30)]
    assert list(ordered_map(slow, [], 4)) == []


def test_ordered_map_holds_few_items_and_passes_errors_on():
    seen = []

    def work(i):
        if i == 7:
            raise ValueError("seven")
        return i

    stream = ordered_map(work, counted(1000, seen), 2)
    with pytest.raises(ValueError, match="seven"):
        list(stream)
    assert len(seen) <= 7 + 5


@pytest.mark.parametrize(
    "make", [lambda: prefetch(iter(range(10**9))), lambda: ordered_map(abs, iter(range(10**9)), 3)]
)
def test_threads_end_with_their_consumer(make):
    before = threading.active_count()
    stream = make()
    next(stream)
    stream.close()
    assert threading.active_count() == before


def test_batches():
    assert list(batched(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batched([], 2)) == []
