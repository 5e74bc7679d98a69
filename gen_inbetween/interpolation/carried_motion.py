"""Motion between two frames, splatted to the time between them.

1. F_01, F_10 with two weights a vector: how well it explains the frames, and whether the way back ends where it began
2. each vector is carried along itself to where it is at t, and arrives there as the motion V; vectors that explain the
   frames win over those that do not (softmax splatting, Niklaus and Liu, CVPR 2020)
3. F_t0 = -t V, F_t1 = (1 - t) V

The distance index: t may be a map over the first frame, which says what share of its own way each pixel has come
(InterpAny-Clearer, ECCV 2024). The map is carried along with the motion.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gen_inbetween.interpolation.dis_flow import opencv
from gen_inbetween.interpolation.warping import splat, warp

SHARPNESS = 40.0  # how fast a vector loses weight with the error it leaves, per unit of a [0, 1] signal
AGREEMENT = 4.0  # pixels between the way there and back at which a vector counts 1/e
LEAST_TRUST = 0.02
FAINT = 1e-6  # weight below which no vector has arrived
FADED = 0.5  # the most of a frame that is cross-faded
TOLERATED, RISING = 0.03, 0.1  # difference of both warped frames, of a [0, 1] signal, from which and over which it is
AROUND = 3  # pixels to each side over which that difference is averaged


class PairMotion(NamedTuple):
    """Both flows between a and b and their weights, each over the frame that its flow starts in."""

    flow01: Tensor  # (B, 2, H, W) pixels
    flow10: Tensor  # (B, 2, H, W) pixels
    explained0: Tensor  # (B, 1, H, W) in (0, 1]: 1 where the flow finds the same colour in the other frame
    explained1: Tensor
    trust0: Tensor  # (B, 1, H, W) in [LEAST_TRUST, 1]: 1 where going there and back ends at the start
    trust1: Tensor


class Carried(NamedTuple):
    """Motion over the frame at t."""

    motion: Tensor  # (B, 2, H, W) pixels from a to b of what is seen there
    times: Tensor  # (B, 1, H, W) the share of that way it has come
    trust0: Tensor  # (B, 1, H, W) the trust of where the motion starts in a
    trust1: Tensor  # (B, 1, H, W) and of where it ends in b
    arrived: Tensor  # (B, 1, H, W) the weight that arrived; near 0 where nothing did

    @property
    def to0(self) -> Tensor:
        """(B, 2, H, W) pixels from the frame at t to a."""
        return -self.times * self.motion

    @property
    def to1(self) -> Tensor:
        """(B, 2, H, W) pixels from the frame at t to b."""
        return (1 - self.times) * self.motion

    @property
    def share0(self) -> Tensor:
        """(B, 1, H, W) in [0, 1], the share of a: the nearer frame counts more, a hidden pixel hardly."""
        share0, share1 = (1 - self.times) * self.trust0, self.times * self.trust1
        return share0 / (share0 + share1).clamp(min=FAINT)


def pair_motion(a: Tensor, b: Tensor, flow01: Tensor, flow10: Tensor) -> PairMotion:
    """The flows (B, 2, H, W) between frames (B, 3, H, W) in [0, 1], weighed by what speaks for them."""
    return PairMotion(
        flow01, flow10, explained(a, b, flow01), explained(b, a, flow10), trust(flow01, flow10), trust(flow10, flow01)
    )


def explained(a: Tensor, b: Tensor, flow: Tensor) -> Tensor:
    """(B, 1, H, W) in (0, 1]: how well a flow from a to b finds the colours of a in b."""
    return (-SHARPNESS * (a - warp(b, flow)).abs().mean(1, keepdim=True)).exp()


def trust(flow: Tensor, back: Tensor) -> Tensor:
    """(B, 1, H, W) in (0, 1]: 1 where going there and back ends at the start; small where the pixel gets hidden."""
    away = (flow + warp(back, flow)).norm(dim=1, keepdim=True)
    return (-((away / AGREEMENT) ** 2)).exp().clamp(min=LEAST_TRUST)


def carried_to(pair: PairMotion, times: Tensor) -> Carried:
    """The motion at `times` (B, 1, H, W) in [0, 1], a map over the first frame.

    Where no vector arrives, the motions that are known at the same place in both frames are mixed, and the share is the
    map's own.
    """
    first, second = pair.flow01, -pair.flow10
    known0, known1 = first, second
    uniform = bool((times == times[:, :, :1, :1]).all())
    times1 = times
    if not uniform:
        times1 = warp(times, pair.flow10)  # of what is seen in b, by where it was in a
        known0, known1 = torch.cat((first, times), 1), torch.cat((second, times1), 1)
    # The flow of a is known where a is seen, so it counts more near t = 0; both sums are over the same weights.
    sums = splat(known0, pair.flow01 * times, pair.explained0 * (1 - times))
    sums += splat(known1, pair.flow10 * (1 - times1), pair.explained1 * times1)
    arrived = sums[:, -1:]
    missing = (1 - times) * first + times * second
    if not uniform:
        missing = torch.cat((missing, times), 1)
    known = torch.where(arrived > FAINT, sums[:, :-1] / arrived.clamp(min=FAINT), missing)
    motion, share = known[:, :2], times if uniform else known[:, 2:]
    trust0, trust1 = warp(pair.trust0, -share * motion), warp(pair.trust1, (1 - share) * motion)
    return Carried(motion, share, trust0, trust1, arrived)


def classical_shares(carried: Carried, warped0: Tensor, warped1: Tensor) -> Tensor:
    """(B, 4, H, W), their sum 1: the shares of a and b, both warped to t, then of a and b as they stand.

    Where the warped frames (B, 3, H, W) differ, the flow is wrong, and so is its trust: both count by their nearness in
    time there, and up to FADED of the frame is a cross-fade.
    """
    share0, faded = share_and_fade(carried, warped0, warped1)
    moved, times = 1 - faded, carried.times
    return torch.cat((moved * share0, moved * (1 - share0), faded * (1 - times), faded * times), 1)


def share_and_fade(carried: Carried, warped0: Tensor, warped1: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 1, H, W) each, in [0, 1]: the share of a in what is warped, and that of the cross-fade in the frame."""
    apart = (warped0 - warped1).abs().mean(1, keepdim=True)
    doubt = box_mean(apart, AROUND).sub(TOLERATED).div(RISING).clamp(0, 1)
    return carried.share0.lerp(1 - carried.times, doubt), FADED * doubt


def box_mean(image: Tensor, radius: int) -> Tensor:
    """(B, C, H, W) means over `radius` pixels to each side, the border continued."""
    if image.device.type == "cpu" and not image.requires_grad and image.dtype == torch.float32:
        size, border = (2 * radius + 1,) * 2, opencv().BORDER_REPLICATE  # a tenth of the time
        means = [opencv().blur(plane.numpy(), size, borderType=border) for plane in image.flatten(0, 1)]
        return torch.from_numpy(np.stack(means)).view_as(image)
    padded = functional.pad(image, (radius,) * 4, mode="replicate")
    return functional.avg_pool2d(functional.avg_pool2d(padded, (2 * radius + 1, 1), 1), (1, 2 * radius + 1), 1)


def mixed(shares: Tensor, sources: Sequence[Tensor]) -> Tensor:
    """The sum of the sources (B, 3, H, W), each by its share of `shares` (B, N, H, W)."""
    weighted = (share * source for share, source in zip(shares.split(1, 1), sources, strict=True))
    return functools.reduce(torch.Tensor.add, weighted)
