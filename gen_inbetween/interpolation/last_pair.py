"""What was worked out for the last pair of frames: many times are asked of one pair, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

Found = TypeVar("Found")


class LastPair(Generic[Found]):
    """Calls `work_out(a, b)` when it is asked for another pair than the time before."""

    def __init__(self, work_out: Callable[[Tensor, Tensor], Found]) -> None:
        self.work_out = work_out
        self.forget()

    def forget(self) -> None:
        self._known: tuple[Tensor, Tensor, Found] | None = None

    def __call__(self, a: Tensor, b: Tensor) -> Found:
        known = self._known
        if known is None or not (_same(known[0], a) and _same(known[1], b)):
            known = a.clone(), b.clone(), self.work_out(a, b)  # copies, for the caller may write into its frames
            self._known = known
        return known[2]


def _same(first: Tensor, second: Tensor) -> bool:
    return first.device == second.device and torch.equal(first, second)
