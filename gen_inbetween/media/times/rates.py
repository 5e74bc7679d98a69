"""Frame rates and times as people write them.

29.97   30000/1001   60000/1001   25        frames a second; decimals of NTSC's rates mean x/1001 exactly
62.5    1:02.5    00:01:02.5                 seconds, minutes, hours
"""

from __future__ import annotations

import re
from fractions import Fraction
from numbers import Real

from gen_inbetween.media.frames.errors import VideoError

SLOWEST, FASTEST = Fraction(1, 10), Fraction(1000)  # frames a second
_NTSC = Fraction(2, 10_000)  # how far 23.98 lies from 24000/1001, and 29.97 from 30000/1001, of themselves
_TIMECODE = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:[.,]\d*)?|[.,]\d+)")


def exact_rate(value: float | str | Fraction, name: str = "fps") -> Fraction:
    """Frames a second, exactly, of a number or of text.

    >>> exact_rate(29.97), exact_rate("23.98"), exact_rate("60000/1001"), exact_rate(12.5)
    (Fraction(30000, 1001), Fraction(24000, 1001), Fraction(60000, 1001), Fraction(25, 2))

    Raises:
        VideoError: no number, or one outside of 0.1 to 1000; it is called `name`.
    """
    outside = f"{name} is between 0.1 and 1000 frames a second; got {value}"
    if isinstance(value, Fraction):
        rate = value
    else:
        text = str(value).replace(",", ".").strip()
        try:
            fraction = Fraction(text) if "/" in text else None
            near = float(text) if fraction is None else fraction
        except (ValueError, ZeroDivisionError) as error:
            said = f"{name} is a number of frames a second, such as 60, 29.97 or 60000/1001; got {value!r}"
            raise VideoError(said) from error
        if not SLOWEST / 2 < near < 2 * FASTEST:  # nor NaN; before the digits of 1e1000000000 are written out
            raise VideoError(outside)
        rate = _meant(Fraction(text)) if fraction is None else fraction
    if not SLOWEST <= rate <= FASTEST:
        raise VideoError(outside)
    return rate


def _meant(number: Fraction) -> Fraction:
    """NTSC's rate where a decimal is one rounded; else the nearest simple fraction."""
    ntsc = Fraction(1000 * round(number * Fraction(1001, 1000)), 1001)
    if number.denominator != 1 and ntsc and abs(number - ntsc) <= _NTSC * ntsc:
        return ntsc
    return number.limit_denominator(1001)


def parse_seconds(value: float | str | None, name: str) -> float | None:
    """Seconds of a number, or of text such as 62.5, 1:02.5 or 00:01:02.5; None stays so.

    >>> parse_seconds("00:01:02.5", "start"), parse_seconds("1:02.5", "start"), parse_seconds(3, "start")
    (62.5, 62.5, 3.0)

    Raises:
        VideoError: anything else; it is called `name`.
    """
    if value is None or (isinstance(value, Real) and not isinstance(value, bool)):
        return None if value is None else float(value)
    match = _TIMECODE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise VideoError(f"{name} is a time in seconds or as a timecode, such as 62.5 or 00:01:02.5; got {value!r}")
    hours, minutes, seconds = match.groups()
    for part, unit in ((seconds, "seconds"), (minutes, "minutes")):
        if (minutes if unit == "seconds" else hours) is not None and float(part.replace(",", ".")) >= 60:
            raise VideoError(f"{name}: a timecode has fewer than 60 {unit}; got {value!r}")
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(seconds.replace(",", "."))
