"""Adapter from an interpolation network to the interface of interpolators.

It checks, pads, builds the index input, walks along references and crops.

A reference network at t takes `iters` steps (InterpAny-Clearer, section 3.2): with D the index map,
    I_i = f(a, b, [D_i, D_{i-1}, I_{i-1}]),    D_i = D_ref + (D - D_ref) i / N,    I_0 = a with D_ref = 0 unless given
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor, cat
from torch.nn import functional

from gen_inbetween.interpolation.interpolator import (
    Flows,
    InterpolatorError,
    InterpolatorInfo,
    PairedInterpolator,
    PairInterpolator,
    Reference,
    Time,
    check_frames,
    check_kind,
    padding_to,
    time_map,
)
from gen_inbetween.interpolation.networks.estimate import Estimate, InterpolationNetwork
from gen_inbetween.interpolation.recursive_midpoint import recursive_midpoint_batch

REFERENCE_CHANNELS = 5  # [D, D_ref, I_ref]: the networks that look at a reference


class NetworkInterpolator(PairedInterpolator):
    """A network as an interpolator. info: what it is; device: where its weights are."""

    def __init__(self, network: InterpolationNetwork, info: InterpolatorInfo, device: torch.device) -> None:
        self.network, self.info, self.device = network, info, device

    def __repr__(self) -> str:
        info = self.info
        return f"NetworkInterpolator({info.architecture} {info.version}, {info.kind}, on {self.device})"

    def pair(self, a: Tensor, b: Tensor) -> NetworkPair:
        """See `FrameInterpolator`."""
        check_frames(a, b)
        return NetworkPair(self.network, self, a, b)


class NetworkPair(PairInterpolator):
    """Two frames at the padded size, with what the network shares between their times once it has been needed."""

    def __init__(self, network: InterpolationNetwork, interpolator: NetworkInterpolator, a: Tensor, b: Tensor) -> None:
        super().__init__(interpolator, a, b)
        self.network, self.info = network, interpolator.info
        self.height, self.width = a.shape[-2:]
        self.padding = padding_to((self.height, self.width), self.info.multiple)
        # Zeros, as RIFE pads.
        self.padded = functional.pad(a, self.padding), functional.pad(b, self.padding)

    @cached_property
    def shared(self) -> dict[str, Any]:
        """See `InterpolationNetwork.prepare`."""
        return self.network.prepare(*self.padded)

    @torch.no_grad()
    def at(self, t: Time, *, ref: Reference | None = None, iters: int = 1) -> Tensor:
        """See `FrameInterpolator`."""
        check_kind(self.info.kind, t, ref, iters)
        times = time_map(t, self.a)
        if self.info.kind == "midpoint":  # of this kind no map has passed the check
            return recursive_midpoint_batch(self._middle, self.a, self.b, times[:, 0, 0, 0].tolist())
        return self._estimate(times, ref, iters).frame[..., : self.height, : self.width]

    @torch.no_grad()
    def flows(self, t: Time) -> Flows:
        """See `FrameInterpolator`."""
        check_kind(self.info.kind, t, None, 1)
        times = time_map(t, self.a)
        if self.info.kind == "midpoint" and bool((times != 0.5).any()):
            raise InterpolatorError(f"{self.info.version} knows the flows at t = 0.5 only; ask for those")
        estimate = self._estimate(times, None, 1)
        flow, mask = (x[..., : self.height, : self.width] for x in (estimate.flows[-1], estimate.masks[-1]))
        return Flows(flow[:, :2], flow[:, 2:], mask)

    def _middle(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = (functional.pad(frame, self.padding) for frame in (a, b))
        half = torch.full_like(a[:, :1], 0.5) if self.network.index_channels else None
        return self.network(a, b, half).frame[..., : self.height, : self.width]

    def _estimate(self, times: Tensor, ref: Reference | None, iters: int) -> Estimate:
        """The last step's estimate, at the padded size."""
        start, start_times = (self.a, 0.0) if ref is None else ref
        if ref is not None:
            check_frames(self.a, start)
        from_times = time_map(start_times, self.a, name="the time of ref")
        # A map goes on as it ends, so that one number stays one number.
        from_times, times = (functional.pad(x, self.padding, mode="replicate") for x in (from_times, times))
        if self.network.index_channels != REFERENCE_CHANNELS:
            index = times if self.network.index_channels else None
            return self.network(*self.padded, index, **self.shared)
        now, frame = from_times, functional.pad(start, self.padding)
        for step in range(1, iters + 1):
            before, now = now, from_times + (times - from_times) * (step / iters)
            estimate = self.network(*self.padded, cat((now, before, frame), 1), **self.shared)
            frame = estimate.frame
        return estimate
