"""Frame interpolators over splatted DIS optical flow, classical and learned.

    A = W(a, F_t0), B = W(b, F_t1)
    dis-splat     frame_t = s A + (1 - s) B       s by nearness and by the agreement of both flows; where A and B show
                  different things, up to half of the frame is the cross-fade (1 - t) a + t b
    dis-net       corrections of flows and shares by `networks/motion_refinement.py` on top

Where A and B differ the flow is wrong, and shreds of one of them are further from the truth than a faded frame. W looks
frames up bicubically: between pixels a bilinear lookup takes away a tenth of a film's gradients, and that costs more
PSNR than any error of the flow where little moves. In large frames motion is estimated and splatted at half of the
size: it is smooth, and that saves three quarters of the work.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from gen_inbetween.interpolation.carried_motion import (
    Carried,
    PairMotion,
    carried_to,
    classical_shares,
    mixed,
    pair_motion,
)
from gen_inbetween.interpolation.classical import dis_flow, opencv
from gen_inbetween.interpolation.interpolator import (
    Flows,
    InterpolatorInfo,
    Kind,
    Reference,
    Time,
    check_frames,
    check_kind,
    padding_to,
    time_map,
)
from gen_inbetween.interpolation.last_pair import LastPair
from gen_inbetween.interpolation.networks.motion_refinement import Refinement
from gen_inbetween.interpolation.warping import rescale, rescale_flow, warp

LARGE = 640  # pixels of the longer side above which motion is estimated at half of the size
OPENCV_LICENCE = "Apache-2.0 (OpenCV)"


class CarriedInterpolator:
    """A `FrameInterpolator`; each pixel may have its own time. ImportError: OpenCV is not installed.

    Args:
        info: what it is; kind "index".
        refinement: corrects the carried motion and the blend; None leaves both as they are.
    """

    kind: Kind = "index"

    def __init__(self, info: InterpolatorInfo, device: str | torch.device, refinement: Refinement | None) -> None:
        opencv()
        self.info, self.device, self.refinement = info, torch.device(device), refinement
        self.multiple = info.multiple
        self._pair = LastPair(_estimated)

    @torch.no_grad()
    def __call__(self, a: Tensor, b: Tensor, t: Time, *, ref: Reference | None = None, iters: int = 1) -> Tensor:
        """See `FrameInterpolator`."""
        check_kind(self.kind, t, ref, iters)
        height, width = a.shape[-2:]
        a, b, carried = self._carried(a, b, t)
        if self.refinement is None:
            frame = blended(a, b, carried)
        else:
            frame = self.refinement(a, b, carried).frame
        return frame[..., :height, :width].clamp(0, 1)

    @torch.no_grad()
    def flows(self, a: Tensor, b: Tensor, t: Time) -> Flows:
        """See `FrameInterpolator`. The mask is the share of a among what both warped frames have."""
        height, width = a.shape[-2:]
        a, b, carried = self._carried(a, b, t)
        to0, to1, share = carried.to0, carried.to1, carried.share0
        if self.refinement is not None:
            refined = self.refinement(a, b, carried)
            to0, to1 = refined.to0, refined.to1
            share = refined.shares[:, :1] / refined.shares[:, :2].sum(1, keepdim=True).clamp(min=1e-6)
        return Flows(*(each[..., :height, :width] for each in (to0, to1, share)))

    def _carried(self, a: Tensor, b: Tensor, t: Time) -> tuple[Tensor, Tensor, Carried]:
        """Both frames, padded to the multiple by their borders, and the motion between them at t."""
        check_frames(a, b)
        padding = padding_to((a.shape[2], a.shape[3]), self.multiple)
        times = functional.pad(time_map(t, a), padding, mode="replicate")
        a, b = (functional.pad(frame, padding, mode="replicate") for frame in (a, b))
        pair = self._pair(a, b)
        if pair.flow01.shape[-2:] == a.shape[-2:]:
            return a, b, carried_to(pair, times)
        half = carried_to(pair, functional.avg_pool2d(times, 2))
        whole = (rescale(each, 2)[..., : a.shape[2], : a.shape[3]] for each in half[1:])
        return a, b, Carried(rescale_flow(half.motion, 2), *whole)


def blended(a: Tensor, b: Tensor, carried: Carried) -> Tensor:
    """The classical frame (B, 3, H, W) of frames in [0, 1]; bicubic lookup may leave that range by a little."""
    warped0, warped1 = warp(a, carried.to0, mode="bicubic"), warp(b, carried.to1, mode="bicubic")
    return mixed(classical_shares(carried, warped0, warped1), (warped0, warped1, a, b))


def classical_interpolator(device: str | torch.device = "cpu") -> CarriedInterpolator:
    """The interpolator "dis-splat", which has no weights. ImportError: OpenCV is not installed."""
    info = InterpolatorInfo("dis-splat", "DIS", "splatted, bicubic", "index", 2, OPENCV_LICENCE)
    return CarriedInterpolator(info, device, None)


def _estimated(a: Tensor, b: Tensor) -> PairMotion:
    """The motion between two frames of even sides, at half of the size where they are large."""
    if max(a.shape[-2:]) > LARGE:
        a, b = (functional.avg_pool2d(frame, 2) for frame in (a, b))
    return pair_motion(a, b, dis_flow(a, b), dis_flow(b, a))
