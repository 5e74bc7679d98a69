"""Pauses of a film: pictures that are meant to stand still."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

HOLD_STEPS = 8  # times the usual step, and ...
HOLD_SECONDS = 0.5  # ... so long: a picture that stands longer is meant to stand


def find_holds(times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which frames stand still, of the times (n + 1,) at which n frames begin and the last one ends.

    Those shown HOLD_STEPS times as long as is usual between frames, and HOLD_SECONDS at least: pauses of a screen
    recording or a GIF. The usual step is the lower median.
    """
    steps = np.diff(times)
    between = np.sort(steps[:-1] if len(steps) > 1 else steps)
    usual = between[(len(between) - 1) // 2]
    return (steps > HOLD_STEPS * usual) & (steps >= HOLD_SECONDS)


def mean_rate(times: NDArray[np.float64]) -> Fraction:
    """Frames a second of (n + 1,) times; pauses do not count, unless there is nothing else.

    Nor does a last picture that is shown twice as long as usual, as in an animation before it begins anew.

    >>> mean_rate(np.cumsum([0, 0.1, 0.1, 2.0, 0.1, 0.1, 0.5]))
    Fraction(10, 1)
    """
    steps = np.diff(times)
    moves = ~find_holds(times)
    moves[-1] &= steps[-1] <= 2 * np.median(steps)
    moving = steps[moves]
    chosen = moving if len(moving) else steps
    return Fraction(len(chosen) / float(chosen.sum())).limit_denominator(1001)
