"""Curves of motion and doubt over the time of a film, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from gen_inbetween.interpolation.faults.doubt import clock

WIDTH, LEFT, RIGHT = 960, 52, 12
CURVE, STRIP, GAP = 130, 20, 32  # heights: of a curve, of the strip of what is not drawn, between them
TICKS = 8


def film_chart(quality: Mapping[str, Any], title: str) -> str:
    """The doubt with its limit, the motion, and where nothing is drawn: one picture, read from left to right.

    quality: as `FilmQuality.record` gives it.
    """
    until, curve, limit = max(quality["until"], 1e-3), quality["curve"], quality["limit"]

    def x(seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(seconds / until, 0), 1)

    tops = [GAP, 2 * GAP + CURVE, 3 * GAP + 2 * CURVE]
    bottom = tops[2] + STRIP
    most = max(1.3 * limit, *curve["doubt"], 0)
    parts = [
        *(_band(x, span, tops[0], bottom, "doubtful") for span in quality["spans"]["doubtful"]),
        *_panel(x, curve, "doubt", tops[0], most, "doubt: grey levels that the motion leaves unexplained"),
        _limit(tops[0] + CURVE * (1 - limit / most), limit),
        *_panel(x, curve, "motion", tops[1], max(4.0, *curve["motion"], 0), "motion: pixels of 256, frame to frame"),
        f'<text class="name" x="{LEFT}" y="{tops[2] - 7}">nothing is drawn in between: '
        "holds, repeated frames, cuts (lines)</text>",
        f'<rect class="frame" x="{LEFT}" y="{tops[2]}" width="{WIDTH - LEFT - RIGHT}" height="{STRIP}"/>',
        *(_band(x, span, tops[2], bottom, "repeat") for span in quality["spans"]["repeat"]),
        *(_band(x, span, tops[2], bottom, "stands") for span in quality["spans"]["stands"]),
        *(_cut(x(second), tops[0], bottom, second) for second in quality["cuts"]),
        *_time_axis(x, until, bottom),
    ]
    doubt, motion = (max(curve[name], default=0) for name in ("doubt", "motion"))
    described = (
        f"From 0 to {clock(until)}: doubt up to {doubt:g} grey levels, limit {limit:g}; motion up to {motion:g} pixels "
        f"of 256; {len(quality['cuts'])} cuts."
    )
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {bottom + 30}" role="img" aria-labelledby="chart-title chart-text">'
        f'<title id="chart-title">{escape(title)}</title><desc id="chart-text">{escape(described)}</desc>'
        + "".join(parts)
        + "</svg>"
    )


def _panel(
    x: Any, curve: Mapping[str, Sequence[float]], name: str, top: float, most: float, label: str
) -> Iterator[str]:
    base = top + CURVE

    def y(value: float) -> float:
        return base - CURVE * min(value / most, 1)

    yield f'<text class="name" x="{LEFT}" y="{top - 7}">{label}</text>'
    for value in _ticks(most, 3):
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        yield f'<text class="tick" x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
    seconds, values = curve["seconds"], curve[name]
    if not seconds:
        return
    steps = "".join(f"H{x(at):.1f}V{y(value):.1f}" for at, value in zip(seconds, values, strict=True))
    line = f"M{x(seconds[0]):.1f} {base}{steps}H{WIDTH - RIGHT}"
    yield f'<path class="area {name}" d="{line}V{base}Z"/><path class="line {name}" d="{line}"/>'


def _band(x: Any, span: Sequence[float], top: float, bottom: float, kind: str) -> str:
    begin, end = span
    words = {"doubtful": "doubtful", "repeat": "repeated frames", "stands": "a hold"}[kind]
    return (
        f'<rect class="{kind}" x="{x(begin):.1f}" y="{top}" width="{max(x(end) - x(begin), 1.5):.1f}" '
        f'height="{bottom - top}"><title>{words}: {clock(begin)}-{clock(end)}</title></rect>'
    )


def _cut(x: float, top: float, bottom: float, seconds: float) -> str:
    place = f'x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"'
    return f'<line class="cut" {place}><title>a cut at {clock(seconds)}</title></line>'


def _limit(y: float, limit: float) -> str:
    return (
        f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{WIDTH - RIGHT - 4}" y="{y - 5:.1f}" text-anchor="end">limit {limit:g}</text>'
    )


def _time_axis(x: Any, until: float, bottom: float) -> Iterator[str]:
    for seconds in _ticks(until, TICKS):
        yield f'<line class="grid" x1="{x(seconds):.1f}" x2="{x(seconds):.1f}" y1="{bottom}" y2="{bottom + 5}"/>'
        anchor = "start" if seconds == 0 else "middle" if seconds < 0.97 * until else "end"
        yield (
            f'<text class="tick" x="{x(seconds):.1f}" y="{bottom + 20}" text-anchor="{anchor}">{clock(seconds)}</text>'
        )


def _ticks(most: float, count: int) -> list[float]:
    """Round numbers from 0 to `most`, about so many.

    >>> _ticks(12.4, 4)
    [0, 5, 10]
    """
    rough = most / count
    power = 10 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [round(number * step, 10) for number in range(int(most / step + 1e-9) + 1)]
