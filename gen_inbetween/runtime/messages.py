"""Messages to people: nearest known names, and notices given once."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable
from functools import cache

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


def silence_torchvision_notice() -> None:
    """Keep transformers from saying, when its image processors are first imported, that they do without torchvision.

    It is meant to be so: torchvision fails beside any torch but the one it was built for. To be called before.
    """
    logging.getLogger("transformers.utils.import_utils").addFilter(_is_other_notice)


def _is_other_notice(record: logging.LogRecord) -> bool:
    return "requires torchvision" not in record.getMessage()
