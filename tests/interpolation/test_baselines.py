"""Blend and nearest."""

from __future__ import annotations

import torch
from torch import Tensor

from gen_inbetween.interpolation import (
    load_interpolator,
)


def frames(count: int, height: int = 20, width: int = 33, batch: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(batch, 3, height, width, generator=generator) for _ in range(count)]


def test_the_baselines_are_what_their_names_say():
    a, b = frames(2)
    torch.testing.assert_close(load_interpolator("blend")(a, b, 0.25), 0.75 * a + 0.25 * b)
    assert torch.equal(load_interpolator("nearest")(a, b, 0.49), a)
    assert torch.equal(load_interpolator("nearest")(a, b, 0.5), b)
