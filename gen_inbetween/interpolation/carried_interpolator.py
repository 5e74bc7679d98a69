"""Frame interpolators over splatted DIS optical flow, classical and learned.

    A = W(a, F_t0), B = W(b, F_t1)
    dis           frame_t = s A + (1 - s) B       s by nearness and by the agreement of both flows
    dis-splat     where A and B show different things, up to half of the frame is the cross-fade (1 - t) a + t b
    refined       corrections of flows and shares by `networks/motion_refinement.py` on top; opened from a file

Where A and B differ the flow is wrong, and shreds of one of them are further from the truth than a faded frame. W looks
frames up bicubically, but for dis: between pixels a bilinear lookup takes away a tenth of a film's gradients, and that
costs more PSNR than any error of the flow where little moves. In large frames motion is estimated and splatted at half
of the size: it is smooth, and that saves three quarters of the work.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from gen_inbetween.interpolation.carried_motion import (
    Carried,
    PairMotion,
    carried_to,
    pair_motion,
    share_and_fade,
)
from gen_inbetween.interpolation.dis_flow import dis_flow, opencv
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
from gen_inbetween.interpolation.networks.motion_refinement import MULTIPLE, Refinement
from gen_inbetween.interpolation.warping import rescale, rescale_flow, warp
from gen_inbetween.runtime.files import save_tensors
from gen_inbetween.runtime.hashing import file_sha256
from gen_inbetween.runtime.outputs import check_output
from gen_inbetween.runtime.trust.limits import UntrustedError, check_weights, open_tensors, shorten

LARGE = 640  # pixels of the longer side above which motion is estimated at half of the size
HEADER = "gen_inbetween_refinement"  # the key in a safetensors header that says what the weights are, and their recipe
OPENCV_LICENSE = "Apache-2.0 (OpenCV)"

Blend: TypeAlias = Callable[[Tensor, Tensor, Carried], Tensor]  # two frames and the motion at t -> the frame at t


def blended(a: Tensor, b: Tensor, carried: Carried) -> Tensor:
    """The classical frame (B, 3, H, W) of frames in [0, 1]; bicubic lookup may leave that range by a little."""
    warped0, warped1 = warp(a, carried.to0, mode="bicubic"), warp(b, carried.to1, mode="bicubic")
    share0, faded = share_and_fade(carried, warped0, warped1)
    return warped1.lerp(warped0, share0).lerp(a.lerp(b, carried.times), faded)  # `mixed` by `classical_shares`, shorter


def plainly_blended(a: Tensor, b: Tensor, carried: Carried) -> Tensor:
    """The frame (B, 3, H, W) of what the motion alone says, looked up bilinearly."""
    return warp(b, carried.to1).lerp(warp(a, carried.to0), carried.share0)


class CarriedInterpolator(PairedInterpolator):
    """Carried DIS flow; each pixel may have its own time. ImportError: OpenCV is not installed.

    Args:
        info: what it is; kind "index", multiple 2 or, with a refinement, the network's.
        refinement: corrects the carried motion and the blend; None leaves both as they are.
        blend: makes the frame where there is no refinement.
    """

    def __init__(
        self,
        info: InterpolatorInfo,
        device: str | torch.device,
        refinement: Refinement | None,
        blend: Blend = blended,
    ) -> None:
        opencv()
        self.info, self.device, self.refinement, self.blend = info, torch.device(device), refinement, blend

    def pair(self, a: Tensor, b: Tensor) -> CarriedPair:
        """See `FrameInterpolator`."""
        check_frames(a, b)
        return CarriedPair(self, a, b)


class CarriedPair(PairInterpolator):
    """Two frames, with the motion between them once it has been needed."""

    interpolator: CarriedInterpolator

    @cached_property
    def padded(self) -> tuple[Tensor, Tensor]:
        """Both frames, continued by their borders to the multiple."""
        padding = padding_to((self.a.shape[2], self.a.shape[3]), self.interpolator.info.multiple)
        a, b = (functional.pad(frame, padding, mode="replicate") for frame in (self.a, self.b))
        return a, b

    @cached_property
    def motion(self) -> PairMotion:
        """The motion between the padded frames, at half of their size where they are large."""
        a, b = self.padded
        if max(a.shape[-2:]) > LARGE:
            a, b = functional.avg_pool2d(a, 2), functional.avg_pool2d(b, 2)
        return pair_motion(a, b, dis_flow(a, b), dis_flow(b, a))

    @torch.no_grad()
    def at(self, t: Time, *, ref: Reference | None = None, iters: int = 1) -> Tensor:
        """See `FrameInterpolator`."""
        check_kind(self.interpolator.info.kind, t, ref, iters)
        carried, refinement = self._carried(t), self.interpolator.refinement
        a, b = self.padded
        frame = self.interpolator.blend(a, b, carried) if refinement is None else refinement(a, b, carried).frame
        return self._cropped(frame).clamp(0, 1)

    @torch.no_grad()
    def flows(self, t: Time) -> Flows:
        """See `FrameInterpolator`. The mask is the share of a among what both warped frames have."""
        carried, refinement = self._carried(t), self.interpolator.refinement
        to0, to1, share = carried.to0, carried.to1, carried.share0
        if refinement is not None:
            refined = refinement(*self.padded, carried)
            to0, to1 = refined.to0, refined.to1
            share = refined.shares[:, :1] / refined.shares[:, :2].sum(1, keepdim=True).clamp(min=1e-6)
        return Flows(self._cropped(to0), self._cropped(to1), self._cropped(share))

    def _cropped(self, padded: Tensor) -> Tensor:
        return padded[..., : self.a.shape[2], : self.a.shape[3]]

    def _carried(self, t: Time) -> Carried:
        """The motion at t between the padded frames."""
        height, width = self.padded[0].shape[-2:]
        times = time_map(t, self.a)
        times = functional.pad(times, (0, width - times.shape[3], 0, height - times.shape[2]), mode="replicate")
        if self.motion.flow01.shape[-1] == width:
            return carried_to(self.motion, times)
        half = carried_to(self.motion, functional.avg_pool2d(times, 2))
        return Carried(rescale_flow(half.motion, 2), *(rescale(each, 2) for each in half[1:]))


def dis_interpolator(device: str | torch.device = "cpu") -> CarriedInterpolator:
    """The interpolator "dis". ImportError: OpenCV is not installed."""
    info = InterpolatorInfo("dis", "DIS", "OpenCV, medium preset", "index", 2, OPENCV_LICENSE)
    return CarriedInterpolator(info, device, None, plainly_blended)


def classical_interpolator(device: str | torch.device = "cpu") -> CarriedInterpolator:
    """The interpolator "dis-splat", which has no weights. ImportError: OpenCV is not installed."""
    info = InterpolatorInfo("dis-splat", "DIS", "splatted, bicubic", "index", 2, OPENCV_LICENSE)
    return CarriedInterpolator(info, device, None)


def write_refinement(path: Path, refinement: Refinement, recipe: str) -> None:
    """Write the weights in half precision with one line about how they were learned, all of the file or nothing.

    OutputError: it cannot be written, or is somebody else's file.
    """
    check_output(path, manifest=False)
    save_tensors(path, {name: value.half() for name, value in refinement.state_dict().items()}, {HEADER: recipe})


def refinement_recipe(path: Path) -> str | None:
    """The line that `write_refinement` wrote; None for any other file."""
    if path.suffix != ".safetensors":
        return None
    try:
        with open_tensors(path) as file:
            return (file.metadata() or {}).get(HEADER)
    except (SafetensorError, OSError, RuntimeError):
        return None


def refined_interpolator(path: Path, device: str | torch.device, name: str) -> CarriedInterpolator:
    """The interpolator over the weights that `write_refinement` wrote. ImportError: OpenCV is not installed."""
    try:
        state = load_file(path)
        check_weights(state, path)
        refinement = Refinement(tuple(state[f"down.{level}.0.0.weight"].shape[0] for level in range(4)))
        refinement.load_state_dict({key: value.float() for key, value in state.items()})
    except (SafetensorError, UntrustedError, KeyError, IndexError, RuntimeError) as error:
        raise InterpolatorError(
            f"{path} is no refinement of dis-splat, or is cut off: {shorten(error, 200)}"
        ) from error
    refinement = refinement.to(device).eval().requires_grad_(False)
    info = InterpolatorInfo(
        name,
        "DIS",
        f"splatted, refined: {shorten(refinement_recipe(path))}",
        "index",
        MULTIPLE,
        f"Apache-2.0, as this project; {OPENCV_LICENSE}",
        parameters=sum(value.numel() for value in state.values()),
        sha256=file_sha256(path),
    )
    return CarriedInterpolator(info, device, refinement)
