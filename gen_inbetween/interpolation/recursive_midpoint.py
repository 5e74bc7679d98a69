"""Recursive midpoint interpolation: any time from networks of t = 1/2.

The interval that holds the time is halved again and again:

    0 ---------------- 1/2 ---------------- 1
              1/4 <----- a, f(a, b)

RIFE's rule (ECCV2022-RIFE, inference by ratio): at most 8 halvings, and 0.005 away from t is near enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from torch import Tensor, cat

HALVINGS = 8
TOLERANCE = 0.005  # of the interval between the two frames


Middle: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def recursive_midpoint(middle: Middle, a: Tensor, b: Tensor, times: Sequence[float]) -> Iterator[Tensor]:
    """The frames at `times`, each in [0, 1], one after the other; `middle(a, b)` gives the one half-way.

    Shared halves are drawn once, and forgotten after the last of `times` that needs them: while times rise no more than
    HALVINGS of them are kept, however many frames are asked for.
    """
    paths = [_bisect(t) for t in times]
    last_use = {(low + high) / 2: number for number, (halved, _) in enumerate(paths) for low, high in halved}
    frames = {0.0: a, 1.0: b}  # by time; halves of 1 are exact in binary, so they can be keys
    for number, (halved, nearest) in enumerate(paths):
        for low, high in halved:
            if (low + high) / 2 not in frames:
                frames[(low + high) / 2] = middle(frames[low], frames[high])
        yield frames[nearest]
        frames = {time: frame for time, frame in frames.items() if last_use.get(time, len(paths)) > number}


def recursive_midpoint_batch(middle: Middle, a: Tensor, b: Tensor, times: Sequence[float]) -> Tensor:
    """The batch (B, 3, H, W) of which each sample has its own of `times`; one time for all is reached together."""
    if len(set(times)) == 1:
        return next(recursive_midpoint(middle, a, b, times[:1]))
    return cat([next(recursive_midpoint(middle, a[i : i + 1], b[i : i + 1], [t])) for i, t in enumerate(times)])


def count_midpoints(times: Sequence[float]) -> int:
    """How often `recursive_midpoint` asks for the middle of two frames, for these times.

    >>> count_midpoints([0.25, 0.5, 0.75])
    3
    """
    return len({interval for t in times for interval in _bisect(t)[0]})


def _bisect(t: float) -> tuple[list[tuple[float, float]], float]:
    """The intervals to halve on the way to t, coarse to fine, and where it ends: near enough to t."""
    low, high = 0.0, 1.0
    halved: list[tuple[float, float]] = []
    while len(halved) < HALVINGS and abs(_nearer(low, high, t) - t) > TOLERANCE:
        halved.append((low, high))
        half = (low + high) / 2
        low, high = (half, high) if t > half else (low, half)
    return halved, _nearer(low, high, t)


def _nearer(low: float, high: float, t: float) -> float:
    return min((low, high), key=lambda end: abs(end - t))
