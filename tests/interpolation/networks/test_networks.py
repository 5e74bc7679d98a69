"""The networks: sizes of the published ones, what their forward passes obey, and training signals."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gen_inbetween.interpolation.networks.blocks import IFBlock
from gen_inbetween.interpolation.networks.ifnet import IFNet
from gen_inbetween.interpolation.networks.ifnet_v4 import LAYOUTS, IFNetV4, Layout
from gen_inbetween.interpolation.networks.superslomo import SuperSloMo, Unet, combine, off_grid
from gen_inbetween.interpolation.warping import warp
from gen_inbetween.interpolation.weights.detect import on_meta

TINY = {"widths": (8, 8, 4), "depth": 1, "context_width": 2}
MILLIONS = {  # published networks, without what only training uses
    "4.0-4.1": 5.16, "4.6": 5.31, "4.7-4.9": 5.33, "4.10-4.12": 5.36, "4.13-4.20, 4.24": 5.36,
    "4.15.lite-4.17.lite": 2.62,
    "4.21-4.23": 9.32, "4.22.lite": 4.87, "4.25-4.26": 5.66, "4.25.lite": 5.62, "4.25.heavy": 21.66, "4.26.heavy": 5.72,
}  # fmt: skip


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


@pytest.mark.parametrize("version", MILLIONS)
def test_every_version_4_has_the_published_size(version):
    assert millions(lambda: IFNetV4(LAYOUTS[version])) == pytest.approx(MILLIONS[version], abs=0.006)


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


def test_a_smaller_scale_asks_for_more_padding_and_fits_the_same_weights():
    whole, half = seeded(lambda: IFNet(1, **TINY)), IFNet(1, scale=0.5, **TINY).eval()
    half.load_state_dict(whole.state_dict())
    assert (whole.multiple, half.multiple) == (32, 64) and half.scales == (8, 4, 2)
    a, b = frames(2, 64, 64)
    index = torch.full((1, 1, 64, 64), 0.5)
    assert not torch.allclose(whole(a, b, index).flows[-1], half(a, b, index).flows[-1])


def narrow(version: str) -> Layout:
    """A version's layout with few channels, for tests that run it."""
    from dataclasses import replace

    layout = LAYOUTS[version]
    return replace(layout, widths=tuple(8 for _ in layout.widths), encoder_width=layout.encoder_width and 4)


@pytest.mark.parametrize("version", LAYOUTS)
def test_every_version_4_runs_at_the_smallest_size(version):
    network = seeded(lambda: IFNetV4(narrow(version)))
    a, b = frames(2, network.multiple, network.multiple)
    with torch.no_grad():
        estimate = network(a, b, torch.full_like(a[:, :1], 0.5))
    assert len(estimate.flows) == len(LAYOUTS[version].widths)
    assert estimate.frame.shape == a.shape and torch.isfinite(estimate.frame).all()


def test_the_mask_is_summed_up_to_version_4_6_and_replaced_from_4_7_on():
    for version, summed in {"4.6": True, "4.7-4.9": False, "4.25-4.26": False}.items():
        network = seeded(lambda version=version: IFNetV4(narrow(version)))
        last = network.get_submodule(f"block{len(network.layout.widths) - 1}")
        nn.init.zeros_(last.lastconv[0].weight)
        nn.init.zeros_(last.lastconv[0].bias)
        a, b = frames(2, network.multiple, network.multiple)
        masks = network(a, b, torch.full_like(a[:, :1], 0.5)).masks
        assert torch.equal(masks[-1], masks[-2]) is summed
        if not summed:
            assert torch.equal(masks[-1], torch.full_like(masks[-1], 0.5))


def test_version_4_0_starts_again_at_twice_the_scales_for_far_samples_only():
    network = seeded(lambda: IFNetV4(narrow("4.0-4.1")))
    a, b = torch.cat(frames(2, 64, 64, 1)), torch.cat(frames(2, 64, 64, 2))
    index = torch.full((2, 1, 64, 64), 0.5)
    near = network(a, b, index)

    def push_first_sample(module: nn.Module, given: object, out: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        flow = out[0].clone()
        if len(flow) == 2:
            flow[0] += 40.0
        return flow, *out[1:]

    handle = network.block1.register_forward_hook(push_first_sample)
    with torch.no_grad():
        far = network(a, b, index)
    handle.remove()
    network.scales = tuple(2 * scale for scale in network.scales)
    doubled = network(a[:1], b[:1], index[:1])
    torch.testing.assert_close(far.frame[:1], doubled.frame)
    torch.testing.assert_close(far.flows[2][:1], doubled.flows[2])
    torch.testing.assert_close(far.frame[1:], near.frame[1:])


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
