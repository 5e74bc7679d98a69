"""Distances between sets of generated and of true clips.

They are taken over the pairs that all methods have. A distance of about a hundred clips is biased and noisy, so three
things stand beside it: how many clips, the value extrapolated to infinitely many (`metrics.frechet.extrapolated`), and
an interval from resampled clips. A resample holds clips twice, which moves a distance upwards as fewer clips would; so
only the spread of the resamples is taken, and the interval is 1.96 of their standard deviation to each side of the
plain value.

    output/sets/<metric>/<label>-<key>-<hash of the clips>.json
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.evaluation.clip_store import ClipError
from gen_inbetween.evaluation.metrics.frechet import RankDeficient, extrapolated
from gen_inbetween.evaluation.scoring import features_path, features_sha256, has_features
from gen_inbetween.evaluation.sealed import read_sealed, write_sealed
from gen_inbetween.runtime.hashing import short_hash

if TYPE_CHECKING:
    from gen_inbetween.evaluation.clip_store import EvalClip
    from gen_inbetween.evaluation.context import EvalContext
    from gen_inbetween.evaluation.methods import Method
    from gen_inbetween.evaluation.metrics.set_metric import SetMetric
    from gen_inbetween.evaluation.pairs.pair import Pair

RESAMPLES = 100
RESAMPLES_OF_WIDE = 20  # where D is above WIDEST: 3,000 frames of 1,280 features take seconds each
WIDEST = 400
Features = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SetComparison:
    """One figure of the table of sets: a method's clips against the true ones, by one metric."""

    metric: SetMetric
    method: Method
    pairs: tuple[Pair, ...]  # those that all methods of the table have

    @property
    def names(self) -> tuple[str, None, None]:
        """The method, as a message names it; all pairs are compared at once."""
        return self.method.label, None, None


def plan_comparisons(context: EvalContext) -> list[SetComparison]:
    """The table: for each metric the methods that have clips at all, over the pairs that every one of these has."""
    comparisons = []
    for metric in context.set_metrics.values():
        names = {method.label: pairs_with_features(context, metric, method) for method in context.methods}
        methods = [method for method in context.methods if names[method.label]]
        common = pairs_with_features(context, metric, context.true_clips)
        common = common.intersection(*(names[method.label] for method in methods))
        pairs = tuple(pair for pair in context.pairs if pair.name in common)
        comparisons += [SetComparison(metric, method, pairs) for method in methods]
    return comparisons


def pairs_with_features(context: EvalContext, metric: SetMetric, method: Method) -> set[str]:
    """The names of the pairs of which a method's clip exists and its features have been computed."""
    names = set()
    for clip in one_clip_a_pair(context, method, context.pairs):
        with suppress(ClipError):  # no clip in the folder of another tool
            if clip.exists() and has_features(context, metric, clip):
                names.add(clip.pair.name)
    return names


def compare_sets(context: EvalContext, comparison: SetComparison) -> None:
    """Compute one figure with its interval, unless it is known.

    Raises:
        TooFewClips: fewer than the metric takes; the message has both numbers.
    """
    path = comparison_path(context, comparison)
    if read_sealed(path) is not None:
        return
    metric, pairs = comparison.metric, comparison.pairs
    metric.require(len(pairs))
    generated, real = (
        [np.load(features_path(context, metric, clip)) for clip in one_clip_a_pair(context, method, pairs)]
        for method in (comparison.method, context.true_clips)
    )
    write_sealed(path, {**measure_distance(metric, real, generated), "clips": len(generated)})


def measure_distance(metric: SetMetric, real: Sequence[Features], generated: Sequence[Features]) -> dict[str, float]:
    """value, extrapolated, and low and high of a 95 % interval.

    Args:
        real, generated: features of each clip, (n, D), the same pairs in the same order.
    """
    distance, count, generator = metric.distance, len(generated), np.random.default_rng(0)
    value = distance(np.concatenate(real), np.concatenate(generated))
    resamples = RESAMPLES if generated[0].shape[1] <= WIDEST else RESAMPLES_OF_WIDE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankDeficient)  # said once, for the plain value
        draws = generator.integers(count, size=(resamples, count))  # a pair's two clips stay together
        resampled = [distance(_pick(real, draw), _pick(generated, draw)) for draw in draws]
        unbiased = metric.spec.formula == "kernel"  # at any number of clips, so nothing is extrapolated
        limit = value if unbiased else extrapolated(distance, real, generated, generator)
    reach = 1.96 * float(np.std(resampled))
    return {"value": value, "extrapolated": limit, "low": value - reach, "high": value + reach}


def _pick(clips: Sequence[Features], indices: NDArray[np.int64]) -> Features:
    return np.concatenate([clips[index] for index in indices])


def read_comparison(context: EvalContext, comparison: SetComparison) -> dict[str, float] | None:
    """What `compare_sets` found, or None where it was refused or failed."""
    return read_sealed(comparison_path(context, comparison))


def comparison_path(context: EvalContext, comparison: SetComparison) -> Path:
    """The file of one figure; other clips, pairs or features, or another version of the metric, are another file."""
    metric = comparison.metric
    sources = [
        (clip.identity, features_sha256(context, metric, clip))
        for method in (comparison.method, context.true_clips)
        for clip in one_clip_a_pair(context, method, comparison.pairs)
    ]
    name = f"{comparison.method.key}-{short_hash([metric.version, sources])}.json"
    return context.run.output / "sets" / metric.name / name


def one_clip_a_pair(context: EvalContext, method: Method, pairs: Sequence[Pair]) -> list[EvalClip]:
    """A method's clips of the first seed, so that all sets are as large."""
    return [context.clip(method, pair, context.run.seeds[0]) for pair in pairs]
