"""Gaps between two clips, inside one, or from end to beginning.

The frames of a gap are those of one window whose first and last frames, `context` of them on either side, are kept.
Direction forward is conditioned on the first of them, backward on the last. A single frame has no velocity; the pace of
the frames before and after is measured, and each direction is told the motion bucket of its side:

    forward: 2 b r / (1 + r)    backward: 2 b / (1 + r)    b the bucket of the settings, r the pace before over after

Frames of context that are kept do not do that: a model draws an even pace from the window's first picture to its last
whatever is kept between (eval/keyframes_pocket.md), so that more of them move the gap away from where it should be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from gen_inbetween.diffusion.options import INTERPOLATE
from gen_inbetween.diffusion.windows.layout import SHORTEST
from gen_inbetween.generation.timeline.colour import match_colours
from gen_inbetween.generation.timeline.pace import STATIC, even_pace, step_lengths
from gen_inbetween.generation.timeline.regions import open_region
from gen_inbetween.generation.timeline.timeline import Motion, Timeline, blend
from gen_inbetween.generation.transparency import alpha_between
from gen_inbetween.interpolation.film import draw_parts
from gen_inbetween.interpolation.registry import DEFAULT, load_interpolator, motion_device
from gen_inbetween.media.image import load_image
from gen_inbetween.runtime.checks import check_whole

if TYPE_CHECKING:
    from gen_inbetween.generation.settings import Settings
    from gen_inbetween.interpolation.interpolator import FrameInterpolator
    from gen_inbetween.models.configs import ModelConfigs

MEASURED = 4  # frames beside a gap whose pace is measured

Make = Callable[[Timeline, "Settings"], tuple[list[Image.Image], dict[str, Any]]]


class JoinError(ValueError):
    """Clips, or a stretch of one, that cannot be joined so; the message says what was expected."""


@dataclass(frozen=True)
class Maker:
    """How the frames of a window are made: the settings, the model's configurations (None: interpolated), the call."""

    settings: Settings
    configs: ModelConfigs | None
    make: Make

    def fitting(self, size: tuple[int, int]) -> Settings:
        """The settings for pictures that come back to their own size with nothing cut off.

        Where they ask for no size: of the pictures' aspect, about as many pixels as the model's own.
        """
        fit = "pad" if self.settings.fit == "pad" else "stretch"
        settings = replace(self.settings, fit=fit, exact_ends=False)  # type: ignore[arg-type]
        if self.configs is None:
            return replace(settings, width=size[0], height=size[1])
        if settings.width is None and settings.height is None:
            width, height = size_like(self.configs, size)
            settings = replace(settings, width=width, height=height)
        return settings

    def check_window(self, frames: int, what: str) -> None:
        """JoinError where the model cannot do so many frames at once; `what` they are made of."""
        if self.configs is not None and not SHORTEST <= frames <= self.configs.longest:
            raise JoinError(
                f"{what} make a window of {frames} frames: {self.configs.name} does {SHORTEST} to "
                f"{self.configs.longest}"
            )


def size_like(configs: ModelConfigs, size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) that the model can do, of about its own area and of the aspect of `size`."""
    factor, area = configs.size_factor, configs.width * configs.height
    if size[0] * configs.height == size[1] * configs.width:
        return configs.width, configs.height
    width = math.sqrt(area * size[0] / size[1])
    return tuple(max(factor, round(side / factor) * factor) for side in (width, area / width))  # type: ignore[return-value]


def fill_gap(
    before: Sequence[Image.Image],
    after: Sequence[Image.Image],
    count: int,
    maker: Maker,
    *,
    match_colour: bool,
    motion: Motion | None,
) -> tuple[list[Image.Image], dict[str, Any]]:
    """`count` frames between two stretches of frames of one size, and the parts of their manifest.

    before, after: what is kept on either side, the last and the first of them beside the gap; all RGB, or all RGBA:
        then the gap is too, a model's with the alpha of the two beside it carried along its motion.
    motion: the paces that go on in the gap; None: an even one.
    """
    total = len(before) + count + len(after)
    ends, background = (before[-1], after[0]), maker.settings.background
    samples = maker.settings.method != INTERPOLATE
    before, after = (as_seen(side, maker.settings) for side in (before, after))
    maker.check_window(total, f"{count} frames with {len(before)} and {len(after)} frames of context")
    size = before[0].size
    kept = dict(enumerate(before)) | dict(enumerate(after, start=total - len(after)))
    window = Timeline((before[0], after[-1]), (0, total - 1), total, (1.0, 1.0), context=kept)
    join: dict[str, Any] = {}
    if samples:
        window = replace(window, motion=motion)
    frames, parts = maker.make(window, replace(maker.fitting(size), num_frames=total))
    if window.motion is not None:
        buckets = window.motion.buckets(parts["settings"]["motion_bucket_id"])
        join["motion"] = {**asdict(window.motion), "motion_bucket_ids": list(buckets)}
    frames = [frame if frame.size == size else frame.resize(size, Image.Resampling.LANCZOS) for frame in frames]
    gap = frames[len(before) : total - len(after)]
    if match_colour and samples:
        first = match_colours(frames[: len(before)], before)
        last = match_colours(frames[-len(after) :], after)
        gap = [first.towards(last, (number + 1) / (count + 1))(frame) for number, frame in enumerate(gap)]
        parts["match_colour"] = {"before": first.record(), "after": last.record()}
    if samples and ends[0].mode == "RGBA":
        gap = alpha_between(gap, ends, (before[-1], after[0]), background)
    return gap, parts | {"join": join}


def as_seen(frames: Sequence[Image.Image], settings: Settings) -> list[Image.Image]:
    """The frames as the method sees them: a model knows colour alone, over the background."""
    if settings.method == INTERPOLATE:
        return list(frames)
    return [load_image(frame, background=settings.background) for frame in frames]


def open_measuring(settings: Settings) -> FrameInterpolator:
    """The interpolator that measures the pace beside a gap and evens that of a loop."""
    return load_interpolator(settings.interpolator or DEFAULT, device=motion_device(settings.device))


def measure_motion(before: Sequence[Image.Image], after: Sequence[Image.Image], maker: Maker) -> Motion | None:
    """The pace of the last frames before a gap and the first after it; None where there is none to be told."""
    if maker.settings.method == INTERPOLATE or min(len(before), len(after)) < 2:
        return None
    interpolator = open_measuring(maker.settings)
    sides = [list(before)[-MEASURED:], list(after)[:MEASURED]]
    paces = [round(float(np.mean(step_lengths(side, interpolator))), 4) for side in sides]
    return Motion(*paces) if max(paces) > STATIC else None


def bridge_clips(
    clip_a: Sequence[Image.Image],
    clip_b: Sequence[Image.Image],
    maker: Maker,
    *,
    num_frames: int,
    context: int,
    match_colour: bool,
    carry_pace: bool,
) -> tuple[list[Image.Image], dict[str, Any]]:
    """clip_a, `num_frames` between, clip_b; see `joins.bridge`."""
    check_context(context, {"the first clip": len(clip_a), "the second clip": len(clip_b)})
    check_count("num_frames", num_frames, 1)
    if clip_a[0].size != clip_b[0].size:
        sizes = " and ".join(f"{width}x{height}" for width, height in (clip_a[0].size, clip_b[0].size))
        raise JoinError(f"expected two clips of one size, got {sizes}: resize one of them first")
    before, after = list(clip_a)[-context:], list(clip_b)[:context]
    motion = measure_motion(clip_a, clip_b, maker) if carry_pace else None
    gap, parts = fill_gap(before, after, num_frames, maker, match_colour=match_colour, motion=motion)
    parts["join"]["gap"] = [len(clip_a), len(clip_a) + num_frames]
    return [*clip_a, *gap, *clip_b], parts


def close_loop(
    clip: Sequence[Image.Image],
    maker: Maker,
    *,
    num_frames: int | None,
    context: int,
    match_colour: bool,
    carry_pace: bool,
    even: bool,
) -> tuple[list[Image.Image], dict[str, Any]]:
    """The clip and a gap that leads from its last frame to its first; see `joins.loop`."""
    count = loop_gap(len(clip), maker, num_frames, context)
    motion = measure_motion(clip, clip, maker) if carry_pace else None
    before, after = list(clip)[-context:], list(clip)[:context]
    gap, parts = fill_gap(before, after, count, maker, match_colour=match_colour, motion=motion)
    interpolator = open_measuring(maker.settings)
    around = [clip[-1], *gap, clip[0]]
    join = parts["join"]
    join["gap"] = [len(clip), len(clip) + count]
    if even:
        around, pace = even_pace(around, interpolator)
        join["pace"] = {name: [round(step, 3) for step in steps] for name, steps in pace.items()}
    frames = [*clip, *around[1:-1]]
    join["ratio"] = join_ratio(frames, interpolator)
    return frames, parts


def loop_gap(length: int, maker: Maker, num_frames: int | None, context: int) -> int:
    """How many frames lead from the last of a clip of so many to its first. JoinError: that cannot be."""
    check_context(context, {"the clip": length})
    if num_frames is not None:
        check_count("num_frames", num_frames)
    usual = 25 if maker.configs is None else maker.configs.num_frames
    count = max(usual - 2 * context, 1) if num_frames is None else num_frames - length
    if count < 1:
        raise JoinError(
            f"num_frames {num_frames}: the clip alone has {length}, expected at least one frame more, that leads "
            "from its last to its first; or cut the clip"
        )
    maker.check_window(count + 2 * context, f"{count} frames with {context} and {context} frames of context")
    return count


def join_ratio(frames: Sequence[Image.Image], interpolator: Any) -> float | None:
    """The step from the last frame to the first over the median step of the loop: 1 is no seam; None: nothing moves."""
    steps = step_lengths([*frames, frames[0]], interpolator)
    median = float(np.median(steps))
    return round(steps[-1] / median, 3) if median > 0 else None


def retake_clip(
    clip: Sequence[Image.Image],
    start: int,
    end: int,
    maker: Maker,
    *,
    context: int,
    mask: Any,
    match_colour: bool,
    carry_pace: bool,
) -> tuple[list[Image.Image], dict[str, Any]]:
    """The clip with the frames start .. end - 1 made anew; see `joins.retake`."""
    check_context(context, {})
    check_stretch(start, end, len(clip))
    before, after = list(clip)[max(start - context, 0) : start], list(clip)[end : end + context]
    taken = list(clip)[start:end]
    motion = measure_motion(clip[:start], clip[end:], maker) if carry_pace else None
    if mask is None:
        gap, parts = fill_gap(before, after, end - start, maker, match_colour=match_colour, motion=motion)
    else:
        region = open_region(mask, clip[0].size)

        def blended(pair: list[Image.Image]) -> list[Image.Image]:
            return [blend(pair[0], pair[1], region)]

        inside = replace_window(maker, [*before, *taken, *after], region)
        gap, parts = fill_gap(before, after, end - start, inside, match_colour=match_colour, motion=motion)
        gap = [draw_parts(blended, pair)[0] for pair in zip(taken, gap, strict=True)]
    frames = [*list(clip)[:start], *gap, *list(clip)[end:]]
    parts["join"]["gap"] = [start, end]
    return frames, parts


def replace_window(maker: Maker, scene: Sequence[Image.Image], region: Any) -> Maker:
    """The maker of windows that change inside a region only: outside it they keep the scene."""

    def make(window: Timeline, settings: Settings) -> tuple[list[Image.Image], dict[str, Any]]:
        return maker.make(replace(window, scene=tuple(as_seen(scene, settings)), redraw=region), settings)

    return replace(maker, make=make)


def check_stretch(start: int, end: int, length: int) -> None:
    """JoinError for a stretch that is not inside a clip of so many frames, with one at least on either side."""
    check_count("start", start)
    check_count("end", end)
    if not (0 < start < end < length):
        raise JoinError(
            f"expected 0 < start < end < {length} (the frames start to end - 1 are made anew, and one at least is "
            f"kept on either side), got start {start} and end {end} of {length} frames"
        )


def check_count(name: str, value: Any, least: int | None = None) -> None:
    """JoinError for what is no whole number, or one below `least`."""
    try:
        check_whole(name, value, least)
    except ValueError as error:
        raise JoinError(str(error)) from error


def check_context(context: int, lengths: dict[str, int]) -> None:
    """JoinError for a context that is no count, or that a clip is shorter than."""
    check_count("context", context, 1)
    for name, length in lengths.items():
        if length < context:
            raise JoinError(f"{name} has {length} frames, expected its context, {context}: take context={length}")
