"""Denoiser of a long clip: the estimates of its windows, averaged.

    D(x) = sum over windows of weight * D_window(x)

One step is taken on the whole clip, so the noise of a frame is the same in every window. A segment is conditioned on
its two keyframes. A window centred on a keyframe has none at its ends; it is conditioned on what the segments have just
made of those frames, at this very step, with no more contrast than keyframes have. Windows go through the UNet one
after another: memory is that of the longest. Above CENTRED_BELOW only the segments do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gen_inbetween.diffusion.edm import FRAME, Denoised
from gen_inbetween.diffusion.windows.layout import CENTRED_BELOW, segment_weights

if TYPE_CHECKING:
    from gen_inbetween.diffusion.fusion import FusedDenoiser, MotionDenoiser
    from gen_inbetween.diffusion.windows.layout import Window


@dataclass
class WindowedDenoiser:
    """`denoise(x, sigma)` of a clip of any length; x is (pair, frame, channel, height, width).

    denoisers: of each window, conditioned on its keyframes; a centred one's latents are replaced at every call.
    windows, weights: see `layout`; segments come first.
    scaling_factor: the VAE's.
    flipped: x runs backwards, and so do the denoisers; windows and weights are in forward order.
    """

    denoisers: Sequence[FusedDenoiser | MotionDenoiser]
    windows: Sequence[Window]
    weights: Sequence[Tensor]
    scaling_factor: float
    flipped: bool = False
    _contrasts: dict[int, Tensor] = field(default_factory=dict, init=False, repr=False)

    @property
    def passes(self) -> int:
        return sum(denoiser.passes for denoiser in self.denoisers)

    @property
    def guidance(self) -> Tensor:
        return self.denoisers[0].guidance

    def disagreement(self) -> float:
        """The mean of its windows', of fused denoisers."""
        fused: Sequence[Any] = self.denoisers
        return sum(denoiser.disagreement() for denoiser in fused) / len(fused)

    def __call__(self, x: Tensor, sigma: Tensor) -> Denoised:
        """The clean clip as all windows see it."""
        x = x.flip(FRAME) if self.flipped else x
        guided, uncond = torch.zeros_like(x), torch.zeros_like(x)
        segments = torch.zeros_like(x)  # a keyframe shared by two: the later's
        complete = True
        late = float(sigma) <= CENTRED_BELOW
        weights = self.weights if late else segment_weights(self.windows, x.shape[FRAME])
        for denoiser, window, weight in zip(self.denoisers, self.windows, weights, strict=True):
            if window.centred and not late:
                continue
            frames = list(window.frames)
            if window.centred:
                self.condition(denoiser, segments[:, frames[0]], segments[:, frames[-1]])
            part = x[:, frames]
            denoised = denoiser(part.flip(FRAME) if self.flipped else part, sigma)
            share = weight.to(x).reshape(-1, 1, 1, 1)
            ahead = denoised.guided.flip(FRAME) if self.flipped else denoised.guided
            guided[:, frames] += share * ahead
            if not window.centred:
                segments[:, frames] = ahead
            if denoised.unconditional is None:
                complete = False
                continue
            uncond[:, frames] += share * (
                denoised.unconditional.flip(FRAME) if self.flipped else denoised.unconditional
            )  # fmt: skip
        if self.flipped:
            guided, uncond = guided.flip(FRAME), uncond.flip(FRAME)
        return Denoised(guided, uncond if complete else None)

    def condition(self, denoiser: FusedDenoiser | MotionDenoiser, first: Tensor, last: Tensor) -> None:
        """Let a window start from these estimates (pair, channel, height, width), scaled as x is.

        Their contrast is at most that of the keyframes on either side: guidance has raised it, and would do so again at
        every step.
        """
        z = denoiser.keyframes.image_latents
        limits = self._contrasts.setdefault(
            id(denoiser), contrast(z[:, 1, :, 0].to(first))
        )  # of the keyframes at first
        estimates = torch.stack([first, last]) / self.scaling_factor
        mean = estimates.mean((-2, -1), keepdim=True)
        estimates = mean + (estimates - mean) * (limits / contrast(estimates)).clamp(max=1)
        estimates = estimates.unsqueeze(2).to(z.dtype)
        estimates = torch.stack([torch.zeros_like(estimates), estimates], dim=1)  # beside the unconditional half
        denoiser.keyframes = replace(denoiser.keyframes, image_latents=estimates)


def contrast(latents: Tensor) -> Tensor:
    """The deviation of each channel over the picture, (..., channel, 1, 1), above 0."""
    return latents.std((-2, -1), keepdim=True).clamp(min=1e-6)
