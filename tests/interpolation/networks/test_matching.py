"""Global matching finds shifts, in parts as at once."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from gen_inbetween.interpolation.networks import matching as matching_module
from gen_inbetween.interpolation.networks.matching import Matching, cells
from gen_inbetween.interpolation.networks.tiny_di import TinyDI
from gen_inbetween.training.interpolator.losses import matching_error
from gen_inbetween.training.interpolator.moving_layers import Triplets, draw_triplets

TINY = {"widths": (8, 8), "depth": 1, "matching_width": 8, "context_width": 2}


@pytest.fixture(scope="module")
def triplets() -> Triplets:
    return draw_triplets(torch.Generator().manual_seed(0), 8, 64, reach=0.3)


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


def test_the_matching_error_is_least_for_the_true_match(triplets: Triplets) -> None:
    network = TinyDI(**TINY)
    estimate = network(triplets.a, triplets.b, torch.cat((triplets.index, triplets.index, triplets.a), 1))
    assert estimate.matches is not None
    wrong = matching_error(estimate, triplets.between + 8, triplets.seen_between)
    right = matching_error(estimate, triplets.between, triplets.seen_between)
    assert right < wrong  # untrained features tell already
    with pytest.raises(ValueError, match="expected an estimate of tiny-di"):
        matching_error(estimate.__class__(estimate.frame, [], [], []), triplets.between, triplets.seen_between)
