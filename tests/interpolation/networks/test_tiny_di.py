"""tiny-di and its parts: matching, carrying, the estimate at any size; the exact triplets it learns from."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from gen_inbetween.interpolation import InterpolatorInfo, load_interpolator
from gen_inbetween.interpolation.networks import matching as matching_module
from gen_inbetween.interpolation.networks.adapter import NetworkInterpolator
from gen_inbetween.interpolation.networks.estimate import Matches
from gen_inbetween.interpolation.networks.matching import Matching, cells
from gen_inbetween.interpolation.networks.tiny_di import TinyDI, carry
from gen_inbetween.interpolation.warping import warp
from gen_inbetween.training.interpolator.losses import matching_error, tiny_di_loss
from gen_inbetween.training.interpolator.moving_layers import Triplets, draw_triplets

TINY = {"widths": (8, 8), "depth": 1, "matching_width": 8, "context_width": 2}


def psnr(found: Tensor, truth: Tensor) -> float:
    return float(-10 * (found - truth).square().mean().log10())


@pytest.fixture(scope="module")
def triplets() -> Triplets:
    return draw_triplets(torch.Generator().manual_seed(0), 8, 64, reach=0.3)


def test_the_same_seed_draws_the_same_triplets(triplets: Triplets) -> None:
    again = draw_triplets(torch.Generator().manual_seed(0), 8, 64, reach=0.3)
    other = draw_triplets(torch.Generator().manual_seed(1), 8, 64, reach=0.3)
    assert torch.equal(again.target, triplets.target) and torch.equal(again.index, triplets.index)
    assert not torch.equal(other.target, triplets.target)


def test_exact_flows_rebuild_the_target_where_it_is_seen(triplets: Triplets) -> None:
    blend = (1 - triplets.time) * triplets.a + triplets.time * triplets.b
    for number, frame in enumerate((triplets.a, triplets.b)):
        seen = triplets.seen[:, number : number + 1]
        flow = triplets.flow[:, 2 * number : 2 * number + 2]
        away = (warp(frame, flow) - triplets.target).abs() * seen
        assert (
            away.mean() < 0.5 * ((blend - triplets.target).abs() * seen).mean()
        )  # the rest: fine grain, looked up twice
        wrong = (warp(frame, flow + 1) - triplets.target).abs() * seen
        assert away.mean() < 0.5 * wrong.mean()


def test_flows_between_the_frames_go_there_and_back(triplets: Triplets) -> None:
    there, back = triplets.between.split(2, 1)
    seen = triplets.seen_between[:, :1]
    home = there + warp(back, there)
    # Beside an edge the way back is mixed of two layers' ways by the bilinear look-up.
    assert (home.norm(dim=1, keepdim=True) * seen).flatten().quantile(0.8) < 0.5
    assert there.norm(dim=1).mean() > 1


def test_the_index_map_is_the_share_of_the_way_done(triplets: Triplets) -> None:
    """What is at x in the first frame is at x + D V_01 in the target, wherever it is seen there."""
    there = triplets.between[:, :2]
    to_target = triplets.index * there
    back = warp(triplets.flow[:, :2], to_target)
    moving = there.norm(dim=1, keepdim=True) > 4
    away = (to_target + back).norm(dim=1, keepdim=True)[moving]
    assert away.median() < 0.5
    assert 0 <= triplets.index.min() and triplets.index.max() <= 1


def test_uniform_speed_makes_the_index_the_time() -> None:
    triplets = draw_triplets(torch.Generator().manual_seed(0), 4, 32, reach=0.3, uniform=1.0)
    away = (triplets.index - triplets.time).abs()
    assert away.flatten(1).median() < 0.01  # where a thing turns, its path is not straight


def test_a_still_background_does_not_move_and_the_rest_stays() -> None:
    moving, still = (
        draw_triplets(torch.Generator().manual_seed(0), 4, 32, reach=0.3, still=share) for share in (0.0, 1.0)
    )
    at_rest = (still.between[:, :2].abs() < 1e-4).all(1)
    assert at_rest.flatten(1).float().mean(1).min() > 0.2
    assert torch.equal(moving.time, still.time) and not torch.equal(moving.b, still.b)


def test_matching_finds_a_shift_from_features_alone() -> None:
    torch.manual_seed(0)
    wide = functional.interpolate(torch.rand(1, 3, 24, 24), (96, 96), mode="bilinear")
    a, b = wide[..., 16:80, 16:80], wide[..., 16:80, 8:72]  # what is seen in a lies 8 pixels to the right in b
    matching = Matching(32)
    matching.scale.data.fill_(1e6)  # untrained features differ by little
    with torch.no_grad():
        there, back = matching(a, b)
    for matches, shift in ((there, 2.0), (back, -2.0)):
        x, y = matches.flow[0, :, 4:-4, 4:-4].flatten(1).median(1).values.tolist()
        assert x == pytest.approx(shift, abs=0.1) and y == pytest.approx(0, abs=0.1)


def test_the_prior_is_the_squared_distance_in_cells() -> None:
    matching = Matching(8)
    torch.nn.init.zeros_(matching.scale)
    frame = torch.rand(1, 3, 16, 24)
    there, _ = matching(frame, frame)
    places = cells(4, 6, frame.device)
    expected = (-matching.near * torch.cdist(places, places).square()).detach()
    assert there.logits is not None and torch.allclose(there.logits[0], expected, atol=1e-4)


def test_matching_without_gradients_finds_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching_module, "AT_ONCE", 7)
    torch.manual_seed(0)
    matching = Matching(8)
    a, b = torch.rand(2, 2, 3, 16, 24).unbind(0)
    whole = matching(a, b)
    with torch.no_grad():
        parts = matching(a, b)
    for one, other in zip(whole, parts, strict=True):
        assert other.logits is None
        assert torch.allclose(one.flow, other.flow, atol=1e-4)
        assert torch.allclose(one.certainty, other.certainty, atol=1e-6)


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


def test_the_matching_error_is_least_for_the_true_match(triplets: Triplets) -> None:
    network = TinyDI(**TINY)
    estimate = network(triplets.a, triplets.b, torch.cat((triplets.index, triplets.index, triplets.a), 1))
    assert estimate.matches is not None
    wrong = matching_error(estimate, triplets.between + 8, triplets.seen_between)
    right = matching_error(estimate, triplets.between, triplets.seen_between)
    assert right < wrong  # untrained features tell already
    with pytest.raises(ValueError, match="expected an estimate of tiny-di"):
        matching_error(estimate.__class__(estimate.frame, [], [], []), triplets.between, triplets.seen_between)


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
