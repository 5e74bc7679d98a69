"""Looking frames up along flows: against SciPy, exact shifts, the border, and sizes that shrink and grow."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from gen_inbetween.interpolation.warping import rescale, rescale_flow, splat, warp


def random_frame(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_no_flow_changes_nothing():
    frame = random_frame(2, 3, 17, 24)
    torch.testing.assert_close(warp(frame, torch.zeros(2, 2, 17, 24)), frame, atol=1e-5, rtol=0)


@pytest.mark.parametrize("outside", ["border", "zeros"])
def test_any_flow_is_what_scipy_looks_up(outside):
    frame = random_frame(1, 1, 20, 31)
    flow = torch.randn(1, 2, 20, 31, generator=torch.Generator().manual_seed(1)) * 5
    y, x = np.mgrid[:20, :31]
    places = np.stack([y + flow[0, 1].numpy(), x + flow[0, 0].numpy()])
    mode = {"border": "nearest", "zeros": "grid-constant"}[outside]
    expected = map_coordinates(frame[0, 0].numpy().astype(float), places, order=1, mode=mode)
    np.testing.assert_allclose(warp(frame, flow, outside=outside)[0, 0].numpy(), expected, atol=1e-4)


def test_a_flow_points_to_where_the_pixel_is_taken_from():
    frame = random_frame(1, 3, 16, 16)
    flow = torch.zeros(1, 2, 16, 16)
    flow[:, 0], flow[:, 1] = 3.0, -2.0  # three to the right, two up
    shifted = warp(frame, flow)
    torch.testing.assert_close(shifted[..., 2:, :-3], frame[..., :-2, 3:], atol=1e-5, rtol=0)
    torch.testing.assert_close(shifted[..., 2:, -3:], frame[..., :-2, -1:].expand(-1, -1, -1, 3), atol=1e-5, rtol=0)


def test_half_a_pixel_is_the_mean_of_two():
    frame = random_frame(1, 1, 16, 16)
    flow = torch.zeros(1, 2, 16, 16)
    flow[:, 0] = 0.5
    torch.testing.assert_close(warp(frame, flow)[..., :-1], (frame[..., :-1] + frame[..., 1:]) / 2, atol=1e-5, rtol=0)


def test_a_flow_at_half_the_size_is_half_as_long_and_warps_alike():
    ramp = torch.arange(32.0).view(1, 1, 1, 32).expand(1, 1, 32, 32) / 32
    flow = torch.full((1, 2, 32, 32), 4.0)
    half = rescale_flow(flow, 0.5)
    assert half.shape == (1, 2, 16, 16) and torch.equal(half, torch.full_like(half, 2.0))
    coarse, fine = warp(rescale(ramp, 0.5), half), rescale(warp(ramp, flow), 0.5)
    torch.testing.assert_close(coarse[..., :12], fine[..., :12], atol=1e-5, rtol=0)


def test_gradients_reach_the_flow():
    frame, flow = random_frame(1, 3, 16, 16), torch.zeros(1, 2, 16, 16, requires_grad=True)
    warp(frame, flow).square().sum().backward()
    assert flow.grad is not None and float(flow.grad.abs().sum()) > 0


def test_splatting_keeps_all_weight_and_moves_it_exactly():
    values = torch.rand(1, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    weight = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    flow = torch.zeros(1, 2, 16, 16)
    flow[:, 0], flow[:, 1] = 2.0, -1.0
    moved = splat(values, flow, weight)
    torch.testing.assert_close(moved[:, 2:, :-1, 2:], weight[:, :, 1:, :-2])
    torch.testing.assert_close(moved[:, :2, :-1, 2:], (values * weight)[:, :, 1:, :-2])
    assert float(moved[..., :2].abs().sum()) == 0
    flow[:] = 0.0
    flow[..., 8, 8] = 0.25
    assert float(splat(values, flow, weight)[:, 2].sum()) == pytest.approx(float(weight.sum()), rel=1e-6)


def test_splatting_is_what_four_neighbours_get_one_by_one():
    generator = torch.Generator().manual_seed(3)
    values, weight = torch.randn(2, 2, 5, 7, generator=generator), torch.rand(2, 1, 5, 7, generator=generator)
    flow = torch.randn(2, 2, 5, 7, generator=generator) * 4  # many leave the frame, some by far
    flow[0, :, 0, 0], flow[0, :, 1, 1] = torch.tensor([-0.5, 900.0]), torch.tensor([6.0, 0.0])
    expected = torch.zeros(2, 3, 5, 7)
    for batch, y, x in np.ndindex(2, 5, 7):
        to_x, to_y = x + float(flow[batch, 0, y, x]), y + float(flow[batch, 1, y, x])
        for column, row in itertools.product(*((math.floor(each), math.floor(each) + 1) for each in (to_x, to_y))):
            if 0 <= column < 7 and 0 <= row < 5:
                share = (1 - abs(to_x - column)) * (1 - abs(to_y - row)) * weight[batch, 0, y, x]
                expected[batch, :2, row, column] += share * values[batch, :, y, x]
                expected[batch, 2, row, column] += share
    torch.testing.assert_close(splat(values, flow, weight), expected, atol=1e-5, rtol=0)
