"""Ways to spoil a clip (F, H, W, 3) uint8, each the pure form of what a measure is there to see."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]


def mixed(first: Frames, last: Frames, weight: NDArray[np.float64]) -> Frames:
    weight = weight[:, None, None, None]
    return np.round((1 - weight) * first + weight * last).astype(np.uint8)


def cross_dissolve(clip: Frames) -> Frames:
    return mixed(clip[:1], clip[-1:], np.linspace(0, 1, len(clip)))


def blurred(clip: Frames, sigma: float = 1.5) -> Frames:
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in clip])


def noisy(clip: Frames, sigma: float = 8.0) -> Frames:
    noise = np.random.default_rng(0).normal(0, sigma, clip.shape)
    return np.clip(np.round(clip + noise), 0, 255).astype(np.uint8)


def frozen(clip: Frames) -> Frames:
    """The nearer keyframe: one jump in the middle."""
    half = len(clip) // 2
    return np.concatenate([np.repeat(clip[:1], half, 0), np.repeat(clip[-1:], len(clip) - half, 0)])


def there_and_back(clip: Frames) -> Frames:
    steps = np.arange(len(clip))
    return clip[np.minimum(steps, len(clip) - 1 - steps)]


def overshooting(clip: Frames, frames: int) -> Frames:
    """To the end of `clip` and back to where a clip of `frames` frames is at its end: how time reversal fusion errs."""
    steps = np.arange(frames)
    return clip[np.minimum(steps, 2 * (len(clip) - 1) - steps)]


def reversed_in_time(clip: Frames) -> Frames:
    return clip[::-1].copy()


def shuffled(clip: Frames) -> Frames:
    """The inner frames in another order, the keyframes in place."""
    inner = 1 + np.random.default_rng(1).permutation(len(clip) - 2)
    return clip[np.r_[0, inner, len(clip) - 1]]


def half_transparent(clip: Frames) -> Frames:
    """Two copies, both moving, half and half: the clip at half speed from its start, and the same up to its end."""
    last, steps = len(clip) - 1, np.arange(len(clip))
    weight = np.full(len(clip), 0.5)
    weight[0], weight[-1] = 0, 1
    return mixed(clip[steps // 2], clip[last - (last - steps) // 2], weight)
