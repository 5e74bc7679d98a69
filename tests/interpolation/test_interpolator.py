"""The one call of every interpolator: what it promises for any size and time, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from interpolation_cases import ALL, frames, network_interpolator

from gen_inbetween.interpolation import (
    InterpolatorError,
    load_interpolator,
)


@pytest.fixture(params=ALL, ids=str)
def interpolator(request):
    return load_interpolator(request.param) if isinstance(request.param, str) else network_interpolator(request.param)


def test_any_size_keeps_its_size_and_range(interpolator):
    for height, width in ((16, 16), (20, 33)):
        a, b = frames(2, height, width)
        frame = interpolator(a, b, 0.5)
        assert frame.shape == a.shape and frame.dtype == torch.float32 and not frame.requires_grad
        assert 0 <= frame.min() and frame.max() <= 1
        flows = interpolator.flows(a, b, 0.5)
        assert flows.to0.shape == flows.to1.shape == (1, 2, height, width) and flows.mask.shape == (1, 1, height, width)
        assert 0 <= flows.mask.min() and flows.mask.max() <= 1


def test_a_sample_does_not_depend_on_its_neighbours(interpolator):
    a, b = frames(2, batch=2)
    times = torch.tensor([0.25, 0.75])
    together = interpolator(a, b, times)
    for index in range(2):
        alone = interpolator(a[index : index + 1], b[index : index + 1], float(times[index]))
        torch.testing.assert_close(together[index : index + 1], alone, atol=1e-5, rtol=1e-4)


def test_a_number_a_vector_and_a_flat_map_are_the_same_time(interpolator):
    a, b = frames(2)
    once = interpolator(a, b, 0.3)
    torch.testing.assert_close(interpolator(a, b, torch.tensor([0.3])), once)
    if interpolator.info.kind.startswith("index"):
        torch.testing.assert_close(interpolator(a, b, torch.full((1, 1, 20, 33), 0.3)), once)


def test_wrong_frames_and_times_are_refused(interpolator):
    a, b = frames(2)
    cases = {
        "of one size": (a, b[..., 1:], 0.5),
        "at least 16": (a[..., :15], b[..., :15], 0.5),
        "float32": (a.half(), b.half(), 0.5),
        "divide 0..255 by 255": (a * 255, b, 0.5),
        r"values from nan|values from": (a / 0 * 0, b, 0.5),
        "from 0 .* to 1 .*, got 1.5": (a, b, 1.5),
        "got nan": (a, b, float("nan")),
        r"expected t as a number, as \(1,\)": (a, b, torch.zeros(2)),
    }
    for message, (first, second, t) in cases.items():
        with pytest.raises(InterpolatorError, match=message):
            interpolator(first, second, t)


def test_only_index_kinds_take_maps_and_only_reference_kinds_take_references():
    a, b = frames(2)
    uneven = torch.linspace(0, 1, 33).expand(1, 1, 20, 33)
    timed = network_interpolator(1, "time")
    with pytest.raises(InterpolatorError, match="load them with kind='index'"):
        timed(a, b, uneven)
    with pytest.raises(InterpolatorError, match="leave ref and iters alone"):
        timed(a, b, 0.5, iters=2)
    with pytest.raises(InterpolatorError, match="leave ref and iters alone"):
        load_interpolator("dis")(a, b, 0.5, ref=(a, 0.0))
    with pytest.raises(InterpolatorError, match="iters to be 1 or more"):
        network_interpolator(5)(a, b, 0.5, iters=0)
    with pytest.raises(InterpolatorError, match="t = 0.5 only"):
        network_interpolator(0).flows(a, b, 0.25)
    indexed = network_interpolator(1)
    assert not torch.equal(indexed(a, b, uneven), indexed(a, b, 0.5))
