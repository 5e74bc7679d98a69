"""Carried motion and the interpolators over it: exact shifts, ends, occlusion, time maps, large frames, the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, shift
from torch import Tensor

from gen_inbetween.interpolation import InterpolatorInfo, carried_interpolator, load_interpolator
from gen_inbetween.interpolation.carried_interpolator import CarriedInterpolator, blended, classical_interpolator
from gen_inbetween.interpolation.carried_motion import (
    Carried,
    box_mean,
    carried_to,
    classical_shares,
    mixed,
    pair_motion,
)
from gen_inbetween.interpolation.networks.motion_refinement import MULTIPLE, Refinement
from gen_inbetween.interpolation.warping import warp


def texture(height: int = 64, width: int = 96, seed: int = 0) -> np.ndarray:
    """(3, H, W) in [0, 1] with detail from two pixels on."""
    noise = np.random.default_rng(seed).standard_normal((3, height, width))
    image = gaussian_filter(noise, (0, 1, 1)) * 2 + gaussian_filter(noise, (0, 4, 4)) * 8
    return np.clip(0.5 + 0.15 * image, 0, 1)


def panned(pixels: float, **sizes: int) -> Tensor:
    """(1, 3, H, W): the texture moved to the right."""
    moved = shift(texture(**sizes), (0, 0, pixels), order=5, mode="mirror")
    return torch.from_numpy(moved.clip(0, 1)).float()[None]


def psnr(image: Tensor, truth: Tensor) -> float:
    return float(-10 * (image - truth)[..., 8:-8, 16:-16].square().mean().log10())


def energy(image: Tensor) -> float:
    return float(image[..., 8:-8, 16:-16].diff(dim=-1).square().sum())


def with_network(refinement: Refinement) -> CarriedInterpolator:
    info = InterpolatorInfo("net", "-", "-", "index", MULTIPLE, "none")
    return CarriedInterpolator(info, "cpu", refinement.eval())


def test_constant_flow_is_carried_as_it_is() -> None:
    a, b = panned(0), panned(6)
    flow = torch.tensor((6.0, 0.0)).view(1, 2, 1, 1).expand(1, 2, 64, 96)
    carried = carried_to(pair_motion(a, b, flow, -flow), torch.full((1, 1, 64, 96), 0.25))
    torch.testing.assert_close(carried.motion, flow)
    torch.testing.assert_close(carried.to0, -0.25 * flow)
    torch.testing.assert_close(carried.to1, 0.75 * flow)
    inner = carried.share0[..., 8:-8]
    torch.testing.assert_close(inner, torch.full_like(inner, 0.75))


def test_a_vector_that_explains_nothing_loses_to_one_that_does() -> None:
    a, b = panned(0), panned(6)
    flow = torch.tensor((6.0, 0.0)).view(1, 2, 1, 1).repeat(1, 1, 64, 96)
    wrong = flow.clone()
    wrong[..., 20:40, 30:60] = 25.0
    carried = carried_to(pair_motion(a, b, wrong, -flow), torch.full((1, 1, 64, 96), 0.5))
    assert float((carried.motion - flow)[..., 8:-8, 10:-10].norm(dim=1).quantile(0.98)) < 2.5


def test_a_pan_by_parts_of_pixels_stays_sharp_and_near() -> None:
    a, truth, b = panned(0), panned(1.25), panned(2.5)
    bicubic, bilinear = (load_interpolator(name)(a, b, 0.5) for name in ("dis-splat", "dis"))
    assert psnr(bicubic, truth) > psnr(bilinear, truth) + 3
    assert energy(bilinear) < 0.85 * energy(truth) < 0.95 * energy(truth) < energy(bicubic) < 1.05 * energy(truth)


def test_ends_are_the_frames_and_time_is_symmetric() -> None:
    a, b = panned(0), panned(5)
    interpolator = classical_interpolator()
    assert psnr(interpolator(a, b, 0.0), a) > 60 and psnr(interpolator(a, b, 1.0), b) > 60
    assert psnr(interpolator(a, b, 0.3), interpolator(b, a, 0.7)) > 40
    torch.testing.assert_close(interpolator(a, a, 0.4), a, atol=2e-3, rtol=0)


def test_a_map_holds_one_half_and_moves_the_other() -> None:
    a, b = panned(0), panned(6)
    times = torch.zeros(1, 1, 64, 96)
    times[..., 48:] = 1.0
    frame = classical_interpolator()(a, b, times)
    left, right = slice(16, 40), slice(60, 80)  # of columns; the two meet between them
    assert float((frame - a)[..., left].abs().mean()) < 0.01 and float((frame - b)[..., right].abs().mean()) < 0.01
    assert float((a - b)[..., right].abs().mean()) > 0.05


def test_shares_fade_only_where_the_warped_frames_differ() -> None:
    a = torch.full((1, 3, 32, 32), 0.2)
    other = a.clone()
    other[..., 16:] = 0.8
    one, times = torch.ones(1, 1, 32, 32), torch.full((1, 1, 32, 32), 0.25)
    shares = classical_shares(Carried(torch.zeros(1, 2, 32, 32), times, one, one, one), a, other)
    torch.testing.assert_close(shares.sum(1), torch.ones(1, 32, 32))
    torch.testing.assert_close(shares[0, :, 16, 4], torch.tensor((0.75, 0.25, 0.0, 0.0)))
    torch.testing.assert_close(shares[0, :, 16, 28], torch.tensor((0.375, 0.125, 0.375, 0.125)))
    torch.testing.assert_close(mixed(shares, (a, a, a, a)), a)


def test_what_is_hidden_in_one_frame_comes_from_the_other() -> None:
    """A disc in front of a background that stands still: what it uncovers is seen in b only."""
    y, x = np.mgrid[:64, :96]
    back, front = texture(), 0.5 + 0.5 * (1 - texture(seed=5))

    def at(left: float) -> Tensor:
        inside = ((x - left) ** 2 + (y - 32) ** 2 < 14**2)[None]
        return torch.from_numpy(np.where(inside, np.roll(front, round(left), 2), back)).float()[None]

    a, truth, b = at(40), at(44), at(48)
    splatted = load_interpolator("dis-splat")(a, b, 0.5)
    assert psnr(splatted, truth) > psnr(load_interpolator("blend")(a, b, 0.5), truth) + 4


@pytest.mark.parametrize("width", [90, 97])
def test_large_frames_are_estimated_at_half_of_the_size(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    a, truth, b = (panned(pixels, width=width) for pixels in (0, 3, 6))
    small = classical_interpolator()(a, b, 0.5)
    monkeypatch.setattr(carried_interpolator, "LARGE", 64)
    seen: list[tuple[int, ...]] = []
    flow = carried_interpolator.dis_flow
    monkeypatch.setattr(carried_interpolator, "dis_flow", lambda a, b: seen.append(tuple(a.shape[-2:])) or flow(a, b))
    interpolator = classical_interpolator()
    large = interpolator(a, b, 0.5)
    assert large.shape == a.shape and seen == [(32, (width + 1) // 2)] * 2
    assert psnr(large, truth) > 35 and abs(psnr(large, truth) - psnr(small, truth)) < 6
    motion = interpolator.flows(a, b, 0.5)
    assert float(motion.to1[:, 0, 16:-16, 24:-24].median()) == pytest.approx(3, abs=0.1)


def test_the_network_starts_as_the_classical_blend() -> None:
    a, b = panned(0), panned(5)
    assert a.shape[-2] % MULTIPLE == a.shape[-1] % MULTIPLE == 0
    apart = with_network(Refinement())(a, b, 0.3) - classical_interpolator()(a, b, 0.3)
    assert float(apart.abs().max()) < 0.02  # it keeps a thousandth of each source


def test_the_network_draws_no_colour_that_neither_frame_has() -> None:
    torch.manual_seed(0)
    network = Refinement()
    torch.nn.init.normal_(network.head[-1].weight, std=0.5)
    a, b = torch.full((1, 3, 32, 64), 0.25), torch.full((1, 3, 32, 64), 0.5)
    frame = with_network(network)(a, b, 0.5)
    assert 0.25 - 1e-5 <= float(frame.min()) and float(frame.max()) <= 0.5 + 1e-5
    flows = with_network(network).flows(a, b, 0.5)
    assert float(flows.to0.std()) > 0 and 0 <= float(flows.mask.min()) and float(flows.mask.max()) <= 1


def test_bicubic_lookup_is_exact_at_pixels_and_keeps_texture_between() -> None:
    frame = panned(0)
    flow = torch.zeros(1, 2, 64, 96)
    torch.testing.assert_close(warp(frame, flow, mode="bicubic"), frame, atol=1e-4, rtol=0)
    flow[:, 0] = 0.5
    assert energy(warp(frame, flow)) < 0.85 * energy(warp(frame, flow, mode="bicubic"))


def test_the_short_form_of_the_blend_is_the_sum_of_four_sources() -> None:
    a, b = panned(0), panned(5)
    generator = torch.Generator().manual_seed(0)
    motion, times = torch.randn(1, 2, 64, 96, generator=generator) * 3, torch.rand(1, 1, 64, 96, generator=generator)
    trust0, trust1 = torch.rand(2, 1, 1, 64, 96, generator=generator)
    carried = Carried(motion, times, trust0, trust1, torch.ones_like(times))
    warped = warp(a, carried.to0, mode="bicubic"), warp(b, carried.to1, mode="bicubic")
    expected = mixed(classical_shares(carried, *warped), (*warped, a, b))
    torch.testing.assert_close(blended(a, b, carried), expected, atol=1e-5, rtol=0)


def test_opencv_takes_the_means_that_torch_takes() -> None:
    image = panned(0)[:, :2].clone()
    torch.testing.assert_close(box_mean(image, 3), box_mean(image.requires_grad_(), 3), atol=1e-6, rtol=0)
