"""Classifier-free guidance: its shape over frames, its range of noise levels, its projection.

    D = D_uncond + g (D_cond - D_uncond)                        cfg
    D = D_cond + (g - 1) (perpendicular + eta parallel)         apg (arXiv 2410.02416)

where the difference D_cond - D_uncond of a frame is split into its part along D_cond, which saturates colours, and the
rest; before that it may take up momentum from the steps before and be cut to a largest norm. Outside its range of noise
levels (arXiv 2404.07724) D = D_cond, and the unconditional half is not computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gen_inbetween.diffusion.options import EVERYWHERE, SamplerOptions

FRAME_VALUES = (-3, -2, -1)  # (channel, height, width) of (..., frame, channel, height, width)


def guidance_scales(
    minimum: float, maximum: float, num_frames: int, fusion: str | None = None, shape: str = "ramp"
) -> Tensor:
    """Guidance on each frame, (num_frames,), in a direction's own order of time.

    "ramp" is SVD's, rising away from the keyframe; with "average" fusion both directions take the mean of the ramp and
    its flip, so a frame is guided alike by both. "triangle" has the minimum at both ends and the maximum in the middle.

    >>> guidance_scales(1, 3, 5).tolist()
    [1.0, 1.5, 2.0, 2.5, 3.0]
    >>> guidance_scales(1, 3, 5, "average").tolist()
    [2.0, 2.0, 2.0, 2.0, 2.0]
    >>> guidance_scales(1, 3, 5, shape="triangle").tolist()
    [1.0, 2.0, 3.0, 2.0, 1.0]
    """
    if shape == "triangle":
        time = torch.linspace(0, 1, num_frames, dtype=torch.float64)
        return minimum + (maximum - minimum) * (1 - (2 * time - 1).abs())
    ramp = torch.linspace(minimum, maximum, num_frames, dtype=torch.float64)
    return (ramp + ramp.flip(0)) / 2 if fusion == "average" else ramp


@dataclass(frozen=True)
class Projection:
    """Adaptive projected guidance; see the module.

    parallel: eta. norm: the largest root mean square of a frame's difference, 0 for no limit. momentum: what a step
    takes over of the running difference.
    """

    parallel: float = 0.0
    norm: float = 0.0
    momentum: float = 0.0

    def guide(self, cond: Tensor, difference: Tensor, guidance: Tensor) -> Tensor:
        """D of the conditional clip and the (running) difference, both (..., frame, channel, height, width)."""
        if self.norm:
            size = difference.square().mean(FRAME_VALUES, keepdim=True).sqrt()
            difference = difference * (self.norm / size.clamp(min=self.norm))
        energy = cond.square().sum(FRAME_VALUES, keepdim=True).clamp(min=torch.finfo(cond.dtype).tiny)
        parallel = (difference * cond).sum(FRAME_VALUES, keepdim=True) / energy * cond
        return cond + (guidance - 1) * (difference - (1 - self.parallel) * parallel)


@dataclass(frozen=True)
class GuidancePlan:
    """What of guidance does not depend on the model.

    sigma_range: the noise levels that are guided, both included.
    need_unconditional: CFG++ steps along the unconditional clip, so it is computed whatever the guidance.
    reuse: a noise level that is met again takes the unconditional clip of the first time.
    projection: None for plain guidance.
    """

    sigma_range: tuple[float, float] = (0.0, EVERYWHERE)
    need_unconditional: bool = False
    reuse: bool = False
    projection: Projection | None = None

    @classmethod
    def of(cls, options: SamplerOptions) -> GuidancePlan:
        """Of options that `Method.resolve` has completed."""
        apg = Projection(options.apg_parallel or 0.0, options.apg_norm or 0.0, options.apg_momentum or 0.0)
        highest = EVERYWHERE if options.guidance_max_sigma is None else options.guidance_max_sigma
        return cls(
            sigma_range=(options.guidance_min_sigma or 0.0, highest),
            need_unconditional=bool(options.cfg_plus_plus),
            reuse=bool(options.reuse_unconditional),
            projection=apg if options.guidance_mode == "apg" else None,
        )

    @property
    def needs_level(self) -> bool:
        """Whether the noise level decides what is done."""
        return not self.everywhere or self.reuse or (self.projection is not None and self.projection.momentum != 0)

    @property
    def everywhere(self) -> bool:
        """Whether every noise level is guided."""
        return self.sigma_range == (0.0, EVERYWHERE)

    def guides(self, sigma: float) -> bool:
        """Whether this noise level is guided."""
        return self.everywhere or self.sigma_range[0] <= sigma <= self.sigma_range[1]

    def halves(self, sigmas: Sequence[float], guided: bool) -> list[int]:
        """Guidance halves computed at each of these noise levels, in their order: 2, or 1 without the unconditional.

        guided: whether some frame has a guidance other than 1.
        """
        met: set[float] = set()
        counts = []
        for sigma in sigmas:
            needed = self.need_unconditional or (guided and self.guides(sigma))
            counts.append(2 if needed and not (self.reuse and sigma in met) else 1)
            met |= {sigma} if needed else set()
        return counts
