"""Worker threads that draw the pairs of a film side by side.

Pairs are independent, and what torch and OpenCV do in a thread holds no other thread up. Each worker computes on one
core by itself: two halves of one picture wait for each other at every step, two pictures never do. The frames are the
same whatever the number of workers; OpenCV's DIS flow, left to itself, depends on the number of its threads.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from gen_inbetween.interpolation.interpolator import InterpolatorError

Item = TypeVar("Item")

AT_ONCE = 4  # items that a worker draws before they are asked for, however long a pair lasts

_lock = threading.Lock()
_users = 0
_before: tuple[int, int] = (0, 0)


def in_order(lists: Iterable[Iterator[Item]], workers: int) -> Iterator[Item]:
    """The items of all iterators, one iterator after the other; `workers` of them are advanced at once, in threads.

    No more than AT_ONCE items of each of workers + 1 iterators wait. Iterators are taken from `lists` by this thread.
    """
    coming = iter(lists)
    waiting: deque[tuple[Iterator[Item], Future[list[Item]]]] = deque()
    with one_thread_each(), ThreadPoolExecutor(workers, "drawing", torch.set_num_threads, (1,)) as pool:

        def start(items: Iterator[Item]) -> tuple[Iterator[Item], Future[list[Item]]]:
            return items, pool.submit(lambda: list(itertools.islice(items, AT_ONCE)))

        try:
            while True:
                waiting.extend(map(start, itertools.islice(coming, workers + 1 - len(waiting))))
                if not waiting:
                    return
                items, future = waiting.popleft()
                drawn = future.result()
                if len(drawn) == AT_ONCE:
                    waiting.appendleft(start(items))
                yield from drawn
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Have torch and OpenCV compute on one thread a call, in all threads, while any such block is entered."""
    global _users, _before
    with _lock:
        if not _users:
            _before = torch.get_num_threads(), _opencv_threads(1)
            torch.set_num_threads(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                torch.set_num_threads(_before[0])
                _opencv_threads(_before[1])


def _opencv_threads(count: int) -> int:
    """Set the number of OpenCV's threads; what it was. 0 where there is no OpenCV."""
    try:
        import cv2
    except ImportError:
        return 0
    before: int = cv2.getNumThreads()
    cv2.setNumThreads(count)
    return before


def check_workers(workers: int | None) -> None:
    """Raise InterpolatorError for a number of workers that is none."""
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise InterpolatorError(f"expected workers to be 1 or more, got {workers!r}")
