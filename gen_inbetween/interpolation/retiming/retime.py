"""Retiming of a clip: more frames, fewer, slower, eased, looped."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from gen_inbetween.interpolation.faults.doubt import FilmQuality
from gen_inbetween.interpolation.interpolator import FrameInterpolator, check_kind
from gen_inbetween.interpolation.registry import open_interpolator
from gen_inbetween.interpolation.retiming.curves import Array, PathCurve, parse_curve
from gen_inbetween.interpolation.retiming.frame_pairs import Duplicates, FramePair, TimedFrame, check_duplicates
from gen_inbetween.interpolation.retiming.large_motion import LargeMotion, PairGenerator, plan_treatment
from gen_inbetween.interpolation.retiming.noted_pairs import Notes, noted_pairs
from gen_inbetween.interpolation.retiming.stream import draws_at, retime_in_any_order
from gen_inbetween.interpolation.retiming.timing import plan_times
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.image import Frame, open_images
from gen_inbetween.media.times.pauses import find_holds
from gen_inbetween.media.times.rates import exact_rate
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.checks import check_switch
from gen_inbetween.runtime.hashing import image_sha256

log = logging.getLogger("gen_inbetween")


def retime(
    clip: str | os.PathLike[str] | Clip | Sequence[Frame],
    *,
    fps: float | str | None = None,
    num_frames: int | None = None,
    times: Sequence[float] | Array | None = None,
    curve: str | PathCurve | Sequence[tuple[float, float]] = "linear",
    duration: float | None = None,
    loop: bool = False,
    phase: float = 0.0,
    passthrough: bool = True,
    cuts: bool = True,
    duplicates: Duplicates = "keep",
    large_motion: LargeMotion = "draw",
    generator: PairGenerator | None = None,
    interpolator: str | Path | FrameInterpolator | None = None,
    iters: int | None = None,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> Clip:
    """The clip at other times. How many frames, when and at what rate: see `timing.py`.

    Args:
        clip: a Clip, the path of a video, an animation or a folder of images (`Clip.open`), or a list of frames: two or
            more, of one size, sides of 16 pixels or more. A list has no rate: give `fps` with `num_frames` or `times`,
            or make it a Clip.
        fps, num_frames, times, curve, duration, phase: see `plan_times`; fps also as text: "30000/1001". A curve or
            times may turn back; the log says so. phase=0.5 shows no old frame, and so cures flicker of sharpness; all
            is shown half a new step early.
        loop: go on from the last frame to the first, which is not shown twice.
        passthrough: at whole positions show the old frame bit for bit; False: as the interpolator redraws it, which
            cures flicker of colour, and some of that of sharpness (figures: `pairs.pass_through`).
        cuts: never draw across a scene cut; the nearer side stands. The seam of a loop is no cut.
        duplicates: "keep" frames that repeat the one before, or "replace" them by even motion (see `frame_pairs`).
        large_motion, generator: what is shown where motion is too large to follow, as in `retime_video`.
        interpolator: a name of INTERPOLATORS, a file of weights, or one that is open; None: dis-splat.
        iters: for the "+ref" kinds, steps from one frame to the next; 1 unless given.
        device: where the interpolator is opened; None: the best there is. One that is open keeps its own.
        progress: show a bar on stderr.

    Returns:
        A clip whose manifest says how it was made.

    Raises:
        InterpolatorError: frames, times or a combination of arguments that cannot be.
        CurveError: no such curve.
        FrameError, VideoError: a frame, or the video, cannot be opened.
    """
    for name, value in (("loop", loop), ("cuts", cuts), ("passthrough", passthrough)):
        check_switch(name, value)
    if isinstance(fps, str):
        fps = float(exact_rate(fps))
    if isinstance(clip, str | os.PathLike):
        clip = Clip.open(clip)
    images = open_images(clip)
    rate = len(clip) / clip.duration if isinstance(clip, Clip) else None
    starts = clip.starts if isinstance(clip, Clip) else None
    path = parse_curve(curve)
    timing = plan_times(
        len(images),
        rate,
        fps=fps,
        num_frames=num_frames,
        times=times,
        curve=path,
        duration=duration,
        loop=loop,
        phase=phase,
    )
    positions = timing.positions
    if starts is not None and times is None:
        even = num_frames is None and not loop and path == parse_curve("linear")
        positions = places_in_time(positions, starts, even=even, loop=loop)
    check_duplicates(duplicates)
    treatment = plan_treatment(large_motion, generator)
    opened = open_interpolator(interpolator, device)
    steps = 1 if iters is None else iters
    check_kind(opened.info.kind, 0.5, None, steps)
    notes, ordered = Notes(), np.unique(positions)
    pairs = noted_pairs(
        _timed_frames(images, starts, loop),
        notes,
        partial(draws_at, ordered),
        cuts=cuts,
        duplicates=duplicates,
        seam=float(len(images)) if loop else None,
        seconds=partial(_seconds_of, starts, rate),
    )
    if (np.diff(positions) < 0).any():
        log.info("the times turn back in places: there the clip runs backwards")
    options: dict[str, Any] = {"passthrough": passthrough, "iters": steps, "treatment": treatment}
    drawn = retime_in_any_order(_told_cuts(pairs), positions, opened, progress=progress, **options)
    if doubtful := notes.quality.notice():
        log.warning("%s%s", doubtful, treatment.notice_for(opened))
    frames = [Image.fromarray(pixels) for pixels in drawn]
    settings = {
        "method": "retime",
        "num_frames": len(frames),
        "fps": timing.fps,
        "curve": None if times is not None else {"knots": path.knots, "kind": path.kind},
        "positions": positions.tolist(),
        "loop": loop,
        "phase": phase,
        "passthrough": passthrough,
        "cuts": cuts,
        "duplicates": duplicates,
        "iters": steps,
        **treatment.record,
    }
    plays = clip.plays if isinstance(clip, Clip) and not loop else 0
    return Clip(frames, timing.fps, _record(clip, images, opened, settings, notes.quality), plays=plays)


def places_in_time(positions: Array, starts: Sequence[float], *, even: bool, loop: bool) -> Array:
    """Positions in frames that are evenly spaced in time, of such that are so in the frames of a varying rate.

    Args:
        starts: seconds (n + 1,) at which the frames begin and the last one ends.
        even: each is shown at its share of the whole time; otherwise the last position is the last frame, or of a
            loop the first one again.
    """
    count = len(starts) - 1
    last = count if loop else count - 1
    seconds = positions * (starts[-1] / count if even else starts[last] / last)
    return np.interp(seconds, starts, np.arange(count + 1)).clip(0, last)


def _timed_frames(images: list[Image.Image], starts: Sequence[float] | None, loop: bool) -> list[TimedFrame]:
    """The frames at times 0, 1, ...; of a loop the first one again at the end."""
    holds = [False] * len(images) if starts is None else find_holds(np.array(starts)).tolist()
    frames = [TimedFrame(np.asarray(image), float(index), holds[index]) for index, image in enumerate(images)]
    return [*frames, TimedFrame(frames[0].pixels, float(len(images)))] if loop else frames


def _seconds_of(starts: Sequence[float] | None, rate: float | None, number: float) -> float:
    """When frame `number` is shown; of frames without a rate, the number."""
    if starts is not None:
        return starts[int(number)]
    return number / rate if rate else number


def _told_cuts(pairs: Iterator[FramePair]) -> list[FramePair]:
    """All pairs, once the log says where scenes begin."""
    known = list(pairs)
    begin = [f"{pair.last.seconds:g}" for pair in known if pair.cut]
    if begin:
        log.info("scene cuts are kept: a scene begins with frame %s", ", ".join(begin))
    return known


def _record(
    clip: Clip | Sequence[Frame],
    images: list[Image.Image],
    interpolator: FrameInterpolator,
    settings: dict[str, Any],
    quality: FilmQuality,
) -> dict[str, Any]:
    """The manifest, with that of the clip it was made of inside."""
    fps, manifest = (clip.fps, clip.manifest) if isinstance(clip, Clip) else (None, None)
    source = {"fps": fps, "frames": [image_sha256(image) for image in images], "manifest": manifest}
    parts = {"interpolator": asdict(interpolator.info), "settings": settings, "quality": quality.record()}
    return manifests.record(source=source, **parts)
