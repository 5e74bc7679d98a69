"""Comparisons of methods with the reference and with each other.

What may be said follows from the scores of a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gen_inbetween.evaluation.report.metric_info import MetricInfo
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


def values_to_compare(scores: Scores, metric: MetricInfo, method: str) -> Array:
    """(pairs,) what methods are compared by: the value, or its distance from the true clip's own."""
    return (scores.off_truth if metric.better == "truth" else scores.by_pair)(metric.name, method)


def compare_with_reference(scores: Scores, metric: MetricInfo, reference: str) -> dict[str, Comparison]:
    """Every method but the reference, compared with it on the pairs both have."""
    others = [method for method in scores.methods if method != reference]
    base = values_to_compare(scores, metric, reference)
    differences = [paired_difference(values_to_compare(scores, metric, method), base) for method in others]
    corrected = holm([difference.p for difference in differences])
    return {
        method: Comparison(difference, p, _verdict(difference, p, metric))
        for method, difference, p in zip(others, differences, corrected, strict=True)
    }


def _verdict(difference: Difference, p: float, metric: MetricInfo) -> str:
    if not difference.is_shown(p):
        return ""
    return "better" if (difference.mean > 0) == (metric.direction == "higher") else "worse"


def rank_methods(scores: Scores, metric: MetricInfo, methods: Sequence[str]) -> list[list[str]]:
    """`statistics.ranking` of these methods."""
    return ranking({method: values_to_compare(scores, metric, method) for method in methods}, metric.direction)


def best_seed(scores: Scores, metric: MetricInfo, method: str) -> Array:
    """(pairs,) the best of each pair's seeds."""
    return best_of(scores.table[metric.name, method], metric.direction)


def typical_pairs(scores: Scores, metric: MetricInfo, method: str) -> dict[str, int]:
    """The numbers of the pairs where a method does best, as usual (the median) and worst; none where it has no value.

    With fewer than three pairs that have a value, some of the three are the same.
    """
    values = values_to_compare(scores, metric, method)
    order = [index for index in values.argsort(kind="stable") if values[index] == values[index]]
    if not order:
        return {}
    if metric.direction == "higher":
        order.reverse()
    return {"typical": int(order[len(order) // 2]), "best": int(order[0]), "worst": int(order[-1])}


def mean_of(values: Array) -> float:
    """The mean of the values that are there; NaN where none is."""
    return bootstrap_interval(values).mean
