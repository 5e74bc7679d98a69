"""What a report says about each measure, taken from the measure itself: unit, direction, family, meaning."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from gen_inbetween.evaluation import metrics

_FAMILIES = {
    "truth": "Motion against the generator's exact truth",
    "fidelity": "Against the true clip",
    "perceptual": "Against the true clip, as a network sees it",
    "motion": "Motion, from the clip alone",
    "sets": "Sets of clips",
}
_OTHER = "Other measures"


@dataclass(frozen=True)
class Measure:
    """One metric, as tables and plots name it."""

    name: str
    unit: str  # "" where a figure has none
    better: Literal["higher", "lower", "truth"]
    family: str
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


def measures(names: Iterable[str]) -> dict[str, Measure]:
    """The measures of that name, by family in the order of reading, inside a family as given.

    Opens no metric, so that a report can be written where the backbones are not.
    """
    found = [_measure(name) for name in names]
    order = [*_FAMILIES.values(), _OTHER]
    return {each.name: each for each in sorted(found, key=lambda each: order.index(each.family))}


def _measure(name: str) -> Measure:
    metric = metrics.METRICS[name]
    return Measure(
        name,
        unit="" if metric.unit == "1" else metric.unit,  # a ratio needs no unit beside its name
        better=metric.better,
        family=_FAMILIES.get(metric.__module__.rsplit(".", 1)[-1], _OTHER),
        meaning=" ".join((inspect.getdoc(metric) or "").split("\n\n")[0].split()),
        against_truth=bool(getattr(metric, "needs", ())),
    )
