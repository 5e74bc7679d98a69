"""Bootstrap intervals, paired differences, and rankings of methods.

Everything here is about one number a pair of keyframes. Several seeds of one pair are not independent, so they are
averaged before they come here: the pair is the unit that is resampled and tested. NaN means that the measure does not
apply to a pair (an object without a nose cannot travel tail-first); such a pair is left out, and N says so.

A method is called better than another only where both of these hold: the paired test stays below 5 % after Holm's
correction, and the 95 % interval of the mean difference excludes zero.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

RESAMPLES = 2000
SEED = 0
LEVEL = 0.95

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval; NaN where there is nothing to say (no values; no interval from a single one)."""

    mean: float
    low: float
    high: float
    count: int  # values that were not NaN


@dataclass(frozen=True)
class Difference(Estimate):
    """Mean of (value - reference value) over the pairs that both have."""

    p: float  # two-sided; NaN without a common pair

    def is_shown(self, p: float) -> bool:
        """Whether this difference may be called one, given its p after correction."""
        return p < 1 - LEVEL and (self.low > 0 or self.high < 0)


def bootstrap_interval(values: ArrayLike) -> Estimate:
    """The mean and its 95 % percentile bootstrap interval (2,000 resamples, seed 0), NaN left out.

    Values of 0 and 1 make it the interval of a share. Percentile intervals are somewhat too narrow below about 20
    values, and have no width where all values are equal.
    """
    sample = np.asarray(values, np.float64).ravel()
    sample = sample[~np.isnan(sample)]
    if len(sample) == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    if len(sample) == 1:
        return Estimate(float(sample[0]), np.nan, np.nan, 1)
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(_draws(len(sample)) @ sample / len(sample), [tail, 100 - tail])
    mean = sample.mean()  # of equal values it is added up otherwise, and may be off by its last bit
    return Estimate(float(mean), float(min(low, mean)), float(max(high, mean)), len(sample))


@lru_cache(maxsize=64)
def _draws(count: int) -> NDArray[np.uint16]:
    """(RESAMPLES, count): how often each value is drawn in each resample, which is all that a mean sees of it."""
    draws = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    return draws.astype(np.uint16)


def paired_difference(values: ArrayLike, reference: ArrayLike) -> Difference:
    """Compare two methods on the same pairs.

    Args:
        values, reference: (N,) one value a pair, in the same order; NaN in either leaves the pair out.

    The test is Wilcoxon's signed-rank test, and for shares (all values 0 or 1) McNemar's exact test: the sign test on
    the pairs where the two differ.

    Raises:
        ValueError: the two differ in length.
    """
    first, second = np.asarray(values, np.float64), np.asarray(reference, np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"expected one value a pair of both methods, got shapes {first.shape} and {second.shape}")
    common = ~np.isnan(first) & ~np.isnan(second)
    first, second = first[common], second[common]
    mean = bootstrap_interval(first - second)
    return Difference(mean.mean, mean.low, mean.high, mean.count, _paired_p(first, second))


def _paired_p(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    if len(first) == 0:
        return float("nan")
    difference = first - second
    unequal = int(np.count_nonzero(difference))
    if unequal == 0:
        return 1.0
    if np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all():
        return float(stats.binomtest(int((difference > 0).sum()), unequal).pvalue)
    return float(stats.wilcoxon(difference).pvalue)


def holm(pvalues: Sequence[float]) -> list[float]:
    """Holm's step-down correction: p-values that may be held against 5 % all at once. NaN stays and is not counted.

    Holm (1979), A simple sequentially rejective multiple test procedure.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    corrected = np.full(len(pvalues), np.nan)
    order = [index for index in np.argsort(pvalues) if not np.isnan(pvalues[index])]
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * pvalues[index]))
        corrected[index] = highest
    return [float(p) for p in corrected]


def best_of(values: ArrayLike, better: Better) -> NDArray[np.float64]:
    """The best of each pair's seeds: (pairs, seeds) -> (pairs,); NaN only where no seed has a value.

    >>> best_of([[1.0, 3.0], [2.0, np.nan]], "higher").tolist()
    [3.0, 2.0]
    """
    best = np.fmax if better == "higher" else np.fmin  # these two pass over NaN
    return best.reduce(np.asarray(values, np.float64), axis=1)


def ranking(values: Mapping[str, ArrayLike], better: Better) -> list[list[str]]:
    """Methods in tiers, best first, with a border only where every method above beats every method below.

    Args:
        values: method -> (N,) one value a pair, the same pairs in the same order for all.

    All methods are compared in pairs, corrected by Holm. Inside a tier some may differ from some, but no order of the
    whole tier is shown by the data: read it as "not distinguished". Methods without any value are left out.
    """
    arrays = {name: np.asarray(column, np.float64) for name, column in values.items()}
    arrays = {name: column for name, column in arrays.items() if not np.isnan(column).all()}
    sign = 1 if better == "lower" else -1
    order = sorted(arrays, key=lambda name: sign * float(np.nanmean(arrays[name])))
    beats = _beaten(arrays, order, sign)
    rank_methods: list[list[str]] = []
    for index, name in enumerate(order):
        border = all((above, below) in beats for above in order[:index] for below in order[index:])
        if index == 0 or border:
            rank_methods.append([])
        rank_methods[-1].append(name)
    return rank_methods


def _beaten(arrays: Mapping[str, NDArray[np.float64]], order: Sequence[str], sign: int) -> set[tuple[str, str]]:
    """Every (better, worse) that the data show."""
    matches = list(itertools.combinations(order, 2))
    differences = [paired_difference(arrays[first], arrays[second]) for first, second in matches]
    corrected = holm([difference.p for difference in differences])
    return {
        (first, second)
        for (first, second), difference, p in zip(matches, differences, corrected, strict=True)
        if difference.is_shown(p) and sign * difference.mean < 0
    }
