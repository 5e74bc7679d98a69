"""Where in a clip each frame of its retimed version lies, and at what rate it is to be shown.

Frame k of the new clip shows the old one, of n frames at `rate` a second, at its position u_k:

    u_k = S curve(min(1, k / K))         S = n - 1; for a loop n, since it goes on from frame n - 1 to frame 0

    num_frames N     K = N - 1: both ends are shown and the pace stays, so the new rate is rate (N - 1) / (n - 1)
    fps              N = n fps / rate, rounded, and K = S fps / rate: frame k is shown at k / fps, the duration n / rate
                     stays, and the last frame stands as long as it did
    duration         as fps, with duration in place of n / rate
    a loop           K = N in each case: the step over the seam is as long as the others
    times            u_k themselves

25 frames at 7 a second: num_frames=97 shows them at 28 a second, three between any two; fps=24 makes 86 frames, 3.58 s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .curves import Array, PathCurve, parse_curve
from .interpolator import InterpolatorError

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
) -> Timing:
    """The times of a clip of `count` frames at `rate` (None: it has none), by the rules above.

    Args:
        fps: the new rate. With num_frames or times it is only that: so many frames, played at this rate.
        num_frames: how many, 2 or more.
        times: positions in [0, S], in any order. Excludes num_frames, duration and curve.
        curve: how far along the way at each time; a name of EASES, knots, or a PathCurve.
        duration: of the new clip in seconds, N / fps.

    Returns:
        As many positions, and the rate. Without any of them, those of the old clip.

    Raises:
        InterpolatorError: arguments out of range, that exclude each other, or that leave the rate open.
        CurveError: no such curve.
    """
    if count < 2:
        raise InterpolatorError(f"expected two frames or more, to find others between them; got {count}")
    for name, value in (("fps", fps), ("duration", duration)):
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise InterpolatorError(f"expected {name} above 0, got {value:g}")
    path = parse_curve(curve)
    span = float(count if loop else count - 1)
    if times is not None:
        if num_frames is not None or duration is not None or path != parse_curve("linear"):
            raise InterpolatorError("times say everything: leave out num_frames, duration and curve")
        return Timing(_checked(times, span), _known(fps or rate, "fps"))
    if num_frames is not None:
        total, new_rate = _check_count(num_frames), _rate_of(num_frames, span, rate, fps, duration, loop)
        last = float(total if loop else total - 1)
    else:
        new_rate = _known(fps or rate, "fps")
        seconds = duration or count / _known(rate, "duration")
        total = _check_count(math.floor(seconds * new_rate + 0.5), least=1)
        last = float(total) if loop else span / count * seconds * new_rate
    done = np.minimum(np.arange(total) / last, 1.0)
    return Timing(span * path(done), new_rate)


def _known(value: float | None, name: str) -> float:
    if value is None:
        raise InterpolatorError(f"frames in a list have no rate: give {name} too, or make them a Clip(frames, fps)")
    return float(value)


def _rate_of(
    num_frames: int, span: float, rate: float | None, fps: float | None, duration: float | None, loop: bool
) -> float:
    """The new rate where the number of frames is given."""
    if fps is not None and duration is not None:
        raise InterpolatorError("expected at most two of fps, num_frames and duration: the third follows; got all")
    if fps is not None:
        return float(fps)
    if duration is not None:
        return num_frames / duration
    return _known(rate, "fps") * (num_frames if loop else num_frames - 1) / span


def _check_count(num_frames: int, least: int = 2) -> int:
    if not least <= num_frames <= MOST_FRAMES or num_frames != int(num_frames):
        raise InterpolatorError(f"expected {least} to {MOST_FRAMES} frames, all counted; got {num_frames}")
    return int(num_frames)


def _checked(times: Sequence[float] | Array, span: float) -> Array:
    positions = np.asarray(times, np.float64)
    if positions.ndim != 1 or not len(positions):
        raise InterpolatorError(f"expected times as a list of numbers, got shape {positions.shape}")
    if not ((positions >= 0) & (positions <= span)).all():
        low, high = positions.min(), positions.max()
        raise InterpolatorError(
            f"expected times in frames of the clip, from 0 to {span:g}; got {low:g} to {high:g} (seconds times fps)"
        )
    return positions
