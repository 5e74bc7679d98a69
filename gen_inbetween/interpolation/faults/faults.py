"""Faults of a clip, as figures read off frames and optical flow.

Lengths are in pixels of a frame whose shorter side is 64, so that a figure means the same at every size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.interpolation.faults.clip_flow import ClipFlow, average_cells, compute_clip_flow, warp
from gen_inbetween.interpolation.faults.ghosting import blending
from gen_inbetween.interpolation.reversals import bounce

STILL = 0.1  # pixels of 64 a frame: a step in which no cell moves as much is frozen
LEAST_CHANGE = 1.0  # grey levels between the keyframes, on average, from which on something is expected to move


def find_faults(frames: NDArray[np.uint8], keyframes: Sequence[NDArray[np.uint8] | None]) -> dict[str, float]:
    """Every fault of a clip; NaN where the question does not apply to it.

    Args:
        frames: (F, H, W, 3) uint8, F of three or more, from before the keyframes are put back at its ends.
        keyframes: of the first and of the last frame, of their size; None where there is none.

    Returns:
        bounce: the share of the motion that runs back along its own way. ghosting: how far frames are two pictures laid
        over each other, 0 to 1; ghost_depth: how strongly, grey levels. freeze: the share of steps in which nothing
        moves. flicker: trembling of brightness, grey levels. endpoint_error: mean difference of its ends from the
        keyframes, grey levels. pace: how uneven the motion is, standard deviation of a step over their mean.
    """
    motion = compute_clip_flow(frames)
    off = [
        np.abs(frames[end].astype(np.int16) - keyframe).mean()
        for end, keyframe in zip((0, -1), keyframes, strict=True)
        if keyframe is not None
    ]
    blend = blending(motion)
    return {
        "bounce": turning_back(motion),
        "ghosting": blend.share,
        "ghost_depth": blend.depth,
        "freeze": standing_still(motion),
        "flicker": trembling(motion),
        "endpoint_error": float(np.mean(off)) if off else float("nan"),
        "pace": uneven_pace(motion),
    }


def turning_back(motion: ClipFlow) -> float:
    """See `evaluation.metrics.motion.Bounce`."""
    flow = motion.flow * motion.unit
    camera = np.median(flow.reshape(len(flow), -1, 2), axis=1)
    return bounce(average_cells(flow - camera[:, None, None]), camera)


def standing_still(motion: ClipFlow) -> float:
    """See `evaluation.metrics.motion.Freeze`."""
    first, last = motion.frames[[0, -1]].astype(np.int16)
    if np.abs(last - first).mean() < LEAST_CHANGE:
        return float("nan")
    return float((fastest(motion) < STILL).mean())


def fastest(motion: ClipFlow) -> NDArray[np.float64]:
    """(F - 1,) the flow of the cell that moves most in each step, pixels of 64."""
    return np.linalg.norm(average_cells(motion.flow), axis=-1).max((1, 2)).astype(np.float64) * motion.unit


def trembling(motion: ClipFlow) -> float:
    """See `evaluation.metrics.motion.Flicker`."""
    pixels, flow = motion.frames.astype(np.float32), motion.flow
    bends = [
        warp(pixels[t - 1], -flow[t - 1]) - 2 * pixels[t] + warp(pixels[t + 1], flow[t])
        for t in range(1, len(pixels) - 1)
    ]
    return float(np.mean([np.median(np.abs(bend).mean(-1)) for bend in bends]))


def uneven_pace(motion: ClipFlow) -> float:
    """See `evaluation.metrics.motion.SpeedUniformity`."""
    step = motion.step()
    return float(step.std() / step.mean()) if step.mean() > 1e-3 else float("nan")
