"""Any time from a network that knows the middle only: halve the interval that holds it, again and again.

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


def by_halving(middle: Middle, a: Tensor, b: Tensor, times: Sequence[float]) -> Iterator[Tensor]:
    """The frames at `times`, each in [0, 1], one after the other; `middle(a, b)` gives the one half-way.

    Shared halves are made once, and forgotten after the last of `times` that needs them: while times rise no more than
    HALVINGS of them are kept, however many frames are asked for.
    """
    ways = [_way(t) for t in times]
    last_use = {(low + high) / 2: index for index, (halved, _) in enumerate(ways) for low, high in halved}
    known = {0.0: a, 1.0: b}  # halves of 1 are exact in binary, so they can be keys
    for index, (halved, place) in enumerate(ways):
        for low, high in halved:
            if (low + high) / 2 not in known:
                known[(low + high) / 2] = middle(known[low], known[high])
        yield known[place]
        known = {at: frame for at, frame in known.items() if last_use.get(at, len(ways)) > index}


def batch_by_halving(middle: Middle, a: Tensor, b: Tensor, times: Sequence[float]) -> Tensor:
    """The batch (B, 3, H, W) of which each sample has its own of `times`; one time for all is reached together."""
    if len(set(times)) == 1:
        return next(by_halving(middle, a, b, times[:1]))
    return cat([next(by_halving(middle, a[i : i + 1], b[i : i + 1], [t])) for i, t in enumerate(times)])


def halvings(times: Sequence[float]) -> int:
    """How often `by_halving` asks for the middle of two frames, for these times."""
    return len({interval for t in times for interval in _way(t)[0]})


def _way(t: float) -> tuple[list[tuple[float, float]], float]:
    """The intervals to halve on the way to t, coarse to fine, and where it ends: near enough to t."""
    low, high = 0.0, 1.0
    halved: list[tuple[float, float]] = []
    while len(halved) < HALVINGS and abs(_nearer(low, high, t) - t) > TOLERANCE:
        halved.append((low, high))
        half = (low + high) / 2
        low, high = (half, high) if t > half else (low, half)
    return halved, _nearer(low, high, t)


def _nearer(low: float, high: float, t: float) -> float:
    return min((low, high), key=lambda place: abs(place - t))
