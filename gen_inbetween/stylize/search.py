"""Grid search over settings of few-shot stylisation: equal time each, table and plot.

Texler et al. (SIGGRAPH 2020, section 3.2) choose patch size, batch, learning rate and residual blocks by the error on
frames that are not learnt from, under a budget of seconds, since what is best in an hour is not best in a minute.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gen_inbetween.runtime.config import from_mapping
from gen_inbetween.runtime.files import replaced, write_text
from gen_inbetween.stylize.learner import Learner
from gen_inbetween.stylize.lesson import Lesson
from gen_inbetween.stylize.settings import Look, StyleError, StyleSettings

GRID: Mapping[str, Sequence[Any]] = {
    "patch_size": (24, 32, 48),
    "batch_size": (8, 16, 40),
    "learning_rate": (4e-4, 1e-3, 2e-3),
    "blocks": (3, 7),
}

FILES = ("search.md", "search.png")


@dataclass(frozen=True)
class Trial:
    """One point of the grid: its settings, and how the error fell."""

    settings: dict[str, Any]
    error: float  # the best, grey levels; infinite where learning diverged
    step: int
    looks: list[Look]


def points_of(grid: Mapping[str, Sequence[Any]], settings: StyleSettings, around: bool) -> list[dict[str, Any]]:
    """What is tried: all combinations, or `around` the settings one of them at a time."""
    if not around:
        return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    own = asdict(settings)
    points = [{name: own[name] for name in grid}]
    points += [{**points[0], name: value} for name, values in grid.items() for value in values if value != own[name]]
    return points


def search(
    lesson: Lesson,
    settings: StyleSettings,
    seed: int,
    device: torch.device,
    *,
    minutes: float,
    grid: Mapping[str, Sequence[Any]] = GRID,
    around: bool = True,
) -> Iterator[Trial]:
    """Try each point for an equal share of `minutes`; trials as they end.

    Raises:
        StyleError: nothing can judge: paint a second frame and hold it out.
    """
    if not lesson.judges:
        raise StyleError("nothing can judge here: paint a second frame and hold it out (--hold-out FRAME)")
    points = points_of(grid, settings, around)
    share = minutes / len(points)
    for point in points:
        tried = from_mapping(StyleSettings, {**asdict(settings), **point, "minutes": share}, where="search")
        tried = replace(tried, patience=10**6)  # the time is the budget
        learner = Learner(lesson.examples, lesson.judges, tried, seed, device)
        try:
            learner.learn()
        except StyleError:  # it diverged
            yield Trial(point, math.inf, learner.step, learner.looks)
            continue
        assert learner.best_error is not None  # there are judges
        yield Trial(point, learner.best_error, learner.best_step, learner.looks)


def write_search(folder: Path, trials: Sequence[Trial], minutes: float) -> None:
    """search.md, the trials from the best on, and search.png, how each one's error fell (where matplotlib is)."""
    names = list(trials[0].settings)
    ranked = sorted(trials, key=lambda trial: trial.error)
    lines = [
        "# Search over settings\n",
        f"{len(trials)} trials in {minutes:g} minutes of learning; error: mean absolute difference from what is held",
        "out, grey levels.\n",
        f"| error | at step | {' | '.join(names)} |",
        f"|---|---|{'---|' * len(names)}",
    ]
    for trial in ranked:
        lines.append(
            f"| {trial.error:.2f} | {trial.step} | {' | '.join(str(trial.settings[name]) for name in names)} |"
        )
    if _plot(folder / "search.png", ranked):
        lines.append("\n![error over seconds of learning](search.png)")
    write_text(folder / "search.md", "\n".join(lines) + "\n")


def _plot(path: Path, trials: Sequence[Trial]) -> bool:
    """Whether matplotlib is there to draw it."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for place, trial in enumerate(trials):
        label = ", ".join(f"{name} {value}" for name, value in trial.settings.items()) if place < 5 else None
        errors = [(look.seconds, look.error) for look in trial.looks if look.error is not None]
        axes.plot(*zip(*errors, strict=True), label=label, color=None if place < 5 else "0.8", zorder=-place)
    axes.set(xlabel="seconds of learning", ylabel="error on what is held out, grey levels")
    axes.legend(fontsize=7)
    with replaced(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    return True
