"""Checks of numbers that callers give: kind and range, in one sentence.

A boolean is no number, and neither is a word, "7" included. numpy's numbers are.
"""

from __future__ import annotations

import math
import numbers
import os
from typing import Any

LARGEST_SEED = 2**63 - 1  # of every command; torch.Generator takes it


def check_whole(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """`value` as an int; ValueError: it is no whole number of that range.

    >>> check_whole("num_frames", 25, least=2)
    25
    >>> check_whole("num_frames", True, least=2)
    Traceback (most recent call last):
    ValueError: expected num_frames as a whole number of at least 2, got True
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or (least is not None and value < least) or (most is not None and value > most):
        raise ValueError(f"expected {name} as a whole number{_range(least, most)}, got {value!r}")
    return int(value)


def check_real(name: str, value: Any, least: float | None = None, most: float | None = None) -> float:
    """`value` as it is; ValueError: it is no finite number of that range, its ends included.

    >>> check_real("fps", "7", least=1)
    Traceback (most recent call last):
    ValueError: expected fps as a number of at least 1, got '7'
    """
    if not _is_real(value) or (least is not None and value < least) or (most is not None and value > most):
        raise ValueError(
            f"expected {name} as a {'finite ' * (least is most)}number{_range(least, most)}, got {value!r}"
        )
    number: float = value
    return number


def check_positive(name: str, value: Any) -> float:
    """`value` as it is; ValueError: it is no finite number above 0."""
    if not (_is_real(value) and value > 0):
        raise ValueError(f"expected {name} as a number above 0, got {value!r}")
    number: float = value
    return number


def check_switch(name: str, value: Any) -> bool:
    """`value` as it is; ValueError: it is neither True nor False."""
    if not isinstance(value, bool):
        raise ValueError(f"expected {name} as True or False, got {value!r}")
    return value


def plain_value(value: Any) -> Any:
    """What JSON has for a number or an array of numpy's, a fraction or a path; TypeError: it has nothing.

    >>> from fractions import Fraction
    >>> plain_value(Fraction(1, 2)), plain_value(7)
    (0.5, 7)
    """
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"expected what JSON can say, got {type(value).__name__}")


def _is_real(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _range(least: float | None, most: float | None) -> str:
    if least is None or most is None:
        return "" if least is None else f" of at least {least:g}"
    return f" from {least:.15g} to {most:.15g}"
