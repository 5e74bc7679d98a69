"""Every version of RIFE 4."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gen_inbetween.interpolation.networks.ifnet_v4 import LAYOUTS, IFNetV4, Layout
from gen_inbetween.interpolation.weights.detect import on_meta

MILLIONS = {  # published networks, without what only training uses
    "4.0-4.1": 5.16, "4.6": 5.31, "4.7-4.9": 5.33, "4.10-4.12": 5.36, "4.13-4.19, 4.24": 5.36, "4.20": 15.38,
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


@pytest.mark.parametrize("version", MILLIONS)
def test_every_version_4_has_the_published_size(version):
    assert millions(lambda: IFNetV4(LAYOUTS[version])) == pytest.approx(MILLIONS[version], abs=0.006)


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
