"""Tables of a report, as GitHub's Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gen_inbetween.evaluation.report.comparisons import (
    Comparison,
    best_seed,
    compare_with_reference,
    rank_methods,
    values_to_compare,
)
from gen_inbetween.evaluation.report.metric_info import MetricInfo
from gen_inbetween.evaluation.report.scores import Group, Scores
from gen_inbetween.evaluation.report.statistics import Estimate, bootstrap_interval
from gen_inbetween.evaluation.settings import TRUTH

ARROWS = {"higher": "↑", "lower": "↓", "truth": "→ truth"}


def heading(metric: MetricInfo, counts: Iterable[int] = ()) -> str:
    """A column's name, unit and direction, and N where it is the same in all cells that have a value."""
    shared = set(counts) - {0}
    parts = [f"`{metric.name}`", metric.unit, ARROWS[metric.better]]
    if len(shared) == 1:
        parts.append(f"N = {shared.pop()}")
    return " ".join(filter(None, parts))


def contrast_heading(metric: MetricInfo, counts: Iterable[int] = ()) -> str:
    """As `heading`, of what methods are compared by: for some measures the distance from the true clip's value."""
    if metric.better != "truth":
        return heading(metric, counts)
    return heading(metric, counts).replace(f" {ARROWS['truth']}", f", distance from the truth's {ARROWS['lower']}")


def estimates(columns: Mapping[str, Mapping[str, Estimate]], bold: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The rows of a table of estimates.

    Args:
        columns: heading -> label -> estimate; the rows are the labels of the first column.
        bold: heading -> labels that stand out in it.
    """
    rows = [[_label(label)] for label in next(iter(columns.values()), {})]
    for name, column in columns.items():
        digits = decimals(value.mean for value in column.values())
        differ = len({value.count for value in column.values()} - {0}) > 1
        for row, (label, value) in zip(rows, column.items(), strict=True):
            cell = estimate(value, digits)
            cell = f"**{cell}**" if label in bold.get(name, ()) else cell
            row.append(f"{cell} (N = {value.count})" if differ and value.count else cell)
    return rows


def _label(label: str) -> str:
    return "*true clips*" if label == TRUTH else plain(label)


def means(scores: Scores, metrics: Sequence[MetricInfo], methods: Sequence[str]) -> str:
    """Rows methods, columns measures; bold: better than every other row, by the paired tests."""
    columns, bold = {}, {}
    for metric in metrics:
        labels = [TRUTH, *methods] if _true_clips(scores, metrics) else list(methods)
        column = {label: _mean(scores, metric, label) for label in labels}
        name = heading(metric, (value.count for value in column.values()))
        columns[name], bold[name] = column, winner(scores, metric, methods)
    return table(["method", *columns], estimates(columns, bold))


def _true_clips(scores: Scores, metrics: Sequence[MetricInfo]) -> bool:
    return any(_mean(scores, metric, TRUTH).count for metric in metrics)


def _mean(scores: Scores, metric: MetricInfo, label: str) -> Estimate:
    scored = (metric.name, label) in scores.table
    return bootstrap_interval(scores.by_pair(metric.name, label) if scored else np.nan)


def winner(scores: Scores, metric: MetricInfo, methods: Sequence[str]) -> list[str]:
    """The one method that is better than every other, if there is one."""
    order = rank_methods(scores, metric, methods)
    return order[0] if len(order) > 1 and len(order[0]) == 1 else []


def best_of_seeds(scores: Scores, metrics: Sequence[MetricInfo], methods: Sequence[str]) -> str:
    """As `means`, of the best seed of each pair."""
    columns = {}
    for metric in metrics:
        column = {label: bootstrap_interval(best_seed(scores, metric, label)) for label in methods}
        columns[heading(metric, (value.count for value in column.values()))] = column
    return table(["method", *columns], estimates(columns, {}))


def order(scores: Scores, metrics: Sequence[MetricInfo], methods: Sequence[str]) -> str:
    """What the data say of the order of these methods, measure by measure."""
    rows = []
    for metric in metrics:
        ranks = rank_methods(scores, metric, methods)
        names = [", ".join(map(plain, tier)) for tier in ranks]
        groups = [f"({text})" if len(tier) > 1 else text for text, tier in zip(names, ranks, strict=True)]
        text = " > ".join(groups) if len(ranks) > 1 else "not distinguished" if ranks else NOTHING
        rows.append([contrast_heading(metric), text])
    return table(["measure", "order, better first"], rows).replace("---:", ":---")


def differences(scores: Scores, metrics: Sequence[MetricInfo], methods: Sequence[str], reference: str) -> str:
    """Paired differences from the reference; the rows are the other methods."""
    others = [method for method in methods if method != reference]
    rows = [[plain(method)] for method in others]
    header = ["method"]
    for metric in metrics:
        comparisons = compare_with_reference(scores, metric, reference)
        header.append(contrast_heading(metric, (comparisons[method].difference.count for method in others)))
        digits = decimals(comparisons[method].difference.mean for method in others)
        for row, method in zip(rows, others, strict=True):
            row.append(_compared(comparisons[method], digits))
    return table(header, rows)


def _compared(comparison: Comparison, digits: int) -> str:
    if comparison.difference.count == 0:
        return NOTHING
    text = f"{estimate(comparison.difference, digits, signed=True)}, {probability(comparison.p)}"
    return f"{text} **{comparison.verdict}**" if comparison.verdict else text


def grouped(scores: Scores, metric: MetricInfo, methods: Sequence[str], groups: Sequence[Group], name: str) -> str:
    """One measure, a column for each group of pairs."""
    columns = {}
    for group in groups:
        column = {
            label: bootstrap_interval(values_to_compare(scores, metric, label)[group.members]) for label in methods
        }
        columns[f"{name} {group.label} (pairs: {int(group.members.sum())})"] = column
    return table([contrast_heading(metric), *columns], estimates(columns, {}))


def cost(scores: Scores, methods: Sequence[str]) -> str:
    """UNet passes and seconds a clip."""
    rows = []
    for method in methods:
        passes, seconds = (bootstrap_interval(column[method]) for column in (scores.passes, scores.seconds))
        clips = len(scores.passes[method])
        rows.append([plain(method), str(clips), figure(passes.mean, 0), estimate(seconds, decimals([seconds.mean]))])
    return table(["method", "clips", "UNet passes a clip", "seconds a clip"], rows)


def sets(distances: Mapping[str, Mapping[str, Any]], metrics: Sequence[MetricInfo], methods: Sequence[str]) -> str:
    """Distances between sets of clips, as `sets.json` has them: plain with its interval, and extrapolated."""
    rows = [[plain(method)] for method in methods]
    header = ["method"]
    for metric in metrics:
        values = {method: distances[metric.name].get(method) for method in methods}
        scored = {method: value for method, value in values.items() if value and value["value"] is not None}
        digits = decimals(value["value"] for value in scored.values())
        header += [heading(metric, (value["clips"] for value in scored.values())), "extrapolated"]
        best = _separate(scored)
        for row, method in zip(rows, methods, strict=True):
            row += _distance(scored.get(method), digits, bold=method == best)
    return table(header, rows)


def _separate(scored: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The method whose interval ends below every other's."""
    if len(scored) < 2:
        return None
    first, *others = sorted(scored, key=lambda method: _float(scored[method]["value"]))
    high = _float(scored[first]["high"])
    return first if all(high < _float(scored[other]["low"]) for other in others) else None


def _distance(value: Mapping[str, Any] | None, digits: int, *, bold: bool) -> list[str]:
    if value is None:
        return [NOTHING, NOTHING]
    mean, low, high = (_float(value[key]) for key in ("value", "low", "high"))
    interval = Estimate(mean, low, high, value["clips"])
    text = estimate(interval, digits)
    return [f"**{text}**" if bold else text, figure(_float(value["extrapolated"]), digits)]


def _float(value: float | None) -> float:
    return float("nan") if value is None else float(value)


NOTHING = "-"


def plain(text: str) -> str:
    """Text that Markdown shows as it stands."""
    return re.sub(r"([\\`*<>\[\]|~]|(?<!\w)_|_(?!\w))", r"\\\1", text)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, first column on the left, figures on the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def decimals(values: Iterable[float]) -> int:
    """How many decimals show three digits of the largest value, or two below a tenth; six at most.

    >>> decimals([31.4159]), decimals([0.0123])
    (1, 3)
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0) or 1.0
    digits = 3 if largest >= 0.1 else 2
    return min(6, max(0, digits - 1 - math.floor(math.log10(largest))))


def figure(value: float, digits: int, *, signed: bool = False) -> str:
    """A number, zero without a sign; a dash for NaN.

    >>> figure(2.345, 1), figure(-0.001, 2), figure(1.5, 1, signed=True)
    ('2.3', '0.00', '+1.5')
    """
    if math.isnan(value):
        return NOTHING
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def estimate(value: Estimate, digits: int, *, signed: bool = False) -> str:
    """`mean [low, high]`, without an interval where there is none."""
    mean, low, high = (figure(each, digits, signed=signed) for each in (value.mean, value.low, value.high))
    return mean if math.isnan(value.low) else f"{mean} [{low}, {high}]"


def probability(p: float) -> str:
    """A p-value as people write it.

    >>> probability(0.00002), probability(0.034), probability(0.25)
    ('p < 0.001', 'p = 0.034', 'p = 0.25')
    """
    return NOTHING if math.isnan(p) else "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
