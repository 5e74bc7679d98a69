"""tiny-di: carrying, its estimate, and the bundled weights."""

from __future__ import annotations

import pytest
import torch
from interpolation_cases import psnr
from torch import Tensor

from gen_inbetween.interpolation import InterpolatorInfo, load_interpolator
from gen_inbetween.interpolation.networks.adapter import NetworkInterpolator
from gen_inbetween.interpolation.networks.estimate import Matches
from gen_inbetween.interpolation.networks.tiny_di import TinyDI, carry
from gen_inbetween.training.interpolator.losses import tiny_di_loss
from gen_inbetween.training.interpolator.moving_layers import Triplets, draw_triplets

TINY = {"widths": (8, 8), "depth": 1, "matching_width": 8, "context_width": 2}


@pytest.fixture(scope="module")
def triplets() -> Triplets:
    return draw_triplets(torch.Generator().manual_seed(0), 8, 64, reach=0.3)


def certain(flow: Tensor) -> Matches:
    return Matches(flow, torch.ones_like(flow[:, :1]), None)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_carrying_puts_each_thing_where_its_index_says(share: float) -> None:
    shift = torch.tensor([4.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 16, 16)
    flow, certainty = carry(certain(shift), certain(-shift), torch.full((1, 1, 16, 16), share))
    inner = flow[..., 5:-5]
    assert torch.allclose(inner[:, 0], torch.full_like(inner[:, 0], -4 * share), atol=1e-3)
    assert torch.allclose(inner[:, 2], torch.full_like(inner[:, 2], 4 * (1 - share)), atol=1e-3)
    assert certainty.shape == (1, 1, 16, 16)


def test_carrying_fills_what_nothing_reaches() -> None:
    apart = torch.zeros(1, 2, 16, 16)
    apart[:, 0, :, 8:] = 6.0  # the right half leaves, a gap opens in the middle
    nothing = Matches(torch.full((1, 2, 16, 16), 99.0), torch.zeros(1, 1, 16, 16), None)
    flow, certainty = carry(certain(apart), nothing, torch.ones(1, 1, 16, 16))
    gap = certainty[0, 0, :, 9:13]
    assert gap.max() < 0.01 < certainty[0, 0, :, :7].min()
    assert flow.isfinite().all() and (flow[0, 0, :, 9:13] <= 0).all() and (flow[0, 0, :, 9:13] >= -6).all()


@pytest.mark.parametrize("size", [(32, 32), (64, 48), (368, 368), (16, 400)])
def test_every_tensor_of_the_estimate_has_the_size_of_the_frames(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = TinyDI(**TINY).eval()
    a, b = torch.rand(2, 1, 3, *size).unbind(0)
    with torch.no_grad():
        estimate = network(a, b, torch.cat((torch.full((1, 2, *size), 0.5), a), 1))
    assert estimate.frame.shape == a.shape
    assert {x.shape for x in estimate.flows} == {(1, 4, *size)} and {x.shape for x in estimate.masks} == {(1, 1, *size)}
    # What was carried, block0, block1; and block1 once more where the frame is too large to be matched whole.
    assert len(estimate.flows) == (4 if size == (368, 368) else 3)


def test_the_matches_of_a_pair_are_found_once_and_serve_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = TinyDI(**TINY).eval()
    interpolator = NetworkInterpolator(
        network, InterpolatorInfo("tiny", "tiny-di", "tiny", "index+ref", network.multiple, "none"), torch.device("cpu")
    )
    a, b = torch.rand(2, 1, 3, 36, 40).unbind(0)
    alone = [interpolator(a, b, t, iters=2) for t in (0.25, 0.75)]
    forwards = []
    network.matching.register_forward_hook(lambda *call: forwards.append(call))
    pair = interpolator.pair(a, b)
    together = [pair.at(t, iters=2) for t in (0.25, 0.75)]
    pair.flows(0.5)
    assert len(forwards) == 1 and all(map(torch.equal, together, alone))


@pytest.mark.parametrize("size", [(64, 48), (368, 368), (16, 400)])
def test_frames_are_drawn_as_the_whole_estimate_has_them(size: tuple[int, int]) -> None:
    """The fast way, every block at its own scale, against the plain one at full size; the weights are the bundled."""
    network = load_interpolator("tiny-di").network
    small = torch.rand(2, 1, 3, size[0] // 8, size[1] // 8, generator=torch.Generator().manual_seed(0))
    a, b = (torch.nn.functional.interpolate(frame, size, mode="bicubic").clamp(0, 1) for frame in small)
    times = torch.linspace(0.2, 0.8, size[1]).expand(1, 1, *size)  # a map: no number hides what it does to one
    index = torch.cat((times, torch.zeros_like(times), a), 1)
    with torch.no_grad():
        whole = network(a, b, index)
        drawn = network(a, b, index, **network.prepare(a, b))
    apart = (whole.frame - drawn.frame).abs()
    assert apart.mean() < 0.02 / 255 and apart.max() < 2 / 255
    assert (whole.flows[-1] - drawn.flows[-1]).abs().mean() < 0.01
    assert (whole.masks[-1] - drawn.masks[-1]).abs().mean() < 1e-3


def test_a_few_steps_of_training_bring_the_loss_down(triplets: Triplets) -> None:
    torch.manual_seed(0)
    network = TinyDI(**TINY)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    index = torch.cat((triplets.index, triplets.reference_index, triplets.reference), 1)
    losses = []
    for _ in range(12):
        estimate = network(triplets.a, triplets.b, index)
        loss = tiny_di_loss(estimate, triplets.target, triplets.flow, triplets.between, triplets.seen_between)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(weight.grad is not None for weight in network.parameters())


class TestTheBundledOne:
    def test_it_is_small_and_says_what_it_is(self) -> None:
        info = load_interpolator("tiny-di").info
        assert info.architecture == "tiny-di" and info.kind == "index+ref" and 0.4e6 < info.parameters < 0.7e6

    def test_it_beats_the_cross_fade_by_two_decibels_at_uniform_speed(self) -> None:
        interpolator = load_interpolator("tiny-di")
        found, blend = [], []
        triplets = draw_triplets(torch.Generator().manual_seed(123), 24, 64, reach=0.25, uniform=1.0)
        for i in range(24):
            a, b, target = (x[i : i + 1] for x in (triplets.a, triplets.b, triplets.target))
            t = float(triplets.time[i])
            found.append(psnr(interpolator(a, b, t), target))
            blend.append(psnr((1 - t) * a + t * b, target))
        assert sum(found) / 24 > sum(blend) / 24 + 2
