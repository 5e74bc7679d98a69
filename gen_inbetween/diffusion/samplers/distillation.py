"""Motion Prior Distillation: the forward clip, moved to the last keyframe.

Early steps follow it:

    X_k = D_k + s_k,    s_k = lambda (z_last - D_last)        x' = X + sigma' / sigma (x - D_uncond)

The paper (arXiv 2602.12679) carries the residual noise of the forward clip over to the backward path, summed up from
the last keyframe; with ordered indices that sum telescopes to the line above, one translation of the whole clip
(tests/reference.py sums it up). Only the forward motion is evaluated. Off by default, and nobody's but ours: a shift
that grows along the clip, is low-passed, falls with the noise level, or is averaged with the same from the other end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from gen_inbetween.diffusion.edm import FRAME, Denoised
from gen_inbetween.diffusion.samplers.orders import early_steps

if TYPE_CHECKING:
    from gen_inbetween.diffusion.options import SamplerOptions


@dataclass(frozen=True)
class Distillation:
    """How early steps distil.

    ends: clean, scaled latents of the keyframes, (2, pair, channel, height, width).
    steps: how many of the first steps distil. repeats: distilling evaluations of each.
    ramp: the shift grows from 0 at the first frame. blur: of the shift, in latent pixels. strength: lambda; with decay
        lambda sigma / sigma_0. symmetric: averaged with the clip made from the last keyframe.
    """

    ends: Tensor
    steps: int
    repeats: int
    ramp: bool = False
    blur: float = 0.0
    strength: float = 1.0
    decay: bool = False
    symmetric: bool = False

    @classmethod
    def of(cls, options: SamplerOptions, ends: Tensor) -> Distillation:
        """Of options that `Method.resolve` has completed."""
        assert options.num_inference_steps is not None and options.mpd_ratio is not None
        return cls(
            ends,
            steps=early_steps(options.num_inference_steps, options.mpd_ratio),
            repeats=options.mpd_repeats or 0,
            ramp=options.mpd_shift == "ramp",
            blur=options.mpd_blur or 0.0,
            strength=1.0 if options.mpd_strength is None else options.mpd_strength,
            decay=bool(options.mpd_decay),
            symmetric=bool(options.mpd_symmetric),
        )

    def distils(self, i: int, visit: int) -> bool:
        """Whether step `i` distils when it is done for the (visit + 1)th time; the last time closes it."""
        return i < self.steps and visit < self.repeats

    def shift(self, denoised: Tensor, last: Tensor, level: Tensor | float = 1.0) -> Tensor:
        """The clip (pair, frame, channel, height, width) moved so that it ends at `last` (pair, channel, ...).

        level: sigma / sigma_0, for a strength that decays.
        """
        miss = last.to(denoised) - denoised[:, -1]
        if self.blur:
            miss = blur(miss, self.blur)
        weight = torch.ones(denoised.shape[1], dtype=denoised.dtype, device=denoised.device)
        if self.ramp:
            weight = torch.linspace(0, 1, denoised.shape[1], dtype=denoised.dtype, device=denoised.device)
        weight = self.strength * weight * (level if self.decay else 1.0)
        return denoised + weight.reshape(-1, 1, 1, 1) * miss.unsqueeze(1)


def blur(pictures: Tensor, sigma: float) -> Tensor:
    """Gaussian low-pass of (pair, channel, height, width), standard deviation `sigma` in pixels, edges repeated."""
    radius = max(1, math.ceil(3 * sigma))
    at = torch.arange(-radius, radius + 1, dtype=pictures.dtype, device=pictures.device)
    kernel = torch.exp(-((at / sigma) ** 2) / 2)
    kernel = (kernel / kernel.sum()).expand(pictures.shape[1], 1, 1, -1)
    for _ in range(2):  # rows, then columns
        pictures = pictures.transpose(-1, -2)
        padded = F.pad(pictures, (radius, radius, 0, 0), mode="replicate")
        pictures = F.conv2d(padded, kernel, groups=pictures.shape[1])
    return pictures


def average_of_both(ahead: Denoised, back: Denoised) -> Denoised:
    """The mean of a forward and a backward clip, the latter in its own order of time."""
    assert ahead.unconditional is not None and back.unconditional is not None
    guided = (ahead.guided + back.guided.flip(FRAME)) / 2
    return Denoised(guided, (ahead.unconditional + back.unconditional.flip(FRAME)) / 2)
