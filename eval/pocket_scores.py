"""Scores of generated synthetic clips, shared by the bundled model's reports."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from gen_inbetween.data.synthetic import SyntheticClip


def background_of(clip: SyntheticClip) -> NDArray[np.bool_]:
    """(S, S): pixels in which no object is ever in front, nor within three pixels of 64 (edges are soft)."""
    seen = clip.masks.any((0, 1))
    return ~binary_dilation(seen, iterations=max(1, round(3 * clip.frames.shape[1] / 64)))


def interval(values: Sequence[float], resamples: int = 2000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean over clips (percentile, seed 0); NaNs are left out."""
    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    rng = np.random.default_rng(0)
    means = known[rng.integers(len(known), size=(resamples, len(known)))].mean(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def mean_with_interval(values: Sequence[float], digits: int) -> str:
    """`mean [low, high]`; see `interval`."""
    low, high = interval(values)
    return f"{np.nanmean(np.asarray(values, float)):.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
