"""Super SloMo: flows at a time, and the oddities of the published weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from gen_inbetween.interpolation.networks.superslomo import SuperSloMo, combine, off_grid
from gen_inbetween.interpolation.warping import warp


def frames(count: int, height: int, width: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(1, 3, height, width, generator=generator) for _ in range(count)]


def seeded(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return build().eval()


def test_super_slomo_combines_flows_for_its_time():
    flow01, flow10 = torch.randn(2, 1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    for t in (0.0, 1.0):
        to0, to1 = combine(flow01, flow10, torch.tensor(t))
        torch.testing.assert_close((to0, to1), (torch.zeros(1, 2, 4, 4), flow01) if t == 0 else (flow10, to1 * 0))
    to0, to1 = combine(flow01, -flow01, torch.tensor(0.25))  # one motion, seen from both sides
    torch.testing.assert_close((to0, to1), (-0.25 * flow01, 0.75 * flow01))


def test_super_slomo_runs_both_ways_and_starts_at_the_frames():
    a, b = frames(2, 32, 32)
    for compat in (False, True):
        network = seeded(lambda compat=compat: SuperSloMo(widths=(4, 4, 4), compat=compat))
        estimate = network(a, b, torch.full((1, 1, 32, 32), 0.5))
        assert estimate.between.shape == (1, 4, 32, 32) and len(estimate.flows) == 2
        still = network(a, b, torch.zeros(1, 1, 32, 32))
        torch.testing.assert_close(still.masks[-1], torch.ones(1, 1, 32, 32))  # at t = 0 only the first frame counts
        estimate.frame.mean().backward()
        assert network.flow.conv1.weight.grad.abs().sum() > 0


def test_compat_samples_where_the_published_code_does():
    """It maps pixel p to 2 (p / W - 1/2) and looks that up with corners aligned and zeros outside."""
    image = frames(1, 12, 20)[0]
    flow = torch.randn(1, 2, 12, 20, generator=torch.Generator().manual_seed(3)) * 3
    x = torch.arange(20.0).view(1, 1, 20) + flow[:, 0]
    y = torch.arange(12.0).view(1, 12, 1) + flow[:, 1]
    grid = torch.stack((2 * (x / 20 - 0.5), 2 * (y / 12 - 0.5)), -1)
    expected = functional.grid_sample(image, grid, align_corners=True)
    torch.testing.assert_close(warp(image, off_grid(flow), outside="zeros"), expected, atol=1e-5, rtol=0)
    assert not torch.allclose(warp(image, flow, outside="zeros"), expected, atol=1e-2)
