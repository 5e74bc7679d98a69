"""eval/seed_choice.py: the fit finds weights that are there, and the choice is judged by what an oracle would gain."""

from __future__ import annotations

import numpy as np
import pytest
import seed_choice


def test_the_fit_finds_the_weights_whatever_the_pair_adds():
    rng = np.random.default_rng(0)
    faults = rng.random((40, 4, len(seed_choice.NAMES)))
    weights = np.array([4.0, 0.0, 3.0, 0.5, 0.1, 1.0])
    errors = faults @ weights + rng.normal(5, 3, (40, 1))  # a pair that is hard is hard for every seed
    np.testing.assert_allclose(seed_choice.fit(faults, errors), weights, atol=1e-9)
    errors[3, 1] = np.nan  # a clip whose objects are lost has no error
    assert (seed_choice.fit(faults, errors) >= 0).all()


def test_the_share_of_the_oracle_s_gain():
    errors = np.array([[1.0, 2.0, 3.0], [5.0, 4.0, 6.0], [2.0, 2.0, np.nan]])
    perfect = seed_choice.judge(np.nan_to_num(errors), errors, -errors)
    assert perfect["pairs"] == 2 and perfect["share of the oracle's gain"]["mean"] == 1
    assert (perfect["any seed"], perfect["kept"], perfect["oracle's gain"]) == (3.5, 2.5, 1.0)
    assert perfect["psnr"]["gain"] == perfect["gain"]  # more decibels are better
    worst = seed_choice.judge(-np.nan_to_num(errors), errors, -errors)
    assert worst["share of the oracle's gain"]["mean"] == -1


def test_scores_are_the_library_s():
    faults = np.full((1, 1, len(seed_choice.NAMES)), np.nan)
    faults[0, 0, 0] = 0.5
    weights = np.array([seed_choice.WEIGHTS[name] for name in seed_choice.NAMES])
    assert seed_choice.scores_of(faults, weights)[0, 0] == pytest.approx(0.5 * weights[0])


def test_a_race_breaks_off_who_is_behind_halfway():
    assert seed_choice.run_race(np.array([3.0, 6.0, 1.0]), np.array([5.0, 4.0, 9.0])) == [True, True, False]
    assert seed_choice.run_race(np.array([3.0, 2.0, 1.0]), np.array([5.0, 4.0, 4.5])) == [True, True, False]
    errors = np.array([[1.0, 2.0, 0.5], [1.0, 2.0, 0.5]])
    clips = seed_choice.Measured(np.empty(0), np.empty(0), errors, -errors, np.zeros((2, 3, 3)))
    told = seed_choice.race(errors, np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]), clips)
    assert told["passes saved"] == round(0.5 / 3, 3) and told["kept"] == 0.75


def test_who_finished_is_compared_with_who_finished():
    by_faults, halfway = np.zeros((1, 3)), np.array([[1.0, 1.0, 2.0]])  # the third is broken off
    distances = np.array([[[0, 1.0, 9.0], [1.0, 0, 2.0], [9.0, 2.0, 0]]])
    errors = np.array([[1.0, 2.0, 5.0]])
    told = seed_choice.race(by_faults, halfway, seed_choice.Measured(by_faults, halfway, errors, -errors, distances))
    assert told["kept"] == 1.0  # with the third one counted, the second would be the nearest to all
