"""DIS interpolator: classical optical flow, splatting and blending, without weights.

1. F_01, F_10        dense inverse search (Kroeger et al., ECCV 2016)
2. each flow vector is carried along itself to where it is at t, and arrives as the motion there: vectors that
   explain both frames well win over those that do not (softmax splatting, Niklaus & Liu, CVPR 2020)
3. F_t0 = -t V, F_t1 = (1 - t) V with V the motion at t; both frames are looked up there
4. a frame counts as much as its flow agrees with the way back: what is hidden in one is taken from the other

Good while things move by less than their own size; beyond that the search finds other things, and shreds remain.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from gen_inbetween.interpolation.dis_flow import grey_dis_flows, opencv
from gen_inbetween.interpolation.interpolator import (
    Flows,
    InterpolatorInfo,
    PairedInterpolator,
    PairInterpolator,
    Reference,
    Time,
    check_frames,
    check_kind,
    time_map,
)
from gen_inbetween.interpolation.warping import splat, warp

SHARPNESS = 40.0  # how fast a vector loses weight with the error it leaves, per unit of a [0, 1] signal
AGREEMENT = 2.0  # pixels between the way there and back at which a frame counts 1/e
FAINT = 1e-6  # weight below which no vector has arrived
LARGE = 640  # pixels of the longer side above which the search ends at half of the size: 33.23 dB there, 33.22 without
GREY = (0.299, 0.587, 0.114)


class DisInterpolator(PairedInterpolator):
    """OpenCV's DIS flow, on the CPU; each pixel may have its own time. ImportError: OpenCV is not installed."""

    def __init__(self, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        opencv()
        self.info = InterpolatorInfo("dis", "DIS", "OpenCV, medium preset", "index", 1, "Apache-2.0 (OpenCV)")

    def pair(self, a: Tensor, b: Tensor) -> DisPair:
        """See `FrameInterpolator`."""
        check_frames(a, b)
        return DisPair(self, a, b)


class DisPair(PairInterpolator):
    """Two frames, with the flow both ways once it has been needed."""

    @cached_property
    def both_ways(self) -> tuple[Tensor, Tensor]:
        """F_01 and F_10, (B, 2, H, W) pixels each."""
        finest = int(max(self.a.shape[-2:]) > LARGE)
        return dis_flow(self.a, self.b, finest), dis_flow(self.b, self.a, finest)

    @torch.no_grad()
    def at(self, t: Time, *, ref: Reference | None = None, iters: int = 1) -> Tensor:
        """See `FrameInterpolator`."""
        check_kind(self.interpolator.info.kind, t, ref, iters)
        flows = self.flows(t)
        frame = flows.mask * warp(self.a, flows.to0) + (1 - flows.mask) * warp(self.b, flows.to1)
        return frame.clamp(0, 1)

    @torch.no_grad()
    def flows(self, t: Time) -> Flows:
        """See `FrameInterpolator`."""
        times = time_map(t, self.a)
        flow01, flow10 = self.both_ways
        motion, times = motion_at(self.a, self.b, flow01, flow10, times)
        to0, to1 = -times * motion, (1 - times) * motion
        share0 = (1 - times) * warp(trust(flow01, flow10), to0)
        share1 = times * warp(trust(flow10, flow01), to1)
        total = share0 + share1
        mask = torch.where(total > FAINT, share0 / total.clamp(min=FAINT), 1 - times)
        return Flows(to0, to1, mask)


def dis_flow(a: Tensor, b: Tensor, finest: int = 0) -> Tensor:
    """Optical flow from a to b: frames (B, 3, H, W) in [0, 1] -> (B, 2, H, W) pixels, x and y.

    finest: `finest_scale` of `grey_dis_flows`.
    """
    flows = list(grey_dis_flows(map(_grey, a), map(_grey, b), finest_scale=finest))
    return torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2).to(a)


def _grey(frame: Tensor) -> np.ndarray:
    weights = torch.tensor(GREY).view(3, 1, 1)
    return ((frame.cpu() * weights).sum(0) * 255).round().clamp(0, 255).byte().numpy()


def motion_at(a: Tensor, b: Tensor, flow01: Tensor, flow10: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """What is seen where, at `times` (B, 1, H, W), a map over a: (B, 2, H, W) pixels its motion from a to b, and
    (B, 1, H, W) how far it has come, the map itself carried to where its pixels are by then."""
    explained0 = (-SHARPNESS * (a - warp(b, flow01)).abs().mean(1, keepdim=True)).exp()
    explained1 = (-SHARPNESS * (b - warp(a, flow10)).abs().mean(1, keepdim=True)).exp()
    times1 = warp(times, flow10)  # of what is seen in b, by where it was in a
    # The flow of a is known where a is seen, so it counts more near t = 0; both sums are over the same weights.
    first = splat(torch.cat((flow01, times), 1), flow01 * times, explained0 * (1 - times))
    second = splat(torch.cat((-flow10, times1), 1), flow10 * (1 - times1), explained1 * times1)
    weight = first[:, 3:] + second[:, 3:]
    carried = (first[:, :3] + second[:, :3]) / weight.clamp(min=FAINT)
    # Where nothing arrived: what is known at the same place.
    unmoved = torch.cat(((1 - times) * flow01 - times * flow10, times), 1)
    arrived = torch.where(weight > FAINT, carried, unmoved)
    return arrived[:, :2], arrived[:, 2:]


def trust(flow: Tensor, back: Tensor) -> Tensor:
    """(B, 1, H, W) in (0, 1]: 1 where going there and back ends at the start; small where the pixel gets hidden."""
    away = (flow + warp(back, flow)).norm(dim=1, keepdim=True)
    return (-((away / AGREEMENT) ** 2)).exp().clamp(min=1e-3)
