"""Frechet and kernel distances between two sets of feature vectors, in float64.

Frechet distance of two Gaussians (Dowson & Landau 1982; on Inception features it is FID, Heusel et al. 2017):

    |mean0 - mean1|^2 + tr(cov0) + tr(cov1) - 2 tr((cov0 cov1)^(1/2))

With A and B the centred samples over the root of N - 1, cov0 = A'A and cov1 = B'B; the eigenvalues of cov0 cov1 are
then the squared singular values of A B', so the last trace is the sum of those singular values. No matrix root is
taken: singular covariances (fewer samples than features), where scipy's `sqrtm` loses digits, are nothing special.

Kernel distance (squared maximum mean discrepancy, Gretton et al. 2012; on Inception features it is KID, Binkowski et
al. 2018), with k(x, y) = (x.y / D + 1)^3, without bias at any N, over the whole sets instead of random subsets.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.float64]
Rows = Sequence[NDArray[np.floating]]


class RankDeficient(UserWarning):
    """A Frechet distance from no more samples than features; says both numbers."""


def frechet_distance(real: ArrayLike, generated: ArrayLike) -> float:
    """Frechet distance of the Gaussians fitted to two sets, in squared units of the features; 0 for equal sets.

    Args:
        real, generated: (N, D) and (M, D) features, N and M of two or more. Covariances divide by N - 1.

    Warns:
        RankDeficient: where a set has D samples or fewer. The distance is then biased upwards by an amount that falls
            with 1 / N: compare at equal N only, see `extrapolated`, or use `kernel_distance`.

    Raises:
        ValueError: for other shapes, or values that are not finite.

    Sets of equal covariance are as far apart as the square of the distance of their means:

    >>> points = np.array([[0.0], [1.0], [2.0]])
    >>> round(frechet_distance(points, points + 3.0), 6)
    9.0
    """
    sets = _check_sets(real, generated)
    num_features = sets[0].shape[1]
    if min(map(len, sets)) <= num_features:
        warnings.warn(
            f"{len(sets[0])} and {len(sets[1])} samples of {num_features} features: a covariance of N samples has rank "
            "N - 1 at most, so this Frechet distance is biased upwards; compare at equal N only",
            RankDeficient,
            stacklevel=2,
        )
    mean0, mean1 = (rows.mean(0) for rows in sets)
    spread0, spread1 = ((rows - rows.mean(0)) / np.sqrt(len(rows) - 1) for rows in sets)
    return _frechet(mean0 - mean1, _short(spread0), _short(spread1))


def kernel_distance(real: ArrayLike, generated: ArrayLike) -> float:
    """Unbiased squared maximum mean discrepancy with the cubic kernel of KID. Near 0, also below it, for equal laws.

    Args:
        real, generated: (N, D) and (M, D) features, N and M of two or more.

    Raises:
        ValueError: for other shapes, or values that are not finite.

    >>> round(kernel_distance([[0.0], [0.0]], [[1.0], [1.0]]), 6)
    7.0
    """
    x, y = _check_sets(real, generated)

    def kernel(a: Matrix, b: Matrix) -> Matrix:
        return (a @ b.T / x.shape[1] + 1) ** 3

    def within(a: Matrix) -> float:
        values = kernel(a, a)
        return float((values.sum() - np.trace(values)) / (len(a) * (len(a) - 1)))

    return within(x) + within(y) - 2 * float(kernel(x, y).mean())


def extrapolated(
    distance: Callable[[Matrix, Matrix], float],
    real: Rows,
    generated: Rows,
    generator: np.random.Generator,
    *,
    paired: bool = True,
    sizes: int = 6,
    repeats: int = 4,
) -> float:
    """The distance at an infinite number of clips (Chong & Forsyth 2020): the intercept of a line through 1 / N.

    A Frechet distance of N samples is biased by about c / N, and c depends on the method, so plain values of small
    sets mislead. The distance is taken on draws of N down to N / 4 clips (equal steps of 1 / N), and a line fitted.

    Args:
        distance: e.g. `frechet_distance`.
        real, generated: features by clip: N arrays (n, D), or one array (N, D) where a clip has one row. Clips are
            drawn, not rows: frames of one clip are no independent samples.
        generator: of the draws.
        paired: clip i of both sets is of the same scene, so both are drawn with the same indices. False for
            unrelated sets, which may also differ in number.
        sizes, repeats: how many values of N, and draws at each but the whole.

    Raises:
        ValueError: for fewer than eight clips, or paired sets that differ in number.
    """
    if min(len(real), len(generated)) < 8:
        raise ValueError(f"expected eight clips or more to extrapolate from, got {len(real)} and {len(generated)}")
    if paired and len(real) != len(generated):
        raise ValueError(
            f"expected as many clips in both sets, got {len(real)} and {len(generated)}; or pass paired=False"
        )

    def distance_of_draw(step: float) -> float:
        indices = generator.permutation(len(real))[: round(len(real) / step)]
        others = indices if paired else generator.permutation(len(generated))[: round(len(generated) / step)]
        return distance(_stack([real[i] for i in indices]), _stack([generated[i] for i in others]))

    steps = np.linspace(1, 4, sizes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankDeficient)  # what it warns of is what is taken away here
        values = [distance_of_draw(1)] + [
            float(np.mean([distance_of_draw(step) for _ in range(repeats)])) for step in steps[1:]
        ]
    inverse = [len(real) / round(len(real) / step) for step in steps]  # 1 / N as drawn, in units of the whole's
    return float(np.polyfit(inverse, values, 1)[1])


def _stack(clips: Rows) -> Matrix:
    return np.concatenate([np.atleast_2d(np.asarray(clip, np.float64)) for clip in clips])


def _check_sets(*sets: ArrayLike) -> list[Matrix]:
    arrays = [np.asarray(rows, np.float64) for rows in sets]
    shapes = [rows.shape for rows in arrays]
    if any(len(shape) != 2 or shape[0] < 2 for shape in shapes) or len({shape[1:] for shape in shapes}) != 1:
        raise ValueError(f"expected two sets (N, D) of two rows or more and the same D, got {shapes}")
    if not all(np.isfinite(rows).all() for rows in arrays):
        raise ValueError("expected finite features, got NaN or infinity: look for broken frames")
    return arrays


def _short(spread: Matrix) -> Matrix:
    """A matrix with the same A'A and no more rows than columns."""
    return np.asarray(np.linalg.qr(spread, mode="r")) if len(spread) > spread.shape[1] else spread


def _frechet(difference: Matrix, spread0: Matrix, spread1: Matrix) -> float:
    overlap = np.linalg.svd(spread0 @ spread1.T, compute_uv=False).sum()
    distance = difference @ difference + (spread0**2).sum() + (spread1**2).sum() - 2 * overlap
    return max(float(distance), 0.0)  # rounding, for equal sets
