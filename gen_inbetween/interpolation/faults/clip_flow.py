"""Optical flow of a clip, computed once for all that is read off it.

Lengths are in pixels of a frame whose shorter side is 64, so that a figure means the same at every size.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gen_inbetween.interpolation.dis_flow import grey_dis_flows
from gen_inbetween.interpolation.interpolator import SMALLEST
from gen_inbetween.interpolation.reversals import GRID, SIDE, UNIT

Image = NDArray[np.float32]


@dataclass(frozen=True)
class ClipFlow:
    """A clip of F frames at the size flow is worked out at, and its flow.

    frames: (F, h, w, 3) uint8. flow: (F - 1, h, w, 2), how far what is seen in frame f moves (right, down) to frame
    f + 1, in pixels of these frames. unit: times this, pixels of 64.
    """

    frames: NDArray[np.uint8]
    flow: Image
    unit: float

    def step(self) -> NDArray[np.float64]:
        """(F - 1,) mean length of the flow, pixels of 64 a frame."""
        return np.linalg.norm(self.flow, axis=-1).mean((1, 2), dtype=np.float64) * self.unit


def compute_clip_flow(frames: NDArray[np.uint8]) -> ClipFlow:
    """The motion of frames (F, H, W, 3) uint8, F of two or more, any size from 16 x 16. ValueError: smaller ones."""
    height, width = frames.shape[1:3]
    if min(height, width) < SMALLEST:
        raise ValueError(f"frames are at least {SMALLEST} x {SMALLEST} pixels to see motion in, got {width} x {height}")
    frames = shrink(frames)
    grey = to_grey(frames)
    flow = np.stack(list(grey_dis_flows(grey[:-1], grey[1:], "fast")))
    return ClipFlow(frames, flow, UNIT / min(frames.shape[1:3]))


def shrink(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames at a shorter side of SIDE at most, by averaging areas."""
    height, width = frames.shape[1:3]
    scale = SIDE / min(height, width)
    if scale >= 1:
        return frames
    size = round(width * scale), round(height * scale)
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]).astype(np.uint8)


def to_grey(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]).astype(np.uint8)


def warp(image: Image, flow: Image) -> Image:
    """`image` (h, w) or (h, w, C) float32 looked up where `flow` (h, w, 2) points, bilinear, edges repeated."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    coordinates = x + flow[..., 0], y + flow[..., 1]
    return np.asarray(cv2.remap(image, *coordinates, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def average_cells(flow: Image) -> Image:
    """Flow (N, h, w, 2) averaged over square cells, GRID of them along the shorter side: (N, rows, columns, 2)."""
    height, width = flow.shape[1:3]
    cell = min(height, width) / GRID
    size = max(round(width / cell), 1), max(round(height / cell), 1)
    return np.stack([cv2.resize(step, size, interpolation=cv2.INTER_AREA) for step in flow]).astype(np.float32)
