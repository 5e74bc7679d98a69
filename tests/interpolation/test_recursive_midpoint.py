"""Any time by halving, with as few middles as it takes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gen_inbetween.interpolation.recursive_midpoint import count_midpoints, recursive_midpoint


def test_halving_reaches_any_time_and_makes_shared_halves_once():
    calls = []

    def middle(a: Tensor, b: Tensor) -> Tensor:
        calls.append((float(a), float(b)))
        return (a + b) / 2

    times = [0.0, 0.25, 0.5, 0.75, 1 / 3, 1.0, 0.004]
    found = [float(frame) for frame in recursive_midpoint(middle, torch.tensor(0.0), torch.tensor(1.0), times)]
    np.testing.assert_allclose(found, times, atol=0.005)
    assert len(calls) == len(set(calls)) and calls[0] == (0.0, 1.0) and len(calls) <= 3 + 6


def test_halving_128_times_keeps_few_halves_at_once():
    held: list[int] = []

    class Counted(float):
        alive = 0

        def __init__(self, value: float) -> None:
            Counted.alive += 1

        def __del__(self) -> None:
            Counted.alive -= 1

    def middle(a: float, b: float) -> float:
        held.append(Counted.alive)
        return Counted((a + b) / 2)

    times = [k / 128 for k in range(1, 128)]
    found = list(map(float, recursive_midpoint(middle, 0.0, 1.0, times)))
    assert found == times and len(held) == count_midpoints(times) == 127 and max(held) <= 9
