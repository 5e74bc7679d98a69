"""Moving layers: exact flows, and seeds that repeat."""

from __future__ import annotations

import pytest
import torch

from gen_inbetween.interpolation.warping import warp
from gen_inbetween.training.interpolator.moving_layers import Triplets, draw_triplets


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
