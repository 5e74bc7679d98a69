"""Progress of long work: a bar, and a listener that may stop it.

with listening(lambda done, total: bar.update_absolute(done, total)):
    retime_video("film.mp4", "film60.mp4", fps=60, progress=False)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Listener: TypeAlias = Callable[[int, "int | None"], object]  # (items done, of how many; None: nobody knows)


class StoppedError(Exception):
    """Raised in work that nobody waits for any more."""


_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have `listener` called after every item that this thread tracks; what it raises stops the work there."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def track(
    items: Iterable[Item],
    title: str | None = None,
    total: int | None = None,
    *,
    initial: int = 0,
    unit: str = "frame",
    shown: bool = True,
) -> Iterator[Item]:
    """The items, counted on a bar while `shown`, and to whoever listens, once the next one is asked for.

    total: how many there are, where they have no length; initial: those that were done before.

    >>> with listening(lambda done, total: print(done, "of", total)):
    ...     list(track("ab", shown=False))
    1 of 2
    2 of 2
    ['a', 'b']
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    for done, item in enumerate(tqdm(items, title, total, initial=initial, unit=unit, disable=not shown), initial + 1):
        yield item
        if listener := _listener.get():
            listener(done, total)
