"""Any time from a network that knows the middle only: halve the interval that holds it, again and again.

    0 ---------------- 1/2 ---------------- 1
              1/4 <----- a, f(a, b)

RIFE's rule (ECCV2022-RIFE, inference by ratio): at most 8 halvings, and 0.005 away from t is near enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from torch import Tensor, cat

HALVINGS = 8
TOLERANCE = 0.005  # of the interval between the two frames


Middle: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def by_halving(middle: Middle, a: Tensor, b: Tensor, times: Sequence[float]) -> list[Tensor]:
    """The frames at `times`, each in [0, 1]; `middle(a, b)` gives the one half-way. Shared halves are made once."""
    known = {0.0: a, 1.0: b}  # halves of 1 are exact in binary, so they can be keys
    return [_halve(middle, known, t) for t in times]


def batch_by_halving(middle: Middle, a: Tensor, b: Tensor, times: Sequence[float]) -> Tensor:
    """The batch (B, 3, H, W) of which each sample has its own of `times`; one time for all is reached together."""
    if len(set(times)) == 1:
        return by_halving(middle, a, b, times[:1])[0]
    return cat([by_halving(middle, a[i : i + 1], b[i : i + 1], [t])[0] for i, t in enumerate(times)])


def _halve(middle: Middle, known: dict[float, Tensor], t: float) -> Tensor:
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        near = min((low, high), key=lambda position: abs(position - t))
        if abs(near - t) <= TOLERANCE:
            return known[near]
        half = (low + high) / 2
        if half not in known:
            known[half] = middle(known[low], known[high])
        low, high = (half, high) if t > half else (low, half)
    return known[min((low, high), key=lambda position: abs(position - t))]
