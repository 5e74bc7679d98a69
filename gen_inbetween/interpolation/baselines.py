"""Baseline interpolators without motion: blend and nearest.

blend     (1 - t) a + t b
nearest   a before the middle, b from the middle on
"""

from __future__ import annotations

import torch
from torch import Tensor

from gen_inbetween.interpolation.interpolator import (
    Flows,
    FrameInterpolator,
    InterpolatorInfo,
    Reference,
    Time,
    check_frames,
    check_kind,
    time_map,
)

NO_WEIGHTS = "none needed: there are no weights"


class Still(FrameInterpolator):
    """An interpolator without motion. `hard`: take the nearer frame instead of blending both."""

    def __init__(self, *, hard: bool, device: str | torch.device = "cpu") -> None:
        self.hard, self.device = hard, torch.device(device)
        name = "nearest" if hard else "blend"
        self.info = InterpolatorInfo(name, name, "-", "index", 1, NO_WEIGHTS)  # each pixel may have its own time

    def __call__(self, a: Tensor, b: Tensor, t: Time, *, ref: Reference | None = None, iters: int = 1) -> Tensor:
        """See `FrameInterpolator`."""
        check_kind(self.info.kind, t, ref, iters)
        mask = self.flows(a, b, t).mask
        return mask * a + (1 - mask) * b

    def flows(self, a: Tensor, b: Tensor, t: Time) -> Flows:
        """Zero flows, and the share of a."""
        check_frames(a, b)
        times = time_map(t, a)
        still = a.new_zeros(len(a), 2, *a.shape[-2:])
        return Flows(still, still, (times < 0.5).to(a) if self.hard else 1 - times)
