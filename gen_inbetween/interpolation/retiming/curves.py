"""Ease curves: progress along the way over time.

    value = curve(time)             time and value in [0, 1]; 0 is the first frame, 1 the last

Between knots a curve is straight ("linear"), or smooth without leaving the range of its neighbouring knots ("pchip":
Fritsch and Butland 1984). The cubic splines of InterpAny-Clearer's editor overshoot: an object that is to come to rest
would pass its goal and come back, so they are not offered.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.runtime.messages import nearest_names

Array: TypeAlias = NDArray[np.float64]
CurveKind: TypeAlias = Literal["linear", "pchip"]


class CurveError(ValueError):
    """A curve that cannot be; says what was expected, what came and what to do."""


@dataclass(frozen=True)
class PathCurve:
    """A curve through knots (time, value).

    Args:
        knots: two or more; times rise strictly from 0 to 1, values lie in [0, 1] and may fall again.
        kind: "pchip", smooth and monotone wherever the knots are, or "linear", straight from knot to knot.

    Raises:
        CurveError: fewer than two knots, times that do not rise from 0 to 1, a value outside of [0, 1], another kind.
    """

    knots: tuple[tuple[float, float], ...]
    kind: CurveKind = "pchip"

    def __post_init__(self) -> None:
        try:
            knots = tuple((float(time), float(value)) for time, value in self.knots)
        except (TypeError, ValueError, OverflowError) as error:
            raise CurveError(f"expected knots as pairs (time, value), got {self.knots!r:.100}") from error
        object.__setattr__(self, "knots", knots)  # lists of ints, as JSON and YAML bring them, are welcome
        if self.kind not in get_args(CurveKind):
            raise CurveError(f"expected a curve of kind {' or '.join(get_args(CurveKind))}, got {self.kind!r}")
        times = [time for time, _ in knots]
        rising = all(earlier < later for earlier, later in zip(times, times[1:], strict=False))
        if len(knots) < 2 or not rising or times[0] != 0 or times[-1] != 1:
            raise CurveError(
                "expected two or more knots (time, value) whose times rise from 0 to 1, "
                f"got times {', '.join(f'{time:g}' for time in times) or 'of none'}"
            )
        outside = [value for _, value in knots if not 0 <= value <= 1]  # written so that NaN is outside
        if outside:
            raise CurveError(f"expected values from 0 (the first frame) to 1 (the last), got {outside[0]:g}")

    def __call__(self, times: float | Sequence[float] | Array) -> Array:
        """The values at `times` (any shape, in [0, 1]), float64 of that shape. CurveError: a time outside."""
        at = np.asarray(times, np.float64)
        if not ((at >= 0) & (at <= 1)).all():
            raise CurveError(f"expected times in [0, 1], got {np.min(at):g} to {np.max(at):g}")
        x, y = np.array(self.knots).T
        if self.kind == "linear":
            return np.clip(np.interp(at, x, y), 0.0, 1.0)  # of rounding
        from scipy.interpolate import PchipInterpolator  # half a second, which an even pace need not wait for

        return np.clip(PchipInterpolator(x, y)(at), 0.0, 1.0)


def parse_curve(curve: str | PathCurve | Sequence[tuple[float, float]]) -> PathCurve:
    """A curve from what people write: a name of EASES, knots "0:0,0.5:0.8,1:1", pairs, or a curve already.

    >>> parse_curve("0:0,0.5:0.8,1:1").knots
    ((0.0, 0.0), (0.5, 0.8), (1.0, 1.0))

    Raises:
        CurveError: no such name (the nearest is named), a knot that is not time:value, or knots that make no curve.
    """
    if isinstance(curve, PathCurve):
        return curve
    if not isinstance(curve, str):
        try:
            knots = tuple(curve)
        except TypeError as error:
            raise CurveError(f"expected a curve's name, or pairs of time and value, got {curve!r}") from error
        return PathCurve(knots)
    name = curve.strip().lower().replace("_", "-")
    if name in EASES:
        return EASES[name]
    if ":" not in name:
        near = nearest_names(name, EASES)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise CurveError(f"no curve {curve!r}: {meant}Names are {', '.join(EASES)}; knots are time:value,time:value")
    return PathCurve(tuple(_knot(part) for part in name.split(",")))


def _knot(text: str) -> tuple[float, float]:
    time, _, value = text.partition(":")
    try:
        return float(time), float(value)
    except ValueError as error:
        raise CurveError(
            f"expected knots as time:value,time:value, for example 0:0,0.5:0.8,1:1; got {text!r}"
        ) from error


def _sample(function: Callable[[float], float], pieces: int, kind: CurveKind = "pchip") -> PathCurve:
    return PathCurve(tuple((k / pieces, function(k / pieces)) for k in range(pieces + 1)), kind)


def _bouncing(time: float) -> float:
    """Height fallen of a ball that meets the ground at 4/11, 8/11 and 10/11 of the time (Penner's bounce)."""
    for until, centre, rest in ((4, 0.0, 0.0), (8, 6.0, 0.75), (10, 9.0, 0.9375), (11, 10.5, 0.984375)):
        if time <= until / 11:
            return min(1.0, 7.5625 * (time - centre / 11) ** 2 + rest)
    return 1.0


EASES: dict[str, PathCurve] = {
    "linear": PathCurve(((0, 0), (1, 1)), "linear"),
    "ease-in": _sample(lambda t: t * t, 32),  # sets off slowly
    "ease-out": _sample(lambda t: 1 - (1 - t) ** 2, 32),  # comes to rest
    "ease-in-out": _sample(lambda t: t * t * (3 - 2 * t), 32),
    "hold-start": PathCurve(((0, 0), (0.25, 0), (1, 1))),  # waits for a quarter of the time
    "hold-end": PathCurve(((0, 0), (0.75, 1), (1, 1))),  # is there after three quarters
    "bounce": _sample(_bouncing, 88, "linear"),  # arrives, springs back three times; straight, for the hits are sharp
    "there-and-back": _sample(lambda t: (1 - math.cos(2 * math.pi * t)) / 2, 32),  # the last frame half-way
}
