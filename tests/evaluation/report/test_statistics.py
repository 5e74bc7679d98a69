"""Intervals, tests and rankings, against scipy, closed forms and simulated coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gen_inbetween.evaluation.report.statistics import best_of, bootstrap_interval, holm, paired_difference, ranking

NAN = float("nan")


def draws(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def test_the_interval_is_scipys_up_to_the_draws():
    values = np.exp(draws(0, 200))
    ours = bootstrap_interval(values)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=2000, method="percentile", rng=0).confidence_interval
    width = theirs.high - theirs.low
    assert ours.mean == pytest.approx(values.mean())
    assert abs(ours.low - theirs.low) < 0.08 * width and abs(ours.high - theirs.high) < 0.08 * width


def test_the_interval_covers_the_mean_as_often_as_it_says():
    intervals = [bootstrap_interval(sample) for sample in draws(1, 500, 60)]
    covered = np.mean([each.low <= 0 <= each.high for each in intervals])
    assert 0.92 <= covered <= 0.975  # 0.95 less what 60 values cost, plus or minus three standard errors


def test_the_interval_of_a_share_covers_it():
    clips = np.random.default_rng(2).random((500, 100)) < 0.3
    intervals = [bootstrap_interval(sample) for sample in clips]
    assert 0.91 <= np.mean([each.low <= 0.3 <= each.high for each in intervals]) <= 0.98


def test_what_does_not_apply_is_left_out_and_counted():
    assert bootstrap_interval([1, NAN, 3, NAN]) == bootstrap_interval([1, 3])
    assert bootstrap_interval([1, NAN, 3]).count == 2
    none, one, equal = bootstrap_interval([NAN]), bootstrap_interval([2.5]), bootstrap_interval([2.5] * 4)
    assert none.count == 0 and np.isnan([none.mean, none.low, none.high]).all()
    assert (one.mean, one.count) == (2.5, 1) and np.isnan([one.low, one.high]).all()
    assert (equal.low, equal.mean, equal.high) == (2.5, 2.5, 2.5)


@pytest.mark.parametrize("value", [1 / 13, 0.1, 58.92, -0.7])
def test_the_interval_of_equal_values_holds_their_mean(value: float):
    for count in range(2, 40):  # sums of them differ in their last bit
        estimate = bootstrap_interval([value] * count)
        assert estimate.low <= estimate.mean <= estimate.high
        assert estimate.high - estimate.low < 1e-12


def test_a_paired_difference_finds_what_separate_intervals_hide():
    pairs = 10 * draws(3, 80)  # pairs differ far more than methods
    first, second = pairs + 1 + 0.5 * draws(4, 80), pairs
    difference = paired_difference(first, second)
    assert bootstrap_interval(first).low < bootstrap_interval(second).high
    assert difference.mean == pytest.approx((first - second).mean()) and difference.low > 0.8
    assert difference.p == pytest.approx(stats.wilcoxon(first, second).pvalue) and difference.is_shown(difference.p)


def test_pairs_that_one_method_lacks_are_not_compared():
    difference = paired_difference([1, NAN, 5, 7], [0, 2, NAN, 3])
    assert (difference.mean, difference.count) == (2.5, 2)
    nothing = paired_difference([1, NAN], [NAN, 2])
    assert nothing.count == 0 and np.isnan(nothing.p) and not nothing.is_shown(nothing.p)
    with pytest.raises(ValueError, match=r"shapes \(3,\) and \(2,\)"):
        paired_difference([1, 2, 3], [1, 2])


def test_shares_are_held_to_mcnemars_exact_test():
    first, second = np.array([1] * 9 + [0] * 2 + [1] * 20), np.array([0] * 9 + [1] * 2 + [1] * 20)
    discordant = 9 + 2  # the twenty pairs where both say yes tell nothing
    by_hand = 2 * sum(stats.binom.pmf(k, discordant, 0.5) for k in range(3))
    assert paired_difference(first, second).p == pytest.approx(by_hand)
    assert paired_difference(first, first).p == 1.0


def test_equal_methods_are_found_different_as_rarely_as_said():
    different = [paired_difference(*sample).p < 0.05 for sample in draws(5, 400, 2, 40)]
    assert np.mean(different) <= 0.085  # 0.05 plus three standard errors


def test_holm_is_the_textbooks():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    corrected = holm([0.02, NAN, 0.02])
    assert corrected[0] == corrected[2] == 0.04 and np.isnan(corrected[1])
    assert holm([]) == []


def test_best_of_seeds():
    seeds = np.array([[3.0, 1.0, NAN], [NAN, NAN, NAN], [2.0, 5.0, 4.0]])
    np.testing.assert_array_equal(best_of(seeds, "lower"), [1, NAN, 2])
    np.testing.assert_array_equal(best_of(seeds, "higher"), [3, NAN, 5])


def test_only_what_differs_is_ranked():
    pairs, noise = 3 * draws(6, 100), 0.5 * draws(7, 5, 100)
    error = {"b": pairs + 1 + noise[0], "a": pairs + noise[1], "a2": pairs + noise[2], "c": pairs + 3 + noise[3]}
    assert [sorted(tier) for tier in ranking(error, "lower")] == [["a", "a2"], ["b"], ["c"]]
    assert [sorted(tier) for tier in ranking(error, "higher")] == [["c"], ["b"], ["a", "a2"]]
    same = dict.fromkeys("xyz", pairs + noise[0])
    assert ranking(same, "lower") == [["x", "y", "z"]]


def test_a_method_between_two_joins_them():
    """Low differs from high, but both run into the middle: no border is shown by the data."""
    low, high = np.zeros(12) + 0.01 * draws(8, 12), np.ones(12) + 0.01 * draws(9, 12)
    middle = 0.5 + 3 * draws(10, 12)
    assert len(ranking({"low": low, "high": high}, "lower")) == 2
    assert len(ranking({"low": low, "high": high, "middle": middle}, "lower")) == 1


def test_a_method_without_values_has_no_rank():
    assert ranking({"a": [1.0, 2.0], "none": [NAN, NAN]}, "lower") == [["a"]]
    assert ranking({}, "lower") == []
