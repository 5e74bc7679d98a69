"""What is kept of a clip: exact at its ends, linear between, in its range of noise only; what is amiss is refused."""

from __future__ import annotations

import pytest
import torch

from gen_inbetween.diffusion.holds import Holds, apply_holds


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_strength_one_replaces_bit_for_bit_and_zero_leaves():
    denoised, kept = noise(2, 5, 4, 3, 3), 1000 * noise(2, 5, 4, 3, 3, seed=1)
    strength = torch.zeros(5, 3, 3)
    strength[1], strength[2, 0, 0], strength[3] = 1, 1, 0.25
    out = Holds(kept, strength)(denoised, 1.0)
    assert torch.equal(out[:, 1], kept[:, 1]) and torch.equal(out[:, [0, 4]], denoised[:, [0, 4]])
    assert torch.equal(out[:, 2, :, 0, 0], kept[:, 2, :, 0, 0]) and torch.equal(out[:, 2, :, 1:], denoised[:, 2, :, 1:])
    torch.testing.assert_close(out[:, 3], denoised[:, 3] + 0.25 * (kept[:, 3] - denoised[:, 3]))


def test_a_pinned_frame_is_what_putting_it_there_gives():
    denoised, first, last = noise(1, 6, 4, 8, 8), 3 * noise(1, 4, 8, 8, seed=1), 3 * noise(1, 4, 8, 8, seed=2)
    wanted = denoised.clone()
    wanted[:, 0], wanted[:, -1] = first, last
    holds = Holds.of_frames({0: first, -1: last}, 6)
    assert torch.equal(holds(denoised, 700.0), wanted)
    assert torch.equal(holds.flip()(denoised.flip(1), 700.0), wanted.flip(1))
    wanted[:, 0] = denoised[:, 0]
    assert torch.equal(holds.without_frame(0)(denoised, 700.0), wanted)


def test_it_holds_in_its_range_of_noise_only():
    denoised, kept = noise(1, 3, 2, 2, 2), noise(1, 3, 2, 2, 2, seed=1)
    hold = Holds(kept, torch.ones(3, 2, 2), (0.5, 20.0))
    assert all(torch.equal(hold(denoised, sigma), kept) for sigma in (0.5, torch.tensor(20.0)))
    assert all(torch.equal(hold(denoised, sigma), denoised) for sigma in (0.49, torch.tensor(20.5)))


def test_a_later_one_has_the_last_word():
    denoised = noise(1, 3, 2, 2, 2)
    holds = [Holds(torch.full_like(denoised, value), torch.full((3, 2, 2), 0.5)) for value in (1.0, 3.0)]
    torch.testing.assert_close(apply_holds(holds, denoised, 1.0), denoised / 4 + 1.75)
    assert apply_holds((), denoised, 1.0) is denoised


@pytest.mark.parametrize(
    ("latents", "strength", "message"),
    [
        (noise(1, 3, 2, 2, 2), torch.ones(3, 2, 3), r"\(3, 2, 2\), got \(3, 2, 3\)"),
        (noise(1, 3, 2, 2, 2), torch.full((3, 2, 2), 1.5), r"in \[0, 1\], got values from 1.5"),
        (noise(1, 3, 2, 2, 2), torch.full((3, 2, 2), float("nan")), r"in \[0, 1\]"),
        (noise(1, 3, 2, 2, 2) / 0, torch.ones(3, 2, 2), "finite"),
    ],
)
def test_what_cannot_be_held_is_refused(latents, strength, message):
    with pytest.raises(ValueError, match=message):
        Holds(latents, strength)


def test_a_clip_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(1, 3, 2, 2, 2\) on a clip of \(1, 4, 2, 2, 2\)"):
        Holds(noise(1, 3, 2, 2, 2), torch.ones(3, 2, 2))(noise(1, 4, 2, 2, 2), 1.0)
