"""The losses of training: what they are zero for, what they measure, and where their gradients go."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from gen_inbetween.interpolation.networks.estimate import Estimate, Teacher
from gen_inbetween.interpolation.networks.ifnet import IFNet
from gen_inbetween.interpolation.networks.superslomo import SuperSloMo
from gen_inbetween.training.interpolator import losses


def frames(count: int, size: int = 32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(2, 3, size, size, generator=generator) for _ in range(count)]


def estimate_of(merged: Tensor, flow: float, teacher: Teacher | None = None) -> Estimate:
    flows = torch.full((2, 4, *merged.shape[-2:]), flow)
    return Estimate(merged, [flows], [flows[:, :1]], [merged], teacher)


def blurred(image: Tensor) -> Tensor:
    """The 5 x 5 binomial filter pixel by pixel, edges reflected."""
    height, width = image.shape[-2:]
    image = functional.pad(image, (2, 2, 2, 2), mode="reflect")
    weights = (1, 4, 6, 4, 1)
    shifted = ((y, x, image[..., y : y + height, x : x + width]) for y in range(5) for x in range(5))
    return sum(weights[y] * weights[x] / 256 * part for y, x, part in shifted)


@pytest.mark.parametrize("size", [(64, 64), (40, 23), (8, 8)])
def test_the_bands_add_up_to_the_image(size):
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    bands = losses.laplacian_pyramid(image)
    total = bands.pop()
    while bands:
        spread = torch.zeros_like(bands[-1])
        spread[..., ::2, ::2] = 4 * total
        total = bands.pop() + blurred(spread)
    torch.testing.assert_close(total, image)


def test_a_band_is_the_image_less_its_binomial_blur():
    """Five-tap filter 1 4 6 4 1 over 16, once per direction; on a smooth ramp nothing is left but the borders."""
    ramp = torch.arange(64.0).view(1, 1, 1, 64).expand(1, 1, 64, 64) / 64
    fine = losses.laplacian_pyramid(ramp)[0]
    torch.testing.assert_close(fine[..., 8:-8, 8:-8], torch.zeros(1, 1, 48, 48), atol=1e-5, rtol=0)
    point = torch.zeros(1, 1, 17, 17)
    point[..., 8, 8] = 1.0
    kernel = torch.tensor([1.0, 4, 6, 4, 1]) / 16
    coarse = losses.laplacian_pyramid(point, levels=1)[1]  # every other pixel of the blur
    torch.testing.assert_close(coarse[0, 0, 3:6, 3:6], (kernel[:, None] * kernel)[::2, ::2])


def test_another_brightness_costs_as_much_as_it_differs():
    """What RIFE's own pyramid, which drops the rest, does not see."""
    image, _ = frames(2, 64)
    assert float(losses.laplacian(image, image)) == 0
    assert float(losses.laplacian(image, image + 0.25)) == pytest.approx(0.25, rel=1e-3)
    without_rest = sum(float(band.abs().mean()) for band in losses.laplacian_pyramid(torch.full_like(image, 0.25))[:-1])
    assert without_rest < 1e-5


def test_a_student_follows_a_better_teacher_only():
    truth, bad = frames(2)
    teacher = Teacher(torch.full((2, 4, 32, 32), 3.0), truth)
    assert float(losses.distillation(estimate_of(bad, 1.0, teacher), truth)) == pytest.approx(2.0, rel=0.05)
    assert float(losses.distillation(estimate_of(truth + 0.005, 1.0, teacher), truth)) == 0
    worse = Teacher(torch.full((2, 4, 32, 32), 3.0), bad)
    assert float(losses.distillation(estimate_of(truth, 1.0, worse), truth)) == 0
    with pytest.raises(ValueError, match="teacher=True"):
        losses.distillation(estimate_of(bad, 1.0), truth)


def test_distillation_teaches_the_blocks_and_not_the_teacher():
    torch.manual_seed(0)
    network = IFNet(1, widths=(8, 8, 4), depth=1, context_width=2, teacher=True)
    a, b, target = frames(3)
    estimate = network(a, b, torch.full((2, 1, 32, 32), 0.5), target)
    estimate = replace(estimate, teacher=Teacher(estimate.teacher.flow + 1, target + 0 * estimate.teacher.merged))
    losses.distillation(estimate, target).backward()
    assert network.block0.conv0[0][0].weight.grad.abs().sum() > 0
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in network.block_tea.parameters())


def test_equal_flows_have_a_finite_gradient():
    truth, bad = frames(2)
    flow = torch.ones(2, 4, 32, 32, requires_grad=True)
    estimate = Estimate(bad, [flow], [flow[:, :1]], [bad], Teacher(torch.ones(2, 4, 32, 32), truth))
    losses.distillation(estimate, truth).backward()
    assert torch.isfinite(flow.grad).all()


def test_rife_learns_one_pair():
    torch.manual_seed(0)
    network = IFNet(1, widths=(16, 12, 8), depth=2, context_width=4, teacher=True)
    a = torch.rand(1, 3, 8, 8)
    a = torch.nn.functional.interpolate(a, scale_factor=4, mode="bilinear")
    b, target = torch.roll(a, 4, 3), torch.roll(a, 2, 3)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    history = []
    for _ in range(8):
        loss = losses.rife_loss(network(a, b, torch.full((1, 1, 32, 32), 0.5), target), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(float(loss.detach()))
    assert history[-1] < 0.9 * history[0]
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_smoothness_is_the_total_variation():
    flow = torch.zeros(1, 2, 8, 8)
    assert float(losses.smoothness(flow + 5)) == 0
    flow[..., 4:] = 7.0  # one step of 7 among seven to the right
    assert float(losses.smoothness(flow)) == pytest.approx(1.0)
    assert float(losses.smoothness(flow.transpose(2, 3))) == pytest.approx(1.0)


def test_exact_flows_leave_no_warping_error():
    wide = torch.rand(1, 3, 16, 40, generator=torch.Generator().manual_seed(0))
    a, target, b = wide[..., 8:32], wide[..., 6:30], wide[..., 4:28]  # the content moves two pixels to the right, twice
    flow = torch.zeros(1, 4, 16, 24)
    flow[:, 0], flow[:, 2] = -2.0, 2.0
    between = 2 * torch.stack([flow[:, 2], flow[:, 3], flow[:, 0], flow[:, 1]], 1)
    estimate = Estimate(target, [flow, flow], [flow[:, :1]], [target], between=between)
    exact = float(losses.warping_error(a, b, estimate, target))
    opposite = replace(estimate, flows=[-flow, -flow], between=-between)
    assert exact < 0.35 * float(losses.warping_error(a, b, opposite, target))  # the rest is what enters at the borders
    with pytest.raises(ValueError, match="Super SloMo"):
        losses.warping_error(a, b, replace(estimate, between=None), target)


def test_super_slomo_learns_from_every_term():
    torch.manual_seed(0)
    network = SuperSloMo(widths=(4, 4, 4))
    a, b, target = frames(3)
    estimate = network(a, b, torch.full((2, 1, 32, 32), 0.25))
    plain = losses.super_slomo_loss(a, b, estimate, target)
    perceptual = losses.super_slomo_loss(a, b, estimate, target, features=lambda image: image * 1000)
    more = losses.PERCEPTUAL * 1e6 * float((estimate.frame - target).detach().square().mean())
    assert float((perceptual - plain).detach()) == pytest.approx(more, rel=1e-3)
    plain.backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    ideal = Estimate(target, [torch.zeros(2, 4, 32, 32)], [], [], between=torch.zeros(2, 4, 32, 32))
    assert float(losses.super_slomo_loss(target, target, ideal, target)) < 1e-3


def test_flow_error_counts_known_pixels_only():
    flow, truth = torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 4, 4)
    truth[..., 2:] = 5.0
    known = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    known[..., :2] = True
    assert float(losses.flow_error(flow, truth)) == pytest.approx(3.0)
    assert float(losses.flow_error(flow, truth, known)) == pytest.approx(1.0)
    assert float(losses.flow_error(flow, truth, known & False)) == 0
