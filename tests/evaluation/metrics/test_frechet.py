"""Frechet and kernel distances against closed forms, scipy's matrix root and torchmetrics' FID and KID."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from gen_inbetween.evaluation.metrics.frechet import (
    RankDeficient,
    extrapolated,
    frechet_distance,
    kernel_distance,
)

pytestmark = pytest.mark.filterwarnings("error::gen_inbetween.evaluation.metrics.frechet.RankDeficient")


def samples(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    return rng.normal(size=(count, size)) @ rng.normal(size=(size, size)) + rng.normal(size=size)


def by_matrix_root(real: np.ndarray, made: np.ndarray) -> float:
    """The textbook form, with scipy's root of the product."""
    covariances = [np.cov(rows, rowvar=False) for rows in (real, made)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    difference = real.mean(0) - made.mean(0)
    return difference @ difference + np.trace(sum(covariances) - 2 * root)


class Identity(torch.nn.Module):
    """What torchmetrics takes as a backbone: the "images" are the features."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images


def test_closed_form_of_diagonal_gaussians():
    """Corners of a box: their covariance is diagonal, and known exactly."""
    corners = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
    mean0, mean1 = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 0.5])
    spread0, spread1 = np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.5, 3.0])
    expected = ((mean0 - mean1) ** 2).sum() + ((spread0 - spread1) ** 2).sum() * 8 / 7  # covariances divide by N - 1
    distance = frechet_distance(mean0 + corners * spread0, mean1 + corners * spread1)
    assert distance == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("counts", [(200, 200), (40, 90), (11, 300)])
def test_equals_the_matrix_root_of_scipy(counts):
    rng = np.random.default_rng(0)
    real, made = (samples(rng, count, 10) for count in counts)
    distance = frechet_distance(real, made)
    assert distance == pytest.approx(by_matrix_root(real, made), rel=1e-9)


def test_fewer_samples_than_features_is_exact_and_warned_of():
    rng = np.random.default_rng(1)
    real, made = rng.normal(size=(6, 40)), rng.normal(size=(9, 40)) + 1
    with pytest.warns(RankDeficient, match="6 and 9 samples of 40 features"):
        distance = frechet_distance(real, made)
    basis = np.linalg.qr(np.concatenate([real, made]).T)[0]  # all that happens is in these 15 directions
    with pytest.warns(RankDeficient):
        assert frechet_distance(real @ basis, made @ basis) == pytest.approx(distance, rel=1e-9)
    with pytest.warns(RankDeficient):
        assert frechet_distance(real, real) < 1e-9


def test_equals_fid_of_torchmetrics():
    rng = np.random.default_rng(2)
    real, made = samples(rng, 150, 24), samples(rng, 120, 24)
    metric = FrechetInceptionDistance(feature=Identity(24), normalize=True).set_dtype(torch.float64)
    metric.update(torch.from_numpy(real), real=True)
    metric.update(torch.from_numpy(made), real=False)
    assert frechet_distance(real, made) == pytest.approx(float(metric.compute()), rel=1e-8)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception")
def test_equals_kid_of_torchmetrics():
    rng = np.random.default_rng(3)
    real, made = samples(rng, 30, 12), samples(rng, 30, 12)
    metric = KernelInceptionDistance(feature=Identity(12), subsets=1, subset_size=30, normalize=True)
    metric.update(torch.from_numpy(real), real=True)
    metric.update(torch.from_numpy(made), real=False)
    assert kernel_distance(real, made) == pytest.approx(float(metric.compute()[0]), rel=1e-6)


def test_kernel_distance_against_its_definition_and_without_bias():
    rng = np.random.default_rng(4)
    real, made = rng.normal(size=(5, 3)), rng.normal(size=(7, 3))

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return (x @ y / 3 + 1) ** 3

    within = [np.mean([kernel(x, y) for x in rows for y in rows if x is not y]) for rows in (list(real), list(made))]
    across = np.mean([kernel(x, y) for x in real for y in made])
    assert kernel_distance(real, made) == pytest.approx(sum(within) - 2 * across, rel=1e-10)
    draws = [kernel_distance(rng.normal(size=(4, 3)), rng.normal(size=(6, 3))) for _ in range(4000)]
    assert abs(np.mean(draws)) < 4 * np.std(draws) / np.sqrt(len(draws))


@pytest.mark.parametrize("paired", [True, False])
def test_extrapolation_takes_the_bias_away(paired):
    rng = np.random.default_rng(5)
    shift = np.zeros(12)
    shift[0] = 1.0
    plain, straight = [], []
    for _ in range(12):
        real, made = rng.normal(size=(64, 12)), rng.normal(size=(64 if paired else 80, 12)) + shift
        plain.append(frechet_distance(real, made))
        straight.append(extrapolated(frechet_distance, real, made, rng, paired=paired))
    assert np.mean(plain) > 1.5  # the true distance is 1
    assert abs(np.mean(straight) - 1) < 0.4 * (np.mean(plain) - 1)


def test_extrapolation_draws_whole_clips_and_repeats_itself():
    rng = np.random.default_rng(6)
    real = [np.full((3, 2), float(clip)) for clip in range(10)]
    seen: list[np.ndarray] = []

    def distance(first: np.ndarray, second: np.ndarray) -> float:
        np.testing.assert_array_equal(first, second)  # paired: the same clips of both sets
        seen.append(first[:, 0])
        return 2.0 + 5.0 / len(first)

    assert extrapolated(distance, real, real, rng) == pytest.approx(2.0)
    assert all(np.unique(clips, return_counts=True)[1].tolist() == [3] * (len(clips) // 3) for clips in seen)
    values = [rng.normal(size=(20, 3)), rng.normal(size=(20, 3))]
    first, second = (extrapolated(kernel_distance, *values, np.random.default_rng(7)) for _ in range(2))
    assert first == second


def test_refusals():
    rng = np.random.default_rng(8)
    with pytest.raises(ValueError, match=r"two rows or more and the same D, got \[\(1, 3\), \(4, 3\)\]"):
        frechet_distance(np.zeros((1, 3)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="the same D"):
        kernel_distance(np.zeros((4, 2)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="finite features"):
        kernel_distance(np.full((4, 3), np.nan), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="eight clips or more"):
        extrapolated(kernel_distance, np.zeros((7, 2)), np.zeros((9, 2)), rng)
    with pytest.raises(ValueError, match="paired=False"):
        extrapolated(kernel_distance, np.zeros((8, 2)), np.zeros((9, 2)), rng)
