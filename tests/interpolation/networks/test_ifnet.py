"""The paper family of RIFE: sizes, index input, what the losses need."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gen_inbetween.interpolation.networks.ifnet import IFNet
from gen_inbetween.interpolation.networks.superslomo import SuperSloMo, Unet
from gen_inbetween.interpolation.warping import warp
from gen_inbetween.interpolation.weights.detect import on_meta

TINY = {"widths": (8, 8, 4), "depth": 1, "context_width": 2}


def millions(build: Callable[[], nn.Module]) -> float:
    return sum(parameter.numel() for parameter in on_meta(build).parameters()) / 1e6


def frames(count: int, height: int, width: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(1, 3, height, width, generator=generator) for _ in range(count)]


def seeded(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return build().eval()


def test_the_paper_family_has_the_published_sizes():
    assert millions(lambda: IFNet(1)) == pytest.approx(10.07, abs=0.005)
    assert millions(lambda: IFNet(1, teacher=True)) == pytest.approx(10.71, abs=0.005)
    assert millions(lambda: IFNet(5)) == pytest.approx(10.08, abs=0.005)
    assert len(on_meta(lambda: IFNet(1, teacher=True)).state_dict()) == 190
    assert millions(SuperSloMo) == pytest.approx(39.6, abs=0.05)
    assert millions(lambda: Unet(6, 4, (32, 64, 128, 256, 512, 512), rectify_last=True)) == pytest.approx(
        19.79, abs=0.005
    )


@pytest.mark.parametrize("index_channels", [0, 1, 5])
def test_ifnet_says_what_the_losses_need(index_channels):
    network = seeded(lambda: IFNet(index_channels, teacher=True, **TINY))
    a, b, target = frames(3, 32, 64)
    index = torch.full((1, index_channels, 32, 64), 0.5) if index_channels else None
    estimate = network(a, b, index, target)
    assert [flow.shape for flow in estimate.flows] == [(1, 4, 32, 64)] * 3
    assert [mask.shape for mask in estimate.masks] == [(1, 1, 32, 64)] * 3
    assert 0 <= estimate.frame.min() and estimate.frame.max() <= 1
    flow, mask = estimate.flows[-1], estimate.masks[-1]
    merged = mask * warp(a, flow[:, :2]) + (1 - mask) * warp(b, flow[:, 2:])
    torch.testing.assert_close(estimate.merged[-1], merged)
    assert estimate.teacher.flow.shape == (1, 4, 32, 64)
    (estimate.frame.mean() + estimate.teacher.merged.mean()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert network(a, b, index).teacher is None


def test_the_index_stands_right_behind_the_frames():
    """The published weights fix which channel is which."""
    network = seeded(lambda: IFNet(1, **TINY))
    stacks: dict[str, Tensor] = {}
    for name in ("block0", "block1", "unet"):
        network.get_submodule(name).register_forward_pre_hook(
            lambda _, given, name=name: stacks.update({name: given[0]})
        )
    a, b = frames(2, 32, 32)
    index = torch.full((1, 1, 32, 32), 0.25)
    estimate = network(a, b, index)
    assert torch.equal(stacks["block0"], torch.cat((a, b, index), 1))
    flow = estimate.flows[0]
    warped = torch.cat((warp(a, flow[:, :2]), warp(b, flow[:, 2:])), 1)
    assert torch.equal(stacks["block1"][:, :13], torch.cat((a, b, index, warped), 1))
    torch.testing.assert_close(stacks["block1"][:, 13:].sigmoid(), estimate.masks[0])
    torch.testing.assert_close(stacks["unet"][:, 13:], estimate.flows[-1])
    assert torch.equal(stacks["unet"][:, :6], torch.cat((a, b), 1))


def test_a_smaller_scale_asks_for_more_padding_and_fits_the_same_weights():
    whole, half = seeded(lambda: IFNet(1, **TINY)), IFNet(1, scale=0.5, **TINY).eval()
    half.load_state_dict(whole.state_dict())
    assert (whole.multiple, half.multiple) == (32, 64) and half.scales == (8, 4, 2)
    a, b = frames(2, 64, 64)
    index = torch.full((1, 1, 64, 64), 0.5)
    assert not torch.allclose(whole(a, b, index).flows[-1], half(a, b, index).flows[-1])
