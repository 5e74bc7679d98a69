"""Unit, direction, family and meaning of each metric, for tables and plots."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from gen_inbetween.evaluation.metrics import METRICS
from gen_inbetween.evaluation.metrics.clip_metric import Better, Family


@dataclass(frozen=True)
class MetricInfo:
    """One metric, as tables and plots name it."""

    name: str
    unit: str  # "" where a figure has none
    better: Better
    family: Family
    meaning: str  # one paragraph
    against_truth: bool  # whether the score is made from the true clip, so that the best of several seeds makes sense

    @property
    def direction(self) -> Literal["higher", "lower"]:
        """Which way is better for what methods are compared by: the value, or its distance from the truth's."""
        return "higher" if self.better == "higher" else "lower"

    @property
    def title(self) -> str:
        """Name and direction, for a plot."""
        return f"{self.name} ({'nearer to the truth' if self.better == 'truth' else self.better} is better)"

    @property
    def axis(self) -> str:
        """What methods are compared by, with its unit, for a plot."""
        words = "distance from the truth's" if self.better == "truth" else self.name
        return f"{words}, {self.unit}" if self.unit else words


def describe_metrics(names: Iterable[str]) -> dict[str, MetricInfo]:
    """The metrics of that name, by family in the order of reading, inside a family as given.

    Opens no metric, so that a report can be written where the backbones are not.
    """
    order = get_args(Family)
    infos = sorted(map(describe_metric, names), key=lambda info: order.index(info.family))
    return {info.name: info for info in infos}


def describe_metric(name: str) -> MetricInfo:
    """One metric of METRICS; a metric of clips says what it means in its docstring."""
    metric = METRICS[name]
    meaning = getattr(metric, "meaning", None) or (inspect.getdoc(metric) or "").split("\n\n")[0]
    return MetricInfo(
        name,
        unit="" if metric.unit == "1" else metric.unit,  # a ratio needs no unit beside its name
        better=metric.better,
        family=metric.family,
        meaning=" ".join(meaning.split()),
        against_truth=bool(getattr(metric, "needs", ())),
    )
