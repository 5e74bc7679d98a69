"""Plots of a report: paired differences, groups, cost.

Colours are told apart by colour-blind readers too, and each method has a marker of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gen_inbetween.evaluation.report.comparisons import Comparison, compare_with_reference, mean_of, values_to_compare
from gen_inbetween.evaluation.report.metric_info import MetricInfo
from gen_inbetween.evaluation.report.scores import Group, Scores
from gen_inbetween.evaluation.report.statistics import Estimate, bootstrap_interval
from gen_inbetween.runtime.files import replaced

# Okabe and Ito's palette without its yellow, which is too light on paper.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h")
BETTER, WORSE, UNCLEAR = "#0072B2", "#D55E00", "#8a8a8a"
DOTS = 100  # an inch
TEXT = 9  # points
WIDTH = 11.5  # inches

Styles = Mapping[str, dict[str, Any]]


def styles(methods: Sequence[str]) -> Styles:
    """How each method of a section is drawn, in all its plots alike."""
    return {
        method: {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}
        for index, method in enumerate(methods)
    }


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG, whole or not at all, the same bytes for the same figure."""
    with replaced(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS, metadata={"Software": None})
    return path


def forest(scores: Scores, metrics: Sequence[MetricInfo], methods: Sequence[str], reference: str) -> Figure:
    """Paired differences from the reference, a panel for each measure, a line for each method."""
    others = [method for method in methods if method != reference]
    figure, panels = _panels(len(metrics), height=0.9 + 0.27 * len(others), shared=True)
    for panel, metric in zip(panels, metrics, strict=True):
        comparisons = compare_with_reference(scores, metric, reference)
        _differences(panel, [comparisons[method] for method in others])
        panel.set_title(metric.title, fontsize=TEXT)
        words = "difference of distances" if metric.better == "truth" else "difference"
        panel.set_xlabel(f"{words}, {metric.unit}".removesuffix(", "), fontsize=TEXT)
    panels[0].set_yticks(range(len(others)), others)  # the panels share their lines
    panels[0].set_ylim(len(others) - 0.5, -0.5)
    figure.suptitle(f"Paired difference from {reference}, 95 % interval over pairs", fontsize=11)
    keys = {"better": BETTER, "worse": WORSE, "not distinguished": UNCLEAR}
    _legend(figure, {name: {"color": colour, "marker": "o"} for name, colour in keys.items()})
    return figure


def _differences(panel: Axes, comparisons: Sequence[Comparison]) -> None:
    colours = {"better": BETTER, "worse": WORSE, "": UNCLEAR}
    panel.axvline(0, color="black", linewidth=0.8)
    for line, comparison in enumerate(comparisons):
        colour = colours[comparison.verdict]
        _bar(panel, line, comparison.difference, {"color": colour, "marker": "o"}, across=True)
    panel.grid(axis="x", linewidth=0.4, alpha=0.6)
    panel.tick_params(axis="y", length=0)


def by_group(
    scores: Scores, metrics: Sequence[MetricInfo], methods: Sequence[str], groups: Sequence[Group], axis: str
) -> Figure:
    """Measures over groups of pairs, a panel for each measure, a line for each method."""
    figure, panels = _panels(len(metrics), height=2.9)
    look = styles(methods)
    for panel, metric in zip(panels, metrics, strict=True):
        for method, shift in zip(methods, _beside(len(methods)), strict=True):
            values = values_to_compare(scores, metric, method)
            estimates = [bootstrap_interval(values[group.members]) for group in groups]
            xs = [x + shift for x in range(len(groups))]
            panel.plot(xs, [mean.mean for mean in estimates], linewidth=1.2, color=look[method]["color"])
            for x, mean in zip(xs, estimates, strict=True):
                _bar(panel, x, mean, look[method])
        _name(panel, metric, axis, [group.label for group in groups])
    _legend(figure, look)
    return figure


def against_passes(scores: Scores, metrics: Sequence[MetricInfo], methods: Sequence[str]) -> Figure | None:
    """Measures over what a clip costs in UNet passes; None where nobody counted them.

    Costs stand in order but not to scale: methods of equal cost are set beside each other.
    """
    cost = {method: round(mean) for method in methods if (mean := mean_of(scores.passes[method])) == mean}
    if not cost:
        return None
    steps = sorted(set(cost.values()))
    figure, panels = _panels(len(metrics), height=2.9)
    look = styles(list(cost))
    for panel, metric in zip(panels, metrics, strict=True):
        for step, passes in enumerate(steps):
            equal = [method for method in cost if cost[method] == passes]
            for method, shift in zip(equal, _beside(len(equal)), strict=True):
                _bar(panel, step + shift, bootstrap_interval(values_to_compare(scores, metric, method)), look[method])
        _name(panel, metric, "UNet passes a clip", [str(passes) for passes in steps])
        panel.set_xlim(-0.6, len(steps) - 0.4)
    _legend(figure, look)
    return figure


def _beside(count: int) -> list[float]:
    """Shifts around 0 that set so many points next to each other, so that their intervals can be seen."""
    step = 0.7 / max(count, 4)
    return [step * (index - (count - 1) / 2) for index in range(count)]


def _name(panel: Axes, metric: MetricInfo, axis: str, ticks: Sequence[str]) -> None:
    panel.set_title(metric.title, fontsize=TEXT)
    panel.set_ylabel(metric.axis, fontsize=TEXT)
    panel.set_xlabel(axis, fontsize=TEXT)
    panel.set_xticks(range(len(ticks)), ticks)
    panel.grid(axis="y", linewidth=0.4, alpha=0.6)


def _bar(panel: Axes, at: float, value: Estimate, style: Mapping[str, Any], *, across: bool = False) -> None:
    """A point with its interval; an interval that is not there is not drawn."""
    if math.isnan(value.mean):
        return
    width = [[value.mean - value.low], [value.high - value.mean]]
    reach = None if math.isnan(value.low) else width
    look = {**style, "markersize": 5, "linewidth": 1.2, "capsize": 2}
    if across:
        panel.errorbar([value.mean], [at], xerr=reach, **look)
    else:
        panel.errorbar([at], [value.mean], yerr=reach, **look)


def _panels(count: int, *, height: float, shared: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels, up to three in a row; height in inches each."""
    columns = 2 if count == 4 else min(3, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH if columns > 1 else WIDTH / 2, rows * height + 0.9), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=shared).ravel()
    for panel in grid[count:]:
        panel.remove()
    for panel in grid[:count]:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
    return figure, list(grid[:count])


def _legend(figure: Figure, look: Styles) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], linewidth=1.2, markersize=5, label=name, **style) for name, style in look.items()]
    wide = 0.6 + 0.075 * max(map(len, look))  # inches of an entry, about
    columns = max(1, min(len(look), int(figure.get_figwidth() / wide)))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=TEXT)
