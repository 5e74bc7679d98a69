"""IFBlock at two scales."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from gen_inbetween.interpolation.networks.blocks import IFBlock


def seeded(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return build().eval()


def test_a_block_at_twice_the_scale_sees_the_same_and_answers_twice_as_far():
    block = seeded(lambda: IFBlock(6, 8, depth=1))
    small = torch.rand(1, 6, 16, 16, generator=torch.Generator().manual_seed(0))
    large = functional.interpolate(small, scale_factor=2, mode="nearest")
    with torch.no_grad():
        flow, mask, _ = block(small, None, 1.0)
        flow_large, mask_large, _ = block(large, None, 2.0)
    again = functional.avg_pool2d(flow_large, 2)
    inner = (..., slice(4, 12), slice(4, 12))  # resizing twice is not resizing once at the borders
    torch.testing.assert_close(again[inner] / 2, flow[inner], atol=0.05 * float(flow.abs().max()), rtol=0)
    assert flow_large.shape == (1, 4, 32, 32) and mask_large.shape == (1, 1, 32, 32) and mask.shape == (1, 1, 16, 16)
