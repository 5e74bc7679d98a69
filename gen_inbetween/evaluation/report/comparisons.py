"""Methods held against the reference and against each other, by what the scores of a run allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gen_inbetween.evaluation.report.measures import Measure
from gen_inbetween.evaluation.report.scores import Array, Scores
from gen_inbetween.evaluation.report.statistics import (
    Difference,
    best_of,
    bootstrap_interval,
    holm,
    paired_difference,
    ranking,
)


@dataclass(frozen=True)
class Comparison:
    """One method against the reference in one measure."""

    difference: Difference  # method - reference
    p: float  # after Holm's correction over all methods of the run in this measure
    verdict: str  # "better", "worse", or "" where the two are not distinguished


def comparable(scores: Scores, measure: Measure, method: str) -> Array:
    """(pairs,) what methods are compared by: the value, or its distance from the true clip's own."""
    return (scores.off_truth if measure.better == "truth" else scores.by_pair)(measure.name, method)


def against(scores: Scores, measure: Measure, reference: str) -> dict[str, Comparison]:
    """Every method but the reference, compared with it on the pairs both have."""
    others = [method for method in scores.methods if method != reference]
    base = comparable(scores, measure, reference)
    differences = [paired_difference(comparable(scores, measure, method), base) for method in others]
    corrected = holm([difference.p for difference in differences])
    return {
        method: Comparison(difference, p, _verdict(difference, p, measure))
        for method, difference, p in zip(others, differences, corrected, strict=True)
    }


def _verdict(difference: Difference, p: float, measure: Measure) -> str:
    if not difference.shown(p):
        return ""
    return "better" if (difference.mean > 0) == (measure.direction == "higher") else "worse"


def tiers(scores: Scores, measure: Measure, methods: Sequence[str]) -> list[list[str]]:
    """`statistics.ranking` of these methods."""
    return ranking({method: comparable(scores, measure, method) for method in methods}, measure.direction)


def best_seed(scores: Scores, measure: Measure, method: str) -> Array:
    """(pairs,) the best of each pair's seeds."""
    return best_of(scores.table[measure.name, method], measure.direction)


def typical_pairs(scores: Scores, measure: Measure, method: str) -> dict[str, int]:
    """The numbers of the pairs where a method does best, as usual (the median) and worst; none where it has no value.

    With fewer than three pairs that have a value, some of the three are the same.
    """
    values = comparable(scores, measure, method)
    known = [index for index in values.argsort(kind="stable") if values[index] == values[index]]
    if not known:
        return {}
    if measure.direction == "higher":
        known.reverse()
    return {"typical": int(known[len(known) // 2]), "best": int(known[0]), "worst": int(known[-1])}


def mean_of(values: Array) -> float:
    """The mean of the values that are there; NaN where none is."""
    return bootstrap_interval(values).mean
