"""Work that several measures of one sample share is done once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from .clip_metric import Sample

T = TypeVar("T")


def once_a_sample(function: Callable[[Sample], T]) -> Callable[[Sample], T]:
    """`function(sample)`, kept in the sample as `functools.cached_property` would: it lives as long as that."""
    key = f"{function.__module__}.{function.__qualname__}"

    @wraps(function)
    def kept(sample: Sample) -> T:
        if key not in sample.__dict__:
            sample.__dict__[key] = function(sample)
        found: T = sample.__dict__[key]
        return found

    return kept
