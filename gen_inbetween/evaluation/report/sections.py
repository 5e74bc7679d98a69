"""Section of a report: tables, plots and pictures of some methods."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from gen_inbetween.evaluation.report import plots, tables
from gen_inbetween.evaluation.report.metric_info import MetricInfo
from gen_inbetween.evaluation.report.pictures import Clips, method_sheet, section_pictures
from gen_inbetween.evaluation.report.scores import Scores
from gen_inbetween.evaluation.report.tables import plain

MAXIMUM_DRAWN = 12  # methods in one plot with a line for each


@dataclass(frozen=True)
class Material:
    """What a report is written from, and where to."""

    output: Path
    scores: Scores
    sets: Mapping[str, Mapping[str, Any]]  # sets.json
    metrics: Mapping[str, MetricInfo]  # by name: first of single clips, then of sets
    headline: tuple[MetricInfo, ...]
    picture_metric: MetricInfo
    reference: str | None
    clips: Clips

    @property
    def clip_metrics(self) -> list[MetricInfo]:
        return [metric for name, metric in self.metrics.items() if name in self.scores.metrics]

    @property
    def set_metrics(self) -> list[MetricInfo]:
        return [metric for name, metric in self.metrics.items() if name in self.sets]


def section(material: Material, title: str, methods: Sequence[str], number: int) -> Iterator[str]:
    """The section's Markdown in blocks, its pictures written on the way.

    Args:
        methods: those of the section that have clips. number: of the section; the names of its pictures begin with it.
    """
    stem = f"{number}-{re.sub('[^a-z0-9]+', '-', title.lower()).strip('-')}".strip("-")
    yield f"## {plain(title)}"
    yield from figures(material, methods)
    if material.reference is not None and set(methods) - {material.reference}:
        yield from compared(material, methods, material.reference, stem)
    if len(methods) > 1:
        yield "### What the data say of the order"
        yield tables.order(material.scores, material.clip_metrics, methods)
    yield from by_groups(material, methods, stem)
    yield from costs(material, methods, stem)
    yield from pictures(material, methods, stem)


def figures(material: Material, methods: Sequence[str]) -> Iterator[str]:
    """Means family by family, of the best seed, of sets."""
    for family, metrics in groupby(material.clip_metrics, key=lambda metric: metric.family):
        yield f"### {family}"
        yield tables.means(material.scores, list(metrics), methods)
    seeds = len(material.scores.seeds)
    compared_with_truth = [
        metric for metric in material.clip_metrics if metric.against_truth and metric.better != "truth"
    ]
    if seeds > 1 and compared_with_truth:
        yield f"### The best of {seeds} seeds of each pair"
        yield "A method without noise has one clip of each pair."
        yield tables.best_of_seeds(material.scores, compared_with_truth, methods)
    if material.set_metrics:
        yield "### Sets of clips"
        yield tables.sets(material.sets, material.set_metrics, methods)


def compared(material: Material, methods: Sequence[str], reference: str, stem: str) -> Iterator[str]:
    """Differences from the reference, family by family."""
    yield f"### Paired differences from {plain(reference)}"
    for number, (family, group) in enumerate(groupby(material.clip_metrics, key=lambda metric: metric.family)):
        metrics = list(group)
        yield f"{family}:"
        yield tables.differences(material.scores, metrics, methods, reference)
        figure = plots.forest(material.scores, metrics, methods, reference)
        yield picture(material, figure, f"{stem}-differences-{number + 1}", f"paired differences: {family}")


def by_groups(material: Material, methods: Sequence[str], stem: str) -> Iterator[str]:
    """The headline measures by gap and by amount of motion."""
    scores = material.scores
    splits = (
        ("gap", "gap", scores.by_gap(), "frames of the clip, keyframes counted"),
        ("motion", "amount of motion", scores.by_motion(), "motion of the true clip, px of 256 a frame"),
    )
    for short, words, groups, axis in splits:
        if len(groups) < 2:
            continue
        yield f"### By {words}"
        yield f"Columns: {axis}."
        for metric in material.headline:
            yield tables.grouped(scores, metric, methods, groups, short)
        if len(methods) <= MAXIMUM_DRAWN:
            figure = plots.by_group(scores, material.headline, methods, groups, axis)
            yield picture(material, figure, f"{stem}-by-{short}", f"by {words}")


def costs(material: Material, methods: Sequence[str], stem: str) -> Iterator[str]:
    """What a clip costs, and what it buys."""
    yield "### Cost"
    yield "Passes are counted: one clip once through the UNet. Seconds depend on the machine and on what else it does."
    yield tables.cost(material.scores, methods)
    figure = plots.against_passes(material.scores, material.headline, methods)
    if figure is not None:
        yield picture(material, figure, f"{stem}-passes", "against UNet passes")


def pictures(material: Material, methods: Sequence[str], stem: str) -> Iterator[str]:
    """Sheets and videos of typical, best and worst pairs."""
    metric, scores, output = material.picture_metric, material.scores, material.output
    chooser = material.reference if material.reference and material.reference in methods else methods[0]
    pairs = section_pictures(scores, metric, methods, chooser, material.clips, output, stem)
    if not pairs:
        return
    yield "### Pictures"
    yield f"Pairs on which {plain(chooser)} is typical (the median), best and worst by `{metric.name}`."
    for kind, pair in pairs.items():
        yield f"![{kind}: {pair}](sheets/{stem}-{kind}.png)"
    yield "As videos: " + ", ".join(f"[{kind}](videos/{stem}-{kind}.mp4)" for kind in pairs) + "."


def own_pictures(material: Material) -> Iterator[str]:
    """A sheet for each method of the run, of the pairs that are typical, best and worst for itself."""
    metric, scores = material.picture_metric, material.scores
    links = []
    for number, method in enumerate(scores.methods, 1):
        path = material.output / "sheets" / f"own-{number}.png"
        if method_sheet(scores, metric, method, material.clips, path):
            links.append(f"[{plain(method)}](sheets/{path.name})")
    if links:
        yield f"Each method's own typical, best and worst pair by `{metric.name}`: {', '.join(links)}."


def picture(material: Material, figure: Figure, name: str, caption: str) -> str:
    """Write a plot; the Markdown that shows it."""
    plots.save(figure, material.output / "plots" / f"{name}.png")
    return f"![{caption}](plots/{name}.png)"
