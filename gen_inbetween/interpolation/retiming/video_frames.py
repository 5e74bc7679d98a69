"""The frames of a retimed video: streamed in constant memory, or, where a curve or a loop needs them all, in memory."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from PIL import Image

from gen_inbetween.interpolation.interpolator import FrameInterpolator
from gen_inbetween.interpolation.retiming.curves import PathCurve
from gen_inbetween.interpolation.retiming.frame_pairs import Duplicates, Span, Timed, spans
from gen_inbetween.interpolation.retiming.retime import retime
from gen_inbetween.interpolation.retiming.stream import MEETS, retime_spans
from gen_inbetween.interpolation.retiming.timing import plan_times
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.source import TimedVideo, VideoError

IN_MEMORY = 4e9  # bytes of frames that a curve or a loop may hold


@dataclass
class Counts:
    """What was met on the way."""

    cuts: int = 0
    duplicates: int = 0  # frames that repeat the one before: bit for bit, or left out


@dataclass(frozen=True)
class Drawing:
    """What is drawn, and how: see `retime_video`."""

    source: TimedVideo
    rate: Fraction  # frames a second of the output
    slowing: Fraction  # how many times as long
    interpolator: FrameInterpolator
    passthrough: bool
    cuts: bool
    duplicates: Duplicates
    iters: int
    phase: float  # which part of its step each frame shows, 0 to below 1

    @property
    def total(self) -> int:
        """How many frames the output has."""
        return max(1, round(Fraction(self.source.duration) * self.slowing * self.rate))

    def time(self, number: int) -> float:
        """What frame `number` of the output shows: seconds of the source."""
        return float((number + Fraction(self.phase)) / (self.rate * self.slowing))


def streamed_frames(drawing: Drawing, done: int, counts: Counts) -> Iterator[Image.Image]:
    """The frames from number `done` on, the very ones that a run from the start gives.

    Interpolators with a reference walk through a span from frame to frame: drawing begins where the span does. All
    frames before are still read, so that cuts and repeats are judged as they would be, and counted.
    """
    timed = (Timed(image, seconds) for image, seconds in drawing.source.frames())
    found = _counted(timed, drawing, counts)
    for span in found:
        width = span.last.seconds - span.first.seconds
        if drawing.time(done) < span.last.seconds - MEETS * width:
            break
    steps = Fraction(span.first.seconds) * drawing.rate * drawing.slowing - Fraction(drawing.phase)
    begin = min(done, max(0, math.ceil(steps)))
    times = map(drawing.time, range(begin, drawing.total))
    how: dict[str, Any] = {"passthrough": drawing.passthrough, "iters": drawing.iters}
    frames = retime_spans(itertools.chain([span], found), times, drawing.interpolator, **how)
    yield from itertools.islice(frames, done - begin, None)


def _counted(frames: Iterable[Timed], drawing: Drawing, counts: Counts) -> Iterator[Span]:
    """The spans between the frames, and what they tell of cuts and repeats."""
    met: deque[float] = deque()

    def meeting() -> Iterator[Timed]:
        for frame in frames:
            met.append(frame.seconds)
            yield frame

    for span in spans(meeting(), cuts=drawing.cuts, duplicates=drawing.duplicates):
        left_out = -1
        while met[0] < span.last.seconds:
            met.popleft()
            left_out += 1
        counts.duplicates += left_out + (span.held and not span.cut)
        counts.cuts += span.cut
        yield span


def curved_frames(
    drawing: Drawing, done: int, counts: Counts, curve: PathCurve, loop: bool, progress: bool
) -> Iterator[Image.Image]:
    """The frames from number `done` on along a curve, or of a loop. VideoError: too many for the memory."""
    images, times = _in_memory(drawing)
    source, last = drawing.source, len(images) - (not loop)
    rate = len(images) / source.duration
    duration = float(source.duration * drawing.slowing)
    asked: dict[str, Any] = {"fps": float(drawing.rate), "duration": duration, "phase": drawing.phase}
    plan = plan_times(len(images), rate, curve=curve, loop=loop, **asked)
    ends = [*times, source.duration]  # frame k at ends[k]; whatever the rate, positions become seconds become positions
    seconds = plan.positions / last * ends[last]
    positions = np.interp(seconds, ends, np.arange(len(ends))).clip(0, last)
    how: dict[str, Any] = {"passthrough": drawing.passthrough, "cuts": drawing.cuts, "iters": drawing.iters}
    timed = [Timed(image, time) for image, time in zip(images, times, strict=True)]
    deque(_counted(timed, drawing, counts), maxlen=0)
    clip = retime(
        Clip(images, rate), times=positions, fps=float(drawing.rate), loop=loop,
        duplicates=drawing.duplicates, interpolator=drawing.interpolator, progress=progress, **how,
    )  # fmt: skip
    yield from clip.frames[done:]


def _in_memory(drawing: Drawing) -> tuple[list[Image.Image], list[float]]:
    images, times = [], []
    for image, seconds in drawing.source.frames():
        count = len(drawing.source.times) + drawing.total
        if 3 * image.width * image.height * count > IN_MEMORY:
            raise VideoError(
                f"a curve or a loop holds all frames in memory, here {count} of {image.width}x{image.height}: choose a "
                "shorter part with start and stop"
            )
        images.append(image)
        times.append(seconds)
    return images, times
