"""Reversals of motion in optical flow.

Motion that runs back along its own way: what sampling from both ends does when it overshoots, and what bounces.

Steps are optical flow averaged over cells, (N, rows, columns, 2) in pixels of a frame whose shorter side is 64: what
moves in each cell from frame k to k + 1. The camera, (N, 2), is the median flow of each step; it is taken out of the
cells and judged by itself, so that neither a still nor a panning background hides an object that turns round.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UNIT = 64  # pixels: the shorter side of the frame in which lengths are given
SIDE = 128  # larger frames are shrunk to this shorter side: motion is read here, not detail, and 64 is little for flow
GRID = 8  # cells along the shorter side over which flow is averaged: a cell is about as large as a limb
TREMBLE = 0.3  # pixels of 64 a frame: a cell's mean flow below it may be a flickering surface, and has no direction
LEAST_PATH = 2.0  # pixels of 64 over the whole clip that a cell must see pass, to say which way they go

Steps = NDArray[np.floating]


def bounce(cells: Steps, camera: Steps) -> float:
    """The share of the motion that is undone again at the same place; cells without the camera's motion.

    0 on a straight run, 1 there and back again; the larger of the share of the objects and that of the camera. NaN
    where nothing moves as much as LEAST_PATH.
    """
    shares = [cancelled(part) for part in (cells, camera[:, None, None])]
    return max((share for share in shares if not np.isnan(share)), default=float("nan"))


def cancelled(steps: Steps) -> float:
    """Steps (N, rows, columns, 2): the share of their length that is undone again at the same place, 0 to 1."""
    steps = np.where(np.linalg.norm(steps, axis=-1, keepdims=True) >= TREMBLE, steps, 0)
    length = np.linalg.norm(steps, axis=-1).sum(0)
    left = np.linalg.norm(steps.sum(0), axis=-1)
    moving = length >= LEAST_PATH
    return float(1 - left[moving].sum() / length[moving].sum()) if moving.any() else float("nan")


def turns(cells: Steps, camera: Steps) -> NDArray[np.float64]:
    """(N - 1,) whether each step goes on the way of the one before it: 1 straight on, -1 straight back; NaN: no motion.

    sum <F_k, F_before> / sum |F_k| |F_before| over cells that move, the camera in each of them. F_before is the last
    step that moved: what stops, waits and returns turns back when it sets out again. The larger motion decides; an
    object that turns round before a moving background is seen by `bounce` only.
    """
    vectors = cells.reshape(len(cells), -1, 2)
    steps = np.concatenate([vectors, np.broadcast_to(camera[:, None], vectors.shape)], axis=1)
    steps = np.where(np.linalg.norm(steps, axis=-1, keepdims=True) >= TREMBLE, steps, 0)
    cosines, before = np.full(max(len(steps) - 1, 0), np.nan), steps[0]
    for index, step in enumerate(steps[1:]):
        weight = (np.linalg.norm(step, axis=-1) * np.linalg.norm(before, axis=-1)).sum()
        if weight > 0:
            cosines[index] = (step * before).sum() / weight
        before = step if step.any() else before
    return cosines
