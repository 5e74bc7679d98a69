"""Grid search over the settings of few-shot stylisation, each within the same time.

Texler et al. (SIGGRAPH 2020, section 3.2) choose patch size, batch, learning rate and residual blocks by the error on
frames that are not learnt from, under a budget of seconds, since what is best in an hour is not best in a minute.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from gen_inbetween.runtime.config import from_mapping
from gen_inbetween.stylize.learner import Learner
from gen_inbetween.stylize.lesson import Lesson
from gen_inbetween.stylize.settings import Look, StyleError, StyleSettings

GRID: Mapping[str, Sequence[Any]] = {
    "patch_size": (24, 32, 48),
    "batch_size": (8, 16, 40),
    "learning_rate": (4e-4, 1e-3, 2e-3),
    "blocks": (3, 7),
}


@dataclass(frozen=True)
class Trial:
    """One point of the grid: its settings, and how the error fell."""

    settings: dict[str, Any]
    error: float  # the best, grey levels
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
        learner.learn()
        assert learner.best_error is not None  # there are judges
        yield Trial(point, learner.best_error, learner.best_step, learner.looks)
