"""Interface of frame interpolators.

Two frames and a time in, the frame between out:

    frame_t = interpolator(a, b, t)                   a, b (B, 3, H, W) in [0, 1]; t = 0 is a, t = 1 is b

    pair = interpolator.pair(a, b)                    many times of one pair: what they share is computed once
    frames = [pair.at(t) for t in times]

The kinds differ in what the time may be (reference: RIFE, ECCV 2022; InterpAny-Clearer, ECCV 2024):
    midpoint     knows t = 1/2 only; other times are reached by halving (`recursive_midpoint.py`)
    time         one number for the whole frame
    index        a distance index: a map of how far each pixel has come on its way from a to b; one number is uniform
                 speed
    time+ref, index+ref   as above, and looks at a frame whose time it knows; so it may walk to t in `iters` steps
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from gen_inbetween.runtime.checks import check_whole

Kind: TypeAlias = Literal["midpoint", "time", "index", "time+ref", "index+ref"]
KindChoice: TypeAlias = Kind | Literal["auto"]
KINDS: tuple[Kind, ...] = ("midpoint", "time", "index", "time+ref", "index+ref")
Time: TypeAlias = float | Tensor  # a number, (B,) or a map (B, 1, H, W), all in [0, 1]
Reference: TypeAlias = tuple[Tensor, float | Tensor]  # a frame (B, 3, H, W) and its time

SMALLEST = 16  # pixels: height and width of the smallest frame that is interpolated
_OVERSHOOT = 0.02  # filtered pictures leave [0, 1] by a little; one in 0..255 or in [-1, 1] by a lot


class InterpolatorError(ValueError):
    """Frames, times or weights that an interpolator cannot use; says what was expected, what came and what to do."""


@dataclass(frozen=True)
class InterpolatorInfo:
    """Name, version, kind and licence of an interpolator."""

    name: str  # what it was opened as: a name of INTERPOLATORS or the file's name
    architecture: str  # "IFNet", "IFNet v4", "Super SloMo", "FILM", "DIS", ...
    version: str  # "RIFEm", "4.6", ...; versions whose files cannot be told apart are named together
    kind: Kind
    multiple: int  # inputs are padded to a multiple of this, in pixels
    license: str
    parameters: int = 0
    sha256: str | None = None  # of the file of weights; None: there is none
    scale: float = 1.0  # RIFE: the fraction of the resolution at which motion is estimated


@dataclass(frozen=True)
class Flows:
    """How the frame at t is put together: mask * warp(a, to0) + (1 - mask) * warp(b, to1), before any refinement."""

    to0: Tensor  # (B, 2, H, W) pixels, from the frame at t to a
    to1: Tensor  # (B, 2, H, W) pixels, from the frame at t to b
    mask: Tensor  # (B, 1, H, W) in [0, 1]


class FrameInterpolator(ABC):
    """The one call of every interpolator, learned or not."""

    info: InterpolatorInfo
    device: torch.device

    @abstractmethod
    def __call__(self, a: Tensor, b: Tensor, t: Time, *, ref: Reference | None = None, iters: int = 1) -> Tensor:
        """The frames at `t` between `a` and `b`.

        Args:
            a, b: float32 (B, 3, H, W) in [0, 1] on `device`, H and W from SMALLEST on; padded and cropped inside.
            t: in [0, 1]; a number, one for each sample (B,), or for the index kinds a map (B, 1, H, W).
            ref: for the "+ref" kinds, a frame near t and its time; None starts from a at time 0.
            iters: for the "+ref" kinds, steps from the reference to t, each looking at the frame before it.

        Returns:
            float32 (B, 3, H, W) in [0, 1].

        Raises:
            InterpolatorError: shapes, range, a time or a reference that this kind cannot take.
        """

    @abstractmethod
    def flows(self, a: Tensor, b: Tensor, t: Time) -> Flows:
        """The flows at `t`, cropped to the frames. InterpolatorError: t not 1/2 where only that is known."""

    def pair(self, a: Tensor, b: Tensor) -> PairInterpolator:
        """This interpolator set to two frames, which must not be written into while it is used."""
        return PairInterpolator(self, a, b)


class PairedInterpolator(FrameInterpolator):
    """An interpolator whose work is done by its `pair`, which says what the times of two frames share."""

    def __call__(self, a: Tensor, b: Tensor, t: Time, *, ref: Reference | None = None, iters: int = 1) -> Tensor:
        """See `FrameInterpolator`."""
        return self.pair(a, b).at(t, ref=ref, iters=iters)

    def flows(self, a: Tensor, b: Tensor, t: Time) -> Flows:
        """See `FrameInterpolator`."""
        return self.pair(a, b).flows(t)

    @abstractmethod
    def pair(self, a: Tensor, b: Tensor) -> PairInterpolator:
        """See `FrameInterpolator`."""


class PairInterpolator:
    """An interpolator set to two frames. Kinds whose times share work keep it here, and override what uses it."""

    def __init__(self, interpolator: FrameInterpolator, a: Tensor, b: Tensor) -> None:
        self.interpolator, self.a, self.b = interpolator, a, b

    def at(self, t: Time, *, ref: Reference | None = None, iters: int = 1) -> Tensor:
        """The frames at `t`: see `FrameInterpolator.__call__`."""
        return self.interpolator(self.a, self.b, t, ref=ref, iters=iters)

    def flows(self, t: Time) -> Flows:
        """The flows at `t`: see `FrameInterpolator.flows`."""
        return self.interpolator.flows(self.a, self.b, t)


def check_frames(a: Tensor, b: Tensor) -> None:
    """Raise InterpolatorError unless a and b are two batches of frames as `FrameInterpolator` takes them."""
    if a.ndim != 4 or a.shape[1] != 3 or a.shape != b.shape or not len(a):
        raise InterpolatorError(
            f"expected two batches of frames (B, 3, H, W) of one size, got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    if min(a.shape[-2:]) < SMALLEST:
        raise InterpolatorError(f"frames are at least {SMALLEST} x {SMALLEST} pixels, got {a.shape[3]} x {a.shape[2]}")
    if a.dtype != torch.float32 or b.dtype != torch.float32:
        raise InterpolatorError(f"expected float32 frames in [0, 1], got {a.dtype} and {b.dtype}: use frame.float()")
    low = min(float(a.min()), float(b.min()))
    high = max(float(a.max()), float(b.max()))
    if not (low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT):  # written so that NaN fails too
        raise InterpolatorError(
            f"expected frames in [0, 1], got values from {low:.4g} to {high:.4g}: divide 0..255 by 255, "
            "pass (frame + 1) / 2 for [-1, 1]"
        )


def time_map(t: Time, frames: Tensor, *, name: str = "t") -> Tensor:
    """`t` as a map (B, 1, H, W) over `frames` (B, 3, H, W). InterpolatorError: another shape, or outside of [0, 1]."""
    batch, _, height, width = frames.shape
    times = torch.as_tensor(t, dtype=torch.float32, device=frames.device)
    shapes = {(): (1, 1, 1, 1), (batch,): (batch, 1, 1, 1), (batch, 1, height, width): times.shape}
    if tuple(times.shape) not in shapes:
        raise InterpolatorError(
            f"expected {name} as a number, as ({batch},) or as a map ({batch}, 1, {height}, {width}), "
            f"got {tuple(times.shape)}"
        )
    low, high = float(times.min()), float(times.max())
    if not (low >= 0 and high <= 1):
        raise InterpolatorError(f"expected {name} from 0 (the first frame) to 1 (the second), got {low:g} to {high:g}")
    return times.reshape(shapes[tuple(times.shape)]).expand(batch, 1, height, width)


def check_kind(kind: Kind, t: Time, ref: Reference | None, iters: int) -> None:
    """Raise InterpolatorError where an interpolator of this kind cannot take such a time, reference or iterations."""
    if isinstance(t, Tensor) and t.ndim > 1 and not kind.startswith("index"):
        raise InterpolatorError(
            f"an interpolator of kind {kind!r} takes one time for a frame, not a map {tuple(t.shape)}; if its weights "
            "were trained with distance-index maps, load them with kind='index' (or 'index+ref')"
        )
    check_whole("iters", iters)
    if iters < 1:
        raise InterpolatorError(f"expected iters to be 1 or more, got {iters}")
    if not kind.endswith("+ref") and (ref is not None or iters != 1):
        raise InterpolatorError(f"an interpolator of kind {kind!r} looks at no reference: leave ref and iters alone")


def padding_to(size: tuple[int, int], multiple: int) -> tuple[int, int, int, int]:
    """(left, right, top, bottom) pixels that bring (height, width) to a multiple; all of it right and below.

    >>> padding_to((270, 480), 32)
    (0, 0, 0, 18)
    """
    height, width = size
    return (0, math.ceil(width / multiple) * multiple - width, 0, math.ceil(height / multiple) * multiple - height)
