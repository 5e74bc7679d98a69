"""Tracking of a synthetic clip's objects through generated frames, by colour.

Every object of `synthetic.py` has a warm front and a cool rear. What counts is the direction of a pixel's chroma (its
colour less its grey), which survives blur, shading and a faint ghost. An object is searched near its last position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.data.synthetic import DESIGN_SIZE, SyntheticClip

REACH = 15.0  # pixels (of 64) from the last centre that still belong to the object
LEAST_SEEN = 0.25  # share of the first frame's colour below which an object counts as lost


@dataclass(frozen=True)
class Tracks:
    """F frames, K objects. Positions in pixels; NaN where the object was not found."""

    centre: NDArray[np.float64]  # (F, K, 2)
    front: NDArray[np.float64]  # (F, K, 2) centroid of the warm part
    rear: NDArray[np.float64]  # (F, K, 2) centroid of the cool part
    strength: NDArray[np.float64]  # (F, K) how solid its colour is, 0 to 1: a half-transparent copy has half or less

    @property
    def found(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.centre[..., 0])

    def speed(self) -> NDArray[np.float64]:
        """(K,) mean distance moved a frame while found, pixels; NaN for an object found in fewer than two frames."""
        steps = np.linalg.norm(np.diff(self.centre, axis=0), axis=-1)
        seen = ~np.isnan(steps)
        return np.where(seen.any(0), np.nansum(steps, 0) / np.maximum(seen.sum(0), 1), np.nan)

    def nose_first(self) -> NDArray[np.float64]:
        """(K,) distance moved towards the nose over distance moved at all: 1 nose-first, -1 tail-first.

        NaN where it cannot be told: the object has one colour only (balls), or was lost at once.
        """
        axis = self.front - self.rear
        axis = (axis / np.linalg.norm(axis, axis=-1, keepdims=True))[:-1]
        steps = np.diff(self.centre, axis=0)
        along = (axis * steps).sum(-1)
        length = np.where(np.isnan(along), 0, np.linalg.norm(steps, axis=-1)).sum(0)
        return np.where(length > 0, np.nansum(along, 0) / np.where(length > 0, length, 1), np.nan)


def likeness(frame: NDArray[np.uint8], colour: NDArray[np.float32]) -> NDArray[np.float64]:
    """(H, W) in [0, 1]: how much of `colour`, RGB in [0, 1], is in each pixel of a frame (H, W, 3)."""
    red, green, blue = np.moveaxis(frame / 255.0, -1, 0)  # channel by channel: twice as fast than on a last axis
    grey = (red + green + blue) / 3
    red, green, blue = red - grey, green - grey, blue - grey
    wanted = colour - colour.mean()
    size = np.linalg.norm(wanted)
    strength = np.sqrt(red**2 + green**2 + blue**2)
    cosine = (red * wanted[0] + green * wanted[1] + blue * wanted[2]) / (np.maximum(strength, 1e-6) * size)
    return np.clip((cosine - 0.8) / 0.2, 0, 1) * np.clip(strength / size - 0.25, 0, 1)


def track(frames: NDArray[np.uint8], truth: SyntheticClip) -> Tracks:
    """Follow each object of `truth` through `frames` (F, H, W, 3), starting where it truly is in the first frame."""
    num_frames, size = len(frames), frames.shape[1]
    y, x = np.mgrid[:size, :size]
    centre, front, rear = (np.full((num_frames, len(truth.kinds), 2), np.nan) for _ in range(3))
    strength = np.zeros((num_frames, len(truth.kinds)))
    for k, colours in enumerate(truth.colours):
        at, least = truth.positions[0, k].astype(float), 0.0
        whole = ~np.isnan(truth.headings[0, k])  # a ball has no rear
        for f, frame in enumerate(frames):
            near = np.hypot(x - at[0], y - at[1]) < REACH * size / DESIGN_SIZE
            warm, cool = likeness(frame, colours[0]) * near, likeness(frame, colours[1]) * near * whole
            both = warm + cool
            total = both.sum()
            least = least or LEAST_SEEN * total
            if total <= max(least, 1e-3):
                continue
            at = centroid(both, x, y)
            centre[f, k], strength[f, k] = at, np.square(both).sum() / total
            if warm.sum() > 0.1 * total and cool.sum() > 0.1 * total:
                front[f, k], rear[f, k] = centroid(warm, x, y), centroid(cool, x, y)
    return Tracks(centre, front, rear, strength)


def centroid(weight: NDArray[np.float64], x: NDArray[np.int_], y: NDArray[np.int_]) -> NDArray[np.float64]:
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
