"""Text and figures as a report writes them, in GitHub's Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from .statistics import Estimate

NOTHING = "-"


def plain(text: str) -> str:
    """Text that Markdown shows as it stands."""
    return re.sub(r"([\\`*<>\[\]|~]|(?<!\w)_|_(?!\w))", r"\\\1", text)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, first column on the left, figures on the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def decimals(values: Iterable[float]) -> int:
    """How many decimals show three digits of the largest value, or two below a tenth; six at most."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0) or 1.0
    digits = 3 if largest >= 0.1 else 2
    return min(6, max(0, digits - 1 - math.floor(math.log10(largest))))


def figure(value: float, digits: int, *, signed: bool = False) -> str:
    """A number, zero without a sign; a dash for NaN."""
    if math.isnan(value):
        return NOTHING
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def estimate(value: Estimate, digits: int, *, signed: bool = False) -> str:
    """`mean [low, high]`, without an interval where there is none."""
    mean, low, high = (figure(each, digits, signed=signed) for each in (value.mean, value.low, value.high))
    return mean if math.isnan(value.low) else f"{mean} [{low}, {high}]"


def probability(p: float) -> str:
    """A p-value as people write it."""
    return NOTHING if math.isnan(p) else "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
