"""Timing of a retimed clip: positions of its frames, and its rate.

Frame k of the new clip shows the old one, of n frames at `rate` a second, at its position u_k:

    u_k = S curve(min(1, (k + phase) / K))      S = n - 1; for a loop n, since it goes on from frame n - 1 to frame 0

    num_frames N     K = N - 1 + 2 phase: both ends are shown (phase 0) and the pace stays: the new rate is rate K / S
    fps              N = n fps / rate, rounded, and K = S fps / rate: frame k is shown at k / fps, the duration n / rate
                     stays, and the last frame stands as long as it did
    duration         as fps, with duration in place of n / rate
    a loop           K = N in each case: the step over the seam is as long as the others
    times            u_k themselves

Phase 1/2 lets every frame of a whole factor m fall between two old ones, at (k + 1/2) / m: none is an old frame,
sharper than its neighbours. That cures flicker where most else fails (figures: `pairs.pass_through`).

25 frames at 7 a second: num_frames=97 shows them at 28 a second, three between any two; fps=24 makes 86 frames, 3.58 s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gen_inbetween.interpolation.interpolator import InterpolatorError
from gen_inbetween.interpolation.retiming.curves import Array, PathCurve, parse_curve
from gen_inbetween.runtime.checks import check_positive, check_real

MOST_FRAMES = 1_000_000  # more of them at once are a slip of the keyboard


@dataclass(frozen=True)
class Timing:
    """positions (N,): where each new frame lies, in frames of the old clip (0 to S). fps: the new rate."""

    positions: Array
    fps: float


def plan_times(
    count: int,
    rate: float | None,
    *,
    fps: float | None = None,
    num_frames: int | None = None,
    times: Sequence[float] | Array | None = None,
    curve: str | PathCurve | Sequence[tuple[float, float]] = "linear",
    duration: float | None = None,
    loop: bool = False,
    phase: float = 0.0,
) -> Timing:
    """The times of a clip of `count` frames at `rate` (None: it has none), by the rules above.

    Args:
        fps: the new rate. With num_frames or times it is only that: so many frames, played at this rate.
        num_frames: how many, 2 or more.
        times: positions in [0, S], in any order. Excludes num_frames, duration, curve and phase.
        curve: how far along the way at each time; a name of EASES, knots, or a PathCurve.
        duration: of the new clip in seconds, N / fps.
        phase: 0 to below 1, which part of its step each new frame shows.

    Returns:
        As many positions, and the rate. Without any of them, those of the old clip.

    >>> plan_times(3, 10, fps=20)
    Timing(positions=array([0. , 0.5, 1. , 1.5, 2. , 2. ]), fps=20.0)

    Raises:
        InterpolatorError: arguments out of range, that exclude each other, or that leave the rate open.
        CurveError: no such curve.
    """
    if count < 2:
        raise InterpolatorError(f"expected two frames or more, to find others between them; got {count}")
    for name, value in (("fps", fps), ("duration", duration)):
        try:
            check_positive(name, 1 if value is None else value)
        except ValueError as error:
            raise InterpolatorError(str(error)) from error
    path = parse_curve(curve)
    span = float(count if loop else count - 1)
    check_phase(phase)
    if times is not None:
        if num_frames is not None or duration is not None or phase or path != parse_curve("linear"):
            raise InterpolatorError("times say everything: leave out num_frames, duration, curve and phase")
        return Timing(_check_times(times, span), _require(fps or rate, "fps"))
    if num_frames is not None:
        total = _check_count(num_frames)
        last = total if loop else total - 1 + 2 * phase
        new_rate = _rate_of(total, last / span, rate, fps, duration)
    else:
        new_rate = _require(fps or rate, "fps")
        seconds = duration or count / _require(rate, "duration")
        total = _check_count(math.floor(seconds * new_rate + 0.5), least=1)
        last = total if loop else span / count * seconds * new_rate
    progress = np.minimum((np.arange(total) + phase) / last, 1.0)
    return Timing(span * path(progress), new_rate)


def check_phase(phase: float) -> None:
    """Raise InterpolatorError for a part of a step that is none."""
    if not 0 <= check_real("phase", phase) < 1:
        raise InterpolatorError(f"expected phase from 0 to below 1 step, got {phase:g}")


def _require(value: float | None, name: str) -> float:
    if value is None:
        raise InterpolatorError(f"frames in a list have no rate: give {name} too, or make them a Clip(frames, fps)")
    return float(value)


def _rate_of(num_frames: int, factor: float, rate: float | None, fps: float | None, duration: float | None) -> float:
    """The new rate where the number of frames is given; factor: new frames for each old one."""
    if fps is not None and duration is not None:
        raise InterpolatorError("expected at most two of fps, num_frames and duration: the third follows; got all")
    if fps is not None:
        return float(fps)
    return num_frames / duration if duration is not None else _require(rate, "fps") * factor


def _check_count(num_frames: int, least: int = 2) -> int:
    check_real("num_frames", num_frames)
    if not least <= num_frames <= MOST_FRAMES or num_frames != int(num_frames):
        raise InterpolatorError(f"expected {least} to {MOST_FRAMES} frames, all counted; got {num_frames}")
    return int(num_frames)


def _check_times(times: Sequence[float] | Array, span: float) -> Array:
    try:
        positions = np.asarray(times, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InterpolatorError(f"expected times as a list of numbers, got {times!r:.100}") from error
    if positions.ndim != 1 or not len(positions):
        raise InterpolatorError(f"expected times as a list of numbers, got shape {positions.shape}")
    if not ((positions >= 0) & (positions <= span)).all():
        low, high = positions.min(), positions.max()
        raise InterpolatorError(
            f"expected times in frames of the clip, from 0 to {span:g}; got {low:g} to {high:g} (seconds times fps)"
        )
    return positions
