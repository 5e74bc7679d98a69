"""Padding, and steps along references, of a network as an interpolator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from interpolation_cases import ALL, frames, network_interpolator
from torch import Tensor

from gen_inbetween.interpolation import (
    InterpolatorInfo,
    load_interpolator,
)
from gen_inbetween.interpolation.networks.adapter import NetworkInterpolator
from gen_inbetween.interpolation.networks.estimate import Estimate, InterpolationNetwork


@pytest.fixture(params=ALL, ids=str)
def interpolator(request):
    return load_interpolator(request.param) if isinstance(request.param, str) else network_interpolator(request.param)


def test_frames_are_padded_with_zeros_and_maps_with_their_ends():
    interpolator = network_interpolator(1)
    a, b = frames(2)
    uneven = torch.linspace(0, 1, 33).expand(1, 1, 20, 33)
    wide_a, wide_b = (torch.zeros(1, 3, 32, 64) for _ in range(2))
    wide_a[..., :20, :33], wide_b[..., :20, :33] = a, b
    wide_map = torch.cat((uneven[:, :, :1].expand(1, 1, 32, 33), torch.ones(1, 1, 32, 31)), 3)
    expected = interpolator.network(wide_a, wide_b, wide_map).frame[..., :20, :33]
    torch.testing.assert_close(interpolator(a, b, uneven), expected)


class Recorder(InterpolationNetwork):
    """Returns a frame that tells the calls apart, and keeps what it was given."""

    index_channels, multiple = 5, 32

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Tensor] = []

    def forward(self, a: Tensor, b: Tensor, index: Tensor) -> Estimate:
        self.given.append(index)
        frame = torch.full_like(a, len(self.given) / 10)
        flat = torch.zeros(len(a), 4, *a.shape[-2:])
        return Estimate(frame, [flat], [flat[:, :1]], [frame])


def test_reference_steps_walk_from_the_reference_to_the_time():
    """InterpAny-Clearer: each step is given its map, the map of the step before, and that step's frame."""
    a, b, near = frames(3, 32, 32)
    info = InterpolatorInfo("recorder", "-", "-", "index+ref", 32, "none")
    interpolator = NetworkInterpolator(Recorder(), info, torch.device("cpu"))
    frame = interpolator(a, b, 0.9, iters=3)
    maps = [(float(index[0, 0].mean()), float(index[0, 1].mean())) for index in interpolator.network.given]
    np.testing.assert_allclose(maps, [(0.3, 0.0), (0.6, 0.3), (0.9, 0.6)], atol=1e-6)
    seen = [index[:, 2:] for index in interpolator.network.given]
    assert torch.equal(seen[0], a) and [round(float(image.mean()), 5) for image in seen[1:]] == [0.1, 0.2]
    assert torch.equal(frame, torch.full_like(a, 0.3))
    interpolator.network.given.clear()
    interpolator(a, b, 0.5, ref=(near, torch.tensor([0.7])), iters=1)
    only = interpolator.network.given[0]
    assert torch.equal(only[:, 2:], near)
    np.testing.assert_allclose([float(only[0, 0].mean()), float(only[0, 1].mean())], [0.5, 0.7], atol=1e-6)
