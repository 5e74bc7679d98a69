"""Frontier of quality against UNet passes: what no other method beats.

A method is on the frontier of a measure where none with as few passes or fewer has a better mean. Whether a method is
"not worse" than the reference is a paired test's to say (Holm over all methods of the measure): not found worse, and
the interval of the difference is shown, so that a wide one can be seen to prove little.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from gen_inbetween.evaluation.report.comparisons import Comparison, compare_with_reference, mean_of, values_to_compare
from gen_inbetween.evaluation.report.metric_info import MetricInfo
from gen_inbetween.evaluation.report.plots import styles
from gen_inbetween.evaluation.report.scores import Scores
from gen_inbetween.evaluation.report.statistics import bootstrap_interval
from gen_inbetween.evaluation.report.tables import figure, plain, table

# How what is on no frontier is drawn.
OTHER = {"color": "#b5b5b5", "marker": ".", "elinewidth": 0.6, "zorder": -1}


def passes_of(scores: Scores, method: str) -> float:
    """UNet passes of a clip, the mean over all of them: runs that stop repeating early differ."""
    return float(np.mean(scores.passes[method]))


def pareto(points: dict[str, tuple[float, float]], higher: bool = False) -> list[str]:
    """The names whose (cost, value) no other name beats: as cheap and better, or cheaper and as good; by cost.

    What has no value, or a cost that nobody counted (clips of other tools), is NaN and on no frontier.

    >>> pareto({"a": (100, 3.0), "b": (700, 2.0), "c": (200, 3.5), "d": (100, 4.0)})
    ['a', 'b']
    """
    signed = {name: (cost, -value if higher else value) for name, (cost, value) in points.items()}
    front = [
        name
        for name, (cost, value) in signed.items()
        if not np.isnan([cost, value]).any()
        and not any(c <= cost and v <= value and (c, v) != (cost, value) for c, v in signed.values())
    ]
    return sorted(front, key=lambda name: signed[name])


def fronts(scores: Scores, metrics: Sequence[MetricInfo], methods: Sequence[str]) -> dict[str, list[str]]:
    """The frontier of each measure."""
    found = {}
    for metric in metrics:
        points = {
            method: (passes_of(scores, method), mean_of(values_to_compare(scores, metric, method)))
            for method in methods
        }
        found[metric.name] = pareto(points, metric.direction == "higher")
    return found


def frontier_table(
    scores: Scores, metrics: Sequence[MetricInfo], methods: Sequence[str], reference: str, budget: float
) -> Iterator[str]:
    """Blocks of Markdown: every method with its passes, what is better or worse than the reference, verdicts."""
    comparisons = {metric.name: compare_with_reference(scores, metric, reference) for metric in metrics}
    on_front = fronts(scores, metrics, methods)
    ordered = sorted(methods, key=lambda method: np.nan_to_num(passes_of(scores, method), nan=np.inf))
    rows = []
    for method in ordered:
        cells = []
        for metric in metrics:
            values = values_to_compare(scores, metric, method)
            cell = f"{mean_of(values):.3g}"
            if method != reference:
                cell += mark(comparisons[metric.name][method])
            cells.append(f"**{cell}**" if method in on_front[metric.name] else cell)
        rows.append([plain(method), figure(passes_of(scores, method), 0), *cells])
    yield table(["method", "passes", *(f"`{metric.name}`" for metric in metrics)], rows)
    yield (
        f"Bold: on the frontier of the measure. ↑ better, ↓ worse than {plain(reference)} (paired test, Holm over the "
        "methods of a measure); unmarked: not told apart."
    )
    cheap = [method for method in ordered if method != reference and passes_of(scores, method) <= budget]
    kept = [
        method for method in cheap if not any(comparisons[metric.name][method].verdict == "worse" for metric in metrics)
    ]
    if kept:
        yield f"At {budget:.0f} passes or fewer, in no measure found worse than {plain(reference)}:"
        yield "\n".join(f"- {plain(method)}: {differences(method, comparisons, metrics)}" for method in kept)
    else:
        yield f"At {budget:.0f} passes or fewer every method is worse than {plain(reference)} in some measure."


def mark(comparison: Comparison) -> str:
    return {"better": " ↑", "worse": " ↓", "": ""}[comparison.verdict]


def differences(method: str, comparisons: dict[str, dict[str, Comparison]], metrics: Sequence[MetricInfo]) -> str:
    """How far a method is from the reference in each measure, with the interval."""
    parts = []
    for metric in metrics:
        difference = comparisons[metric.name][method].difference
        parts.append(f"`{metric.name}` {difference.mean:+.3g} [{difference.low:+.3g}, {difference.high:+.3g}]")
    return ", ".join(parts)


def frontier_figure(scores: Scores, metrics: Sequence[MetricInfo], methods: Sequence[str], reference: str) -> Figure:
    """Passes against each measure, a panel each: the frontier as a line whose methods are named, the others in grey."""
    drawing = Figure(figsize=(11.5, 2.6 * len(metrics)), layout="constrained")
    panels = drawing.subplots(len(metrics), 1, sharex=True, squeeze=False)[:, 0]
    looks, found = styles(methods), fronts(scores, metrics, methods)
    passes = {method: passes_of(scores, method) for method in methods}
    for panel, metric in zip(panels, metrics, strict=True):
        front, means = found[metric.name], {}
        others = [method for method in methods if method not in front and method != reference]
        for method in (*others, *front, *(() if reference in front else (reference,))):
            estimate = bootstrap_interval(values_to_compare(scores, metric, method))
            means[method] = estimate.mean
            error = [[estimate.mean - estimate.low], [estimate.high - estimate.mean]]
            named = looks[method] | {"label": f"{method}, {figure(passes[method], 0)}"}
            look = OTHER if method in others else named
            panel.errorbar(passes[method], estimate.mean, yerr=error, linestyle="none", **look)
        panel.plot([passes[name] for name in front], [means[name] for name in front], color="#8a8a8a", zorder=0)
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter("{x:.0f}")
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_title(metric.title, fontsize=9)
        panel.grid(linewidth=0.4, alpha=0.6)
        panel.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.03), title="method, passes", title_fontsize=7)
    panels[-1].set_xlabel("UNet passes", fontsize=9)
    return drawing
