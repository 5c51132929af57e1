"""Work ahead in threads with bounded memory: order kept, errors passed on, threads ended with their consumer."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")
_END = object()


def prefetch(items: Iterable[Item], depth: int = 4) -> Iterator[Item]:
    """The items in order, up to ``depth`` of them made ahead in one thread. What the source raises is raised here.

    Args:
        items: made in the thread, one after the other.
        depth: how many are held ready at most.

    Yields:
        The items in order.
    """
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


class Newest:
    """Items of a source that waits for nobody, such as a camera: read in a thread, and the newest is given whenever one is asked for.

    Attributes:
        dropped: how many came and went while the consumer was busy.
    """

    def __init__(self, items: Iterable, stop: threading.Event):
        """``stop`` is set when the consumer leaves: what waits in the source should end by it; no item is asked for after it."""
        self.items, self.stop, self.dropped = items, stop, 0

    def __iter__(self) -> Iterator:
        waiting: deque = deque(maxlen=1)
        ended: list[BaseException | None] = []
        came = threading.Condition()

        def read() -> None:
            error = None
            try:
                for item in self.items:
                    if self.stop.is_set():
                        break
                    with came:
                        self.dropped += len(waiting)
                        waiting.append(item)
                        came.notify()
            except BaseException as raised:
                error = raised
            with came:
                ended.append(error)
                came.notify()

        threading.Thread(target=read, daemon=True).start()
        try:
            while True:
                with came:
                    # In short waits: on some systems Ctrl-C does not end a long one.
                    while not came.wait_for(lambda: waiting or ended, timeout=0.1):
                        pass
                    if not waiting:
                        break
                    item = waiting.popleft()
                yield item
        finally:
            self.stop.set()
        if ended[0] is not None:
            raise ended[0]


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """``function`` of every item, in order, in ``workers`` threads; at most twice as many items are under way at once.

    Args:
        function: called in threads; what it raises is raised where its result would come.
        items: taken in the caller's thread.
        workers: threads; 0 is one.

    Yields:
        The results in the order of the items.
    """
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
    """Lists of ``size`` items, the last one perhaps shorter.

    Args:
        items: any number.
        size: of a list, 1 or more.

    Yields:
        Lists of ``size`` items.
    """
    source = iter(items)
    while batch := list(itertools.islice(source, size)):
        yield batch
