"""Messages to people: nearest known names, notices given once, notices collected."""

from __future__ import annotations

import difflib
import functools
import logging
import threading
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import cache
from typing import Any, TypeVar

Run = TypeVar("Run", bound=Callable[..., Any])

log = logging.getLogger("gen_inbetween")


def nearest_names(name: object, names: Iterable[str], *, count: int = 1, cutoff: float = 0.6) -> list[str]:
    """At most `count` of `names` that are spelt like `name`, the nearest first; `cutoff` in [0, 1]: 1 is equal.

    >>> nearest_names("sede", ["seed", "fps"])
    ['seed']
    >>> nearest_names("colour", ["seed", "fps"])
    []
    """
    return difflib.get_close_matches(str(name), names, n=count, cutoff=cutoff)


@cache
def warn_once(message: str) -> None:
    """Log a notice the first time it is due in this process: a batch of a thousand clips gives it once."""
    log.warning("%s", message)


@cache
def tell_once(message: str) -> None:
    """`warn_once` for what is no warning."""
    log.info("%s", message)


class _Collector:
    """Hands notices to who collects them in this context, also those below the level that is shown."""

    def __init__(self) -> None:
        self.lock, self.users, self.level, self.shown = threading.Lock(), 0, logging.NOTSET, logging.WARNING

    def __call__(self, record: logging.LogRecord) -> bool:
        notices = _notices.get()
        if notices is not None and record.levelno >= logging.INFO:
            notices.append(record.getMessage())
        return record.levelno >= self.shown

    def begin(self) -> None:
        with self.lock:
            self.users += 1
            if self.users == 1:
                self.level, self.shown = log.level, log.getEffectiveLevel()
                log.addFilter(self)
                log.setLevel(min(self.shown, logging.INFO))

    def end(self) -> None:
        with self.lock:
            self.users -= 1
            if not self.users:
                log.setLevel(self.level)
                log.removeFilter(self)


_notices: ContextVar[list[str] | None] = ContextVar("notices", default=None)
_collector = _Collector()


def collecting_notices(run: Run) -> Run:
    """Make a function keep the notices given while it runs; `collected_notices` tells them. Shown are the same ones."""

    @functools.wraps(run)
    def collecting(*args: Any, **options: Any) -> Any:
        token = _notices.set([])
        _collector.begin()
        try:
            return run(*args, **options)
        finally:
            _collector.end()
            _notices.reset(token)

    return collecting  # type: ignore[return-value]


def collected_notices() -> list[str]:
    """The notices so far of the function at work, in their order."""
    return list(_notices.get() or ())


def silence_torchvision_notice() -> None:
    """Keep transformers from saying, when its image processors are first imported, that they do without torchvision.

    It is meant to be so: torchvision fails beside any torch but the one it was built for. To be called before.
    """
    logging.getLogger("transformers.utils.import_utils").addFilter(_is_other_notice)


def _is_other_notice(record: logging.LogRecord) -> bool:
    return "requires torchvision" not in record.getMessage()
