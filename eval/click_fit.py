"""Weights of the choice among masks, fitted on clicks with true masks; `click_report.py --fit` prints them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from scipy.optimize import minimize
from tqdm import tqdm

from gen_inbetween.evaluation.masks.click_list import Row, picture_of, truth_of
from gen_inbetween.evaluation.masks.scores import iou
from gen_inbetween.interpolation.editing.clicks import candidates, small_copy, spots_of
from gen_inbetween.interpolation.editing.mask_choice import WEIGHTS, measure, measures

SHARES = {"world": 1.0, "plain": 0.5, "collage": 1.0, "photograph": 6.0}  # what a click of each kind weighs
KEEP_SMALL = 0.002  # weight decay


def fit(rows: Sequence[Row]) -> dict[str, float]:
    """The weights that maximise the expected overlap when candidates are drawn by softmax of their scores."""
    clicks = [click for row in tqdm(rows, "clicks") if (click := click_of(row, rows)) is not None]
    every = np.concatenate([values for values, _, _ in clicks])
    middle, spread = every.mean(0), every.std(0) + 1e-6
    clicks = [((values - middle) / spread, overlaps, share) for values, overlaps, share in clicks]
    total = sum(share for _, _, share in clicks)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = KEEP_SMALL * float(weights @ weights), 2 * KEEP_SMALL * weights
        for values, overlaps, share in clicks:
            scores = values @ weights
            chances = np.exp(scores - scores.max())
            chances /= chances.sum()
            expected = chances @ overlaps
            value -= share / total * expected
            slope = slope - share / total * (values.T @ (chances * (overlaps - expected)))
        return value, slope

    best = minimize(loss, np.zeros(len(WEIGHTS)), jac=True, method="L-BFGS-B").x / spread
    return {name: round(float(weight), 1) for name, weight in zip(WEIGHTS, best, strict=True)}


def click_of(row: Row, rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, float] | None:
    """(measures of each candidate, its overlap with the truth, what the click weighs); None: nothing to be learnt."""
    picture, truth = picture_of(row), truth_of(row, rows)
    if picture is None or truth is None:
        return None
    small = small_copy(picture)
    evidence, on = measure(small), spots_of([tuple(row["click"])], picture, small)
    masks = candidates(evidence, on, [])
    if not masks:
        return None
    size = small.shape[1::-1]
    true = cv2.resize(truth.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5
    values = np.array([measures(evidence, mask, on) for mask in masks])
    return values, np.array([iou(mask, true) for mask in masks]), SHARES[row["kind"]]
