"""One section of a report: the tables, plots and pictures of a few methods that are to be seen together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from gen_inbetween.evaluation.report import plots, tables
from gen_inbetween.evaluation.report.measures import Measure
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
    measures: Mapping[str, Measure]  # by name: first of single clips, then of sets
    headline: tuple[Measure, ...]
    picture_measure: Measure
    reference: str | None
    clips: Clips

    @property
    def clip_measures(self) -> list[Measure]:
        return [measure for name, measure in self.measures.items() if name in self.scores.metrics]

    @property
    def set_measures(self) -> list[Measure]:
        return [measure for name, measure in self.measures.items() if name in self.sets]


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
        yield tables.order(material.scores, material.clip_measures, methods)
    yield from by_groups(material, methods, stem)
    yield from costs(material, methods, stem)
    yield from pictures(material, methods, stem)


def figures(material: Material, methods: Sequence[str]) -> Iterator[str]:
    """Means family by family, of the best seed, of sets."""
    for family, shown in groupby(material.clip_measures, key=lambda measure: measure.family):
        yield f"### {family}"
        yield tables.means(material.scores, list(shown), methods)
    seeds = len(material.scores.seeds)
    chosen = [measure for measure in material.clip_measures if measure.against_truth and measure.better != "truth"]
    if seeds > 1 and chosen:
        yield f"### The best of {seeds} seeds of each pair"
        yield "A method without noise has one clip of each pair."
        yield tables.best_of_seeds(material.scores, chosen, methods)
    if material.set_measures:
        yield "### Sets of clips"
        yield tables.sets(material.sets, material.set_measures, methods)


def compared(material: Material, methods: Sequence[str], reference: str, stem: str) -> Iterator[str]:
    """Differences from the reference, family by family."""
    yield f"### Paired differences from {plain(reference)}"
    for number, (family, group) in enumerate(groupby(material.clip_measures, key=lambda measure: measure.family)):
        shown = list(group)
        yield f"{family}:"
        yield tables.differences(material.scores, shown, methods, reference)
        drawn = plots.forest(material.scores, shown, methods, reference)
        yield picture(material, drawn, f"{stem}-differences-{number + 1}", f"paired differences: {family}")


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
        for measure in material.headline:
            yield tables.grouped(scores, measure, methods, groups, short)
        if len(methods) <= MAXIMUM_DRAWN:
            drawn = plots.by_group(scores, material.headline, methods, groups, axis)
            yield picture(material, drawn, f"{stem}-by-{short}", f"by {words}")


def costs(material: Material, methods: Sequence[str], stem: str) -> Iterator[str]:
    """What a clip costs, and what it buys."""
    yield "### Cost"
    yield "Passes are counted: one clip once through the UNet. Seconds depend on the machine and on what else it does."
    yield tables.cost(material.scores, methods)
    drawn = plots.against_passes(material.scores, material.headline, methods)
    if drawn is not None:
        yield picture(material, drawn, f"{stem}-passes", "against UNet passes")


def pictures(material: Material, methods: Sequence[str], stem: str) -> Iterator[str]:
    """Sheets and videos of typical, best and worst pairs."""
    measure, scores, output = material.picture_measure, material.scores, material.output
    chooser = material.reference if material.reference and material.reference in methods else methods[0]
    chosen = section_pictures(scores, measure, methods, chooser, material.clips, output, stem)
    if not chosen:
        return
    yield "### Pictures"
    yield f"Pairs on which {plain(chooser)} is typical (the median), best and worst by `{measure.name}`."
    for kind, pair in chosen.items():
        yield f"![{kind}: {pair}](sheets/{stem}-{kind}.png)"
    yield "As videos: " + ", ".join(f"[{kind}](videos/{stem}-{kind}.mp4)" for kind in chosen) + "."


def own_pictures(material: Material) -> Iterator[str]:
    """A sheet for each method of the run, of the pairs that are typical, best and worst for itself."""
    measure, scores = material.picture_measure, material.scores
    links = []
    for number, method in enumerate(scores.methods, 1):
        path = material.output / "sheets" / f"own-{number}.png"
        if method_sheet(scores, measure, method, material.clips, path):
            links.append(f"[{plain(method)}](sheets/{path.name})")
    if links:
        yield f"Each method's own typical, best and worst pair by `{measure.name}`: {', '.join(links)}."


def picture(material: Material, figure: Figure, name: str, caption: str) -> str:
    """Write a plot; the Markdown that shows it."""
    plots.save(figure, material.output / "plots" / f"{name}.png")
    return f"![{caption}](plots/{name}.png)"
