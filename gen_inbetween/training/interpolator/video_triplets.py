"""Training triplets cut from videos (RIFE, InterpAny-Clearer, Super SloMo).

Of a window of frames (`data.ClipFolder`) three are chosen, in the order of time: any three (RIFEm), or two that are
`span` apart and one between them (Super SloMo). Three frames in a row are RIFE's triplets, t = 1/2. They are cropped at
one place and turned about together:

    mirror  left and right, flip  up and down, turn  by quarters, reverse  in time, swap  red and blue       (RIFE)
    mirror, reverse                                                                                   (Super SloMo)

For the reference kinds a fourth frame is any one from the first to the last (InterpAny-Clearer, as published). Maps of
path distances are estimated from the optical flow between the frames (`distance_index.py`), and blurred. Estimated
flows wander by pixels over plain walls, so what moves by less than UNSURE follows the time. (Moving layers of 128
pixels with noise, DIS: from eps 0.25 to 16 the error of D falls from 0.094 to 0.056 where things stand still, and stays
at 0.09 where they move by 4 pixels and more at another pace than the time, which is off by 0.18 there.)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset

from gen_inbetween.data.clips import Clips
from gen_inbetween.interpolation.dis_flow import dis_flow
from gen_inbetween.interpolation.distance_index import blur_maps, estimate_distance_index
from gen_inbetween.interpolation.interpolator import InterpolatorError, Kind
from gen_inbetween.interpolation.registry import load_interpolator
from gen_inbetween.training.sample_order import clip_index, seeded

UNSURE = 4.0  # pixels
PICK = 3  # what a generator is for, beside those of `training_draws`
FlowOf = Callable[[Tensor, Tensor], Tensor]  # a, b (B, 3, H, W) in [0, 1] -> (B, 2, H, W) pixels


class Picked(NamedTuple):
    """One triplet: frames float32 (3, S, S) in [0, 1], and times in [0, 1]."""

    a: Tensor
    target: Tensor
    b: Tensor
    reference: Tensor
    time: float
    reference_time: float


@dataclass(frozen=True)
class VideoTriplets:
    """B triplets of S x S pixels, as `moving_layers.Triplets` without the exact motion."""

    a: Tensor  # (B, 3, S, S) in [0, 1]
    target: Tensor  # (B, 3, S, S)
    b: Tensor  # (B, 3, S, S)
    time: Tensor  # (B, 1, 1, 1)
    index: Tensor  # (B, 1, S, S) the time; for index kinds the estimated share of its way each pixel of a has come
    reference: Tensor  # (B, 3, S, S)
    reference_time: Tensor  # (B, 1, 1, 1)
    reference_index: Tensor  # (B, 1, S, S)


class PickedTriplets(Dataset):
    """(place, size) -> the triplet that is drawn there, from (seed, place) alone. Arguments as `pick`."""

    def __init__(self, clips: Clips, span: int | None, augment: Collection[str], seed: int) -> None:
        self.clips, self.span, self.augment, self.seed = clips, span, augment, seed

    def __getitem__(self, at: tuple[int, int]) -> Picked:
        place, size = at
        clip = self.clips[clip_index(place, len(self.clips), self.seed)]
        return pick(clip.frames / 2 + 0.5, size, self.span, self.augment, seeded(self.seed, PICK, place))


def pick(frames: Tensor, size: int, span: int | None, augment: Collection[str], generator: Generator) -> Picked:
    """Choose, crop and turn about a triplet of `frames` (F, 3, H, W), F >= 3 and H, W >= size.

    Args:
        span: steps from the first to the second frame; None: any three frames.
        augment: which of mirror, flip, turn, reverse and swap happen, each in half of the cases.
    """

    def below(count: int) -> int:
        return int(torch.randint(count, (), generator=generator))

    count, _, height, width = frames.shape
    if span is None:
        first, middle, last = sorted(torch.randperm(count, generator=generator)[:3].tolist())
    else:
        first = below(count - span)
        middle, last = first + 1 + below(span - 1), first + span
    seen = first + below(last - first + 1)
    time, seen_time = ((number - first) / (last - first) for number in (middle, seen))
    top, left = below(height - size + 1), below(width - size + 1)
    cut = frames[[first, middle, last, seen], :, top : top + size, left : left + size]
    # Every draw is made, so that what is left out changes nothing of the others.
    chosen = {name for name in ("mirror", "flip", "reverse", "swap") if below(2)} & set(augment)
    quarters = below(4)
    cut = cut.flip([axis for axis, name in ((2, "flip"), (3, "mirror")) if name in chosen])
    cut = cut.rot90(quarters, (2, 3)) if "turn" in augment else cut
    cut = cut.flip(1) if "swap" in chosen else cut
    a, target, b, reference = cut.contiguous().unbind()
    if "reverse" in chosen:
        return Picked(b, target, a, reference, 1 - time, 1 - seen_time)
    return Picked(a, target, b, reference, time, seen_time)


def pick_middle(frames: Tensor, size: int, span: int | None, generator: Generator) -> Picked:
    """`pick` from the middle of the frames and as they are: what held-out figures are made of."""
    top, left = ((extent - size) // 2 for extent in frames.shape[-2:])
    return pick(frames[..., top : top + size, left : left + size], size, span, (), generator)


def stack(picked: Sequence[Picked]) -> VideoTriplets:
    """The triplets as one batch, with the time as their index."""
    *frames, times, reference_times = zip(*picked, strict=True)
    a, target, b, reference = (torch.stack(pictures) for pictures in frames)
    time, seen = (torch.tensor(numbers).float().view(-1, 1, 1, 1) for numbers in (times, reference_times))
    of_size = (len(picked), 1, *a.shape[-2:])
    return VideoTriplets(a, target, b, time, time.expand(of_size), reference, seen, seen.expand(of_size))


@torch.no_grad()
def with_distances(triplets: VideoTriplets, flow_of: FlowOf, blur: int, kind: Kind) -> VideoTriplets:
    """The triplets with estimated maps of path distances; of the reference only where `kind` has one."""
    way = flow_of(triplets.a, triplets.b)

    def of(frame: Tensor, time: Tensor) -> Tensor:
        estimated = estimate_distance_index(flow_of(triplets.a, frame), way, time, still=UNSURE**2)
        estimated = blur_maps(estimated[:, 0], blur)[:, None]
        return torch.where((time == 0) | (time == 1), time, estimated)  # at the ends nothing is left to estimate

    index = of(triplets.target, triplets.time)
    if not kind.endswith("+ref"):
        return replace(triplets, index=index)
    return replace(triplets, index=index, reference_index=of(triplets.reference, triplets.reference_time))


def open_flow(name: str, device: torch.device) -> FlowOf:
    """The flow between two frames by "dis", or by an interpolator of that name or file, asked for its flow at t = 0.

    Raises:
        InterpolatorError: no such interpolator, or one that knows the middle only.
        ImportError: OpenCV, for dis, is not installed.
    """
    interpolator = load_interpolator(name, device=device)
    if name == "dis":
        return dis_flow
    if interpolator.info.kind == "midpoint":
        raise InterpolatorError(f"{name} knows the flows at t = 0.5 only; distance maps need those between two frames")
    return lambda a, b: interpolator.flows(a, b, 0.0).to1
