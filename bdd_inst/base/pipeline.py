"""Work ahead in threads with bounded memory: order kept, errors passed on, threads ended with their consumer."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")
_END = object()


def prefetch(items: Iterable[Item], depth: int = 4) -> Iterator[Item]:
    """The items in order, up to ``depth`` of them made ahead in one thread. What the source raises is raised here."""
    source = iter(items)
    pool = ThreadPoolExecutor(1)
    ahead = deque(pool.submit(next, source, _END) for _ in range(depth))
    try:
        while (item := ahead.popleft().result()) is not _END:
            ahead.append(pool.submit(next, source, _END))
            yield item
    finally:
        for future in ahead:
            future.cancel()
        pool.shutdown()


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """``function`` of every item, in order, in ``workers`` threads; at most twice as many items are under way at once."""
    pool = ThreadPoolExecutor(max(1, workers))
    under_way: deque = deque()
    try:
        for item in items:
            under_way.append(pool.submit(function, item))
            if len(under_way) >= 2 * max(1, workers):
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()
        pool.shutdown()


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of ``size`` items, the last one perhaps shorter."""
    source = iter(items)
    while batch := list(itertools.islice(source, size)):
        yield batch
