"""A network as an interpolator: checks, padding, the index input, steps along references, cropping.

A reference network at t takes `iters` steps (InterpAny-Clearer, section 3.2): with D the index map,
    I_i = f(a, b, [D_i, D_{i-1}, I_{i-1}]),    D_i = D_ref + (D - D_ref) i / N,    I_0 = a with D_ref = 0 unless given
"""

from __future__ import annotations

import torch
from torch import Tensor, cat
from torch.nn import functional

from gen_inbetween.interpolation.interpolator import (
    Flows,
    InterpolatorError,
    InterpolatorInfo,
    Kind,
    Reference,
    Time,
    check_frames,
    check_kind,
    padding_to,
    time_map,
)
from gen_inbetween.interpolation.midpoints import batch_by_halving
from gen_inbetween.interpolation.networks.estimate import Estimate, InterpolationNetwork


class NetworkInterpolator:
    """A `FrameInterpolator` over a network. info: what it is; device: where its weights are."""

    def __init__(self, network: InterpolationNetwork, info: InterpolatorInfo, device: torch.device) -> None:
        self.network, self.info, self.device = network, info, device
        self.kind: Kind = info.kind
        self.multiple: int = info.multiple

    def __repr__(self) -> str:
        return f"NetworkInterpolator({self.info.architecture} {self.info.version}, {self.kind}, on {self.device})"

    @torch.no_grad()
    def __call__(self, a: Tensor, b: Tensor, t: Time, *, ref: Reference | None = None, iters: int = 1) -> Tensor:
        """See `FrameInterpolator`."""
        check_frames(a, b)
        check_kind(self.kind, t, ref, iters)
        times = time_map(t, a)
        if self.kind == "midpoint":
            return self._halved(a, b, times)
        height, width = a.shape[-2:]
        return self._estimate(a, b, times, ref, iters).frame[..., :height, :width]

    @torch.no_grad()
    def flows(self, a: Tensor, b: Tensor, t: Time) -> Flows:
        """See `FrameInterpolator`."""
        check_frames(a, b)
        check_kind(self.kind, t, None, 1)
        times = time_map(t, a)
        if self.kind == "midpoint" and bool((times != 0.5).any()):
            raise InterpolatorError(f"{self.info.version} knows the flows at t = 0.5 only; ask for those")
        height, width = a.shape[-2:]
        estimate = self._estimate(a, b, times, None, 1)
        flow, mask = estimate.flows[-1][..., :height, :width], estimate.masks[-1][..., :height, :width]
        return Flows(flow[:, :2], flow[:, 2:], mask)

    def _halved(self, a: Tensor, b: Tensor, times: Tensor) -> Tensor:
        def middle(a: Tensor, b: Tensor) -> Tensor:
            half = torch.full_like(a[:, :1], 0.5)
            return self._estimate(a, b, half, None, 1).frame[..., : a.shape[2], : a.shape[3]]

        return batch_by_halving(middle, a, b, times[:, 0, 0, 0].tolist())  # of this kind no map has passed the check

    def _estimate(self, a: Tensor, b: Tensor, times: Tensor, ref: Reference | None, iters: int) -> Estimate:
        """The last step's estimate, at the padded size."""
        padding = padding_to((a.shape[2], a.shape[3]), self.multiple)
        start, start_times = (a, 0.0) if ref is None else ref
        if ref is not None:
            check_frames(a, start)
        from_times = functional.pad(time_map(start_times, a, name="the time of ref"), padding, mode="replicate")
        # Zeros, as RIFE pads; a map goes on as it ends, so that one number stays one number.
        a, b, known = (functional.pad(image, padding) for image in (a, b, start))
        times = functional.pad(times, padding, mode="replicate")
        if not self.network.index_channels:
            return self.network(a, b, None)
        if self.network.index_channels == 1:
            return self.network(a, b, times)
        now = from_times
        for step in range(1, iters + 1):
            then, now = now, from_times + (times - from_times) * (step / iters)
            estimate = self.network(a, b, cat((now, then, known), 1))
            known = estimate.frame
        return estimate
