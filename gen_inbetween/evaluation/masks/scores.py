"""Scores of masks: overlap with the truth, and corrections by a second click."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gen_inbetween.evaluation.report.statistics import LEVEL, RESAMPLES, SEED, Estimate
from gen_inbetween.interpolation.dis_flow import opencv

Bool = NDArray[np.bool_]


def iou(mask: Bool, truth: Bool) -> float:
    """Intersection over union; 1 where both are empty.

    >>> iou(np.array([1, 1, 0], bool), np.array([0, 1, 1], bool))
    0.3333333333333333
    """
    union = int((mask | truth).sum())
    return float((mask & truth).sum()) / union if union else 1.0


def grouped_interval(values: ArrayLike, groups: Sequence[Hashable]) -> Estimate:
    """The mean of values and its 95 % percentile bootstrap interval, whole groups drawn again (2,000 times, seed 0).

    Clicks on one picture are not independent: the picture is the group.
    """
    sample = np.asarray(values, np.float64)
    names = list(dict.fromkeys(groups))
    if len(sample) == 0 or len(names) < 2:
        return Estimate(float(sample.mean()) if len(sample) else np.nan, np.nan, np.nan, len(sample))
    member = np.array([[group == name for group in groups] for name in names], float)
    sums, counts = member @ sample, member.sum(1)
    draws = np.random.default_rng(SEED).multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile((draws @ sums) / (draws @ counts), [tail, 100 - tail])
    return Estimate(float(sample.mean()), float(low), float(high), len(sample))


def correcting_click(mask: Bool, truth: Bool) -> tuple[bool, tuple[int, int]]:
    """The click a person would make next: whether it is on the thing, and (x, y).

    It is where the largest piece that is missing, or too much, is deepest.
    """
    cv2 = opencv()
    depths = [cv2.distanceTransform(np.pad(wrong, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
              for wrong in (truth & ~mask, mask & ~truth)]  # fmt: skip
    on = bool(depths[0].max() >= depths[1].max())
    y, x = np.unravel_index(int(depths[not on].argmax()), mask.shape)
    return on, (int(x), int(y))
