"""The plots of a report. Colours that colour-blind readers can tell apart, and a marker of its own for each method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..atomic import replaced
from .contrasts import Comparison, against, comparable
from .measures import Measure
from .scores import Group, Scores
from .statistics import Estimate, bootstrap_interval

# Okabe and Ito's palette without its yellow, which is too light on paper.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h")
BETTER, WORSE, UNCLEAR = "#0072B2", "#D55E00", "#8a8a8a"
COLUMNS = 3  # panels in a row
DOTS = 100  # an inch
TEXT = 9  # points

Styles = Mapping[str, dict[str, Any]]


def styles(methods: Sequence[str]) -> Styles:
    """How each method of the run is drawn, in every plot alike."""
    return {
        method: {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}
        for index, method in enumerate(methods)
    }


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG, whole or not at all, the same bytes for the same figure."""
    with replaced(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS, metadata={"Software": None})
    return path


def forest(scores: Scores, shown: Sequence[Measure], methods: Sequence[str], reference: str) -> Figure:
    """Paired differences from the reference, a panel for each measure, a line for each method."""
    others = [method for method in methods if method != reference]
    figure, panels = _panels(len(shown), height=0.9 + 0.27 * len(others), shared=True)
    for panel, measure in zip(panels, shown, strict=False):
        found = against(scores, measure, reference)
        _differences(panel, [found[method] for method in others])
        panel.set_title(measure.title, fontsize=TEXT)
        panel.set_xlabel(
            f"difference{' of distances' if measure.better == 'truth' else ''}{measure.unit and ', '}{measure.unit}",
            fontsize=TEXT,
        )
    for panel in panels[:: min(COLUMNS, len(panels))]:
        panel.set_yticks(range(len(others)), others, fontsize=TEXT)
        panel.set_ylim(len(others) - 0.5, -0.5)
    figure.suptitle(f"Paired difference from {reference}, 95 % interval over pairs", fontsize=11)
    keys = {"better": BETTER, "worse": WORSE, "not distinguished": UNCLEAR}
    _legend(figure, {name: {"color": colour, "marker": "o"} for name, colour in keys.items()})
    return figure


def _differences(panel: Axes, found: Sequence[Comparison]) -> None:
    colours = {"better": BETTER, "worse": WORSE, "": UNCLEAR}
    panel.axvline(0, color="black", linewidth=0.8)
    for line, comparison in enumerate(found):
        colour = colours[comparison.verdict]
        _bar(panel, line, comparison.difference, {"color": colour, "marker": "o"}, across=True)
    panel.grid(axis="x", linewidth=0.4, alpha=0.6)
    panel.tick_params(axis="y", length=0)


def by_group(
    scores: Scores, shown: Sequence[Measure], methods: Sequence[str], groups: Sequence[Group], axis: str, look: Styles
) -> Figure:
    """Measures over groups of pairs, a panel for each measure, a line for each method."""
    figure, panels = _panels(len(shown), height=2.9)
    centres = np.arange(len(groups))
    step = 0.5 / len(methods)
    for panel, measure in zip(panels, shown, strict=False):
        for place, method in enumerate(methods):
            values = comparable(scores, measure, method)
            found = [bootstrap_interval(values[group.members]) for group in groups]
            at = centres + step * (place - (len(methods) - 1) / 2)  # beside each other, so that intervals are seen
            panel.plot(at, [each.mean for each in found], linewidth=1.2, color=look[method]["color"])
            for position, each in zip(at, found, strict=True):
                _bar(panel, position, each, look[method])
        panel.set_xticks(centres, [group.label for group in groups])
        panel.set_xlabel(axis, fontsize=TEXT)
        _values(panel, measure)
    _legend(figure, {method: look[method] for method in methods})
    return figure


def against_passes(scores: Scores, shown: Sequence[Measure], methods: Sequence[str], look: Styles) -> Figure:
    """Measures over what a clip costs in UNet passes, a panel for each measure, a point for each method."""
    figure, panels = _panels(len(shown), height=2.9)
    for panel, measure in zip(panels, shown, strict=False):
        for method in methods:
            cost = bootstrap_interval(scores.passes[method]).mean
            if not math.isnan(cost):
                _bar(panel, cost, bootstrap_interval(comparable(scores, measure, method)), look[method])
        panel.set_xscale("symlog", linthresh=10)  # what needs no UNet stands at 0
        panel.set_xlim(left=-2)
        panel.xaxis.set_major_formatter("{x:g}")
        panel.set_xlabel("UNet passes a clip", fontsize=TEXT)
        _values(panel, measure)
    _legend(figure, {method: look[method] for method in methods})
    return figure


def _values(panel: Axes, measure: Measure) -> None:
    panel.set_title(measure.title, fontsize=TEXT)
    panel.set_ylabel(measure.axis, fontsize=TEXT)
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
    """A figure with `count` panels, COLUMNS in a row; height in inches each."""
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(max(2, columns) * 3.9, rows * height + 0.9), layout="constrained")
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
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)), frameon=False, fontsize=TEXT)
