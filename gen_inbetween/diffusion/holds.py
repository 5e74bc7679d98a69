"""Holds: latents that a clip keeps, by strength, over frames and pixels.

    D <- D + strength (kept - D)          on the denoised clip, at every step whose sigma lies in the range

One mechanism for everything that is kept: pinned ends, inner keyframes, the context frames of a bridge or a loop, a
still region, the frame of a retake. The clip is noisy between the steps and D is not, so nothing has to be noised for
it; the conjugate gradient of ViBiDSampler (arXiv 2410.05651) on a mask of whole pixels comes to the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

FRAME = -4  # in (..., frame, channel, height, width)


@dataclass(frozen=True)
class Holds:
    """What is kept of a clip.

    latents: clean, scaled by the VAE's factor as the sampler holds them: (pair, frame, channel, height, width).
    strength: in [0, 1], (frame, height, width), or (pair, frame, height, width); 0 leaves the model's own, 1 replaces.
        Where it is 0 the latents are not looked at.
    sigma_range: the noise levels, both included, at which it holds.

    Raises:
        ValueError: shapes that do not belong together, a strength out of its range, latents that are not finite.
    """

    latents: Tensor
    strength: Tensor
    sigma_range: tuple[float, float] = (0.0, math.inf)

    def __post_init__(self) -> None:
        pairs, frames, _, *sides = self.latents.shape
        if tuple(self.strength.shape) not in ((frames, *sides), (pairs, frames, *sides)):
            raise ValueError(
                f"expected strength over (frame, height, width) = {(frames, *sides)}, got {tuple(self.strength.shape)}"
            )
        if not bool(((self.strength >= 0) & (self.strength <= 1)).all()):
            low, high = self.strength.min(), self.strength.max()
            raise ValueError(f"expected strength in [0, 1], got values from {low:.3g} to {high:.3g}")
        if not bool(self.latents.isfinite().all()):
            raise ValueError("expected finite latents to hold, got NaN or infinity")

    def __call__(self, denoised: Tensor, sigma: Tensor | float) -> Tensor:
        """D with what is kept in it; exact at strengths 0 and 1. `denoised` is (pair, frame, channel, height, width).

        ValueError: a clip of another shape.
        """
        if denoised.shape != self.latents.shape:
            raise ValueError(f"holds of {tuple(self.latents.shape)} on a clip of {tuple(denoised.shape)}")
        if not self.sigma_range[0] <= float(sigma) <= self.sigma_range[1]:
            return denoised
        strength = self.strength.to(denoised).unsqueeze(-3)
        # lerp is written so that it returns its second tensor itself at weight 1; D + 1 (kept - D) would round.
        return torch.where(strength > 0, torch.lerp(denoised, self.latents.to(denoised), strength), denoised)

    def flip(self) -> Holds:
        """For a clip whose time is flipped."""
        return replace(self, latents=self.latents.flip(FRAME), strength=self.strength.flip(-3))

    def without_frame(self, frame: int) -> Holds:
        """One frame let go. A direction of `vibid` is conditioned on the frame it starts from, and leaves it alone."""
        strength = self.strength.clone()
        strength[..., frame, :, :] = 0
        return replace(self, strength=strength)

    @classmethod
    def of_frames(cls, frames: dict[int, Tensor], num_frames: int, strength: dict[int, float] | None = None) -> Holds:
        """Whole frames: frame number (negative: from the end) -> latents (pair, channel, height, width).

        strength: of each; 1 where it says nothing.
        """
        first = next(iter(frames.values()))
        latents = first.new_zeros(len(first), num_frames, *first.shape[1:])
        weight = latents.new_zeros(num_frames, *first.shape[-2:])
        for frame, kept in frames.items():
            latents[:, frame] = kept
            weight[frame] = (strength or {}).get(frame, 1.0)
        return cls(latents, weight)


def apply_holds(holds: Sequence[Holds], denoised: Tensor, sigma: Tensor | float) -> Tensor:
    """Each in its turn; a later one holds what an earlier one has put there."""
    for hold in holds:
        denoised = hold(denoised, sigma)
    return denoised
