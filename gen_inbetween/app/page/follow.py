"""Work of the film tools as a generator that closing stops."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from gen_inbetween.runtime.progress import StoppedError, listening

EVERY = 0.2  # seconds between two looks


@dataclass(frozen=True)
class Done:
    """How far the work is; `result`, in a tuple, in the last one only; news: what the work itself showed."""

    done: int = 0
    total: int | None = None
    news: Any = None
    result: tuple[Any] | None = None


@dataclass(frozen=True)
class Ended:
    """The work's result, told apart from news of any kind."""

    result: Any


class Worker(threading.Thread):
    """A function in a thread that is listened to."""

    def __init__(self, work: Callable[[Callable[[Any], None]], Any]) -> None:
        super().__init__(daemon=True, name="film tool")
        self.work, self.stopped = work, threading.Event()
        self.events: queue.Queue[Any] = queue.Queue()
        self.latest = Done()

    def run(self) -> None:
        """The work, then its result or its error as the last event."""
        try:
            with listening(self.count):
                self.events.put(Ended(self.work(self.show)))
        except StoppedError:
            pass
        except BaseException as error:  # of a thread nobody would see it
            self.events.put(error)

    def count(self, done: int, total: int | None) -> None:
        """Called after each item."""
        self.latest = Done(done, total)
        self.check()

    def show(self, news: Any) -> None:
        """Called by the work with what is to be seen."""
        self.events.put(news)
        self.check()

    def check(self) -> None:
        """StoppedError: nobody waits for the work any more."""
        if self.stopped.is_set():
            raise StoppedError

    def close(self) -> None:
        """Stop at the next item and wait for it."""
        self.stopped.set()
        self.join()


def follow(work: Callable[[Callable[[Any], None]], Any]) -> Generator[Done, None, None]:
    """The progress of work(show), looked at five times a second; its last has the result.

    work: called in a thread of its own with a function that takes news for the one who follows.
    """
    worker = Worker(work)
    with closing(worker):
        worker.start()
        while True:
            try:
                event = worker.events.get(timeout=EVERY)
            except queue.Empty:
                yield worker.latest
                continue
            if isinstance(event, BaseException):
                raise event
            if isinstance(event, Ended):
                yield Done(worker.latest.done, worker.latest.total, result=(event.result,))
                return
            yield Done(worker.latest.done, worker.latest.total, news=event)
