"""Ghosting and dissolving: energy of blended keyframes, share of fading."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from gen_inbetween.interpolation.dis_flow import grey_dis_flows
from gen_inbetween.interpolation.faults.clip_flow import ClipFlow, Image, to_grey, warp

WINDOW = 7  # pixels along a side over which one blend weight is sought


@dataclass(frozen=True)
class Blending:
    """Squared grey levels that a blend of the keyframes explains, those it could, and over how many values."""

    gained: float
    possible: float
    count: int

    @property
    def share(self) -> float:
        """0 to 1; NaN where both keyframes, moved to fit, are the same."""
        return self.gained / self.possible if self.possible else float("nan")

    @property
    def depth(self) -> float:
        """Grey levels (RMS): little where both fit so well that nobody sees two, whatever the share of it is."""
        return math.sqrt(self.gained / self.count)


def blended_energy(motion: ClipFlow) -> float:
    """The share of `blending`, the metric: see evaluation.metrics.motion.Ghosting."""
    return blending(motion).share


def blending(motion: ClipFlow) -> Blending:
    """How far the inner frames are blends of the two keyframes, moved to fit.

    In each window W0 and W1 are the keyframes warped onto frame I by the flow from I to them. The best weight of
    I = a W1 + (1 - a) W0 is found by least squares, a in [0, 1]. What counts is the squared error that it takes away
    from the better one of W0 and W1, over the most that it could: a quarter of |W0 - W1|^2, where a = 1/2 is exact.
    """
    grey, pixels = to_grey(motion.frames), motion.frames.astype(np.float32)
    inner = range(1, len(pixels) - 1)
    to_first = grey_dis_flows([grey[t] for t in inner], [grey[0]] * len(inner), "ultrafast")
    to_last = grey_dis_flows([grey[t] for t in inner], [grey[-1]] * len(inner), "ultrafast")
    gained, possible, count = 0.0, 0.0, max(1, len(inner) * pixels[0].size)
    for t, back, ahead in zip(inner, to_first, to_last, strict=True):
        first, last = warp(pixels[0], back), warp(pixels[-1], ahead)
        apart, off = last - first, pixels[t] - first
        spread, along, error = (in_window(a * b) for a, b in ((apart, apart), (apart, off), (off, off)))
        weight = np.clip(along / np.maximum(spread, 1e-3), 0, 1)
        nearer = np.minimum(error, error - 2 * along + spread)  # squared error of a = 0 and of a = 1
        blended = error - 2 * weight * along + weight**2 * spread
        gained += float(np.maximum(nearer - blended, 0).sum())  # below 0 by rounding alone
        possible += float(spread.sum()) / 4
    return Blending(gained, possible, count)


def in_window(products: Image) -> Image:
    """Sum over the channels of (h, w, C), mean over the window round each pixel: (h, w)."""
    return np.asarray(cv2.blur(products.sum(-1), (WINDOW, WINDOW)), np.float32)


def faded_share(motion: ClipFlow) -> float:
    """The share of all change in time that goes on as a fade: see evaluation.metrics.motion.Dissolve.

    r is the change of brightness along the flow. Things that move leave none but for a moment where they cover or
    uncover; noise changes its sign. A fade goes on: what counts is the part of r that has the same sign in two steps
    on end, min(|r_t|, |r_t+1|), against the plain change |I_t+1 - I_t|.
    """
    pixels = np.stack([cv2.GaussianBlur(frame.astype(np.float32), (0, 0), 1) for frame in motion.frames])
    change = [warp(after, flow) - before for before, after, flow in zip(pixels, pixels[1:], motion.flow, strict=False)]
    faded = 0.0
    for before, after, flow in zip(change, change[1:], motion.flow, strict=False):
        after = warp(after, flow)
        faded += float(np.minimum(abs(before), abs(after))[np.sign(before) == np.sign(after)].sum())
    total = float(np.abs(np.diff(pixels, axis=0)).sum()) * (len(change) - 1) / len(change)
    return faded / total if total else float("nan")
