"""Windows of a video that become pairs: no cuts, varied motion.

Taken together they cover the range of motion of the video. A window of n frames at stride s is the frames start,
start + s, ..., start + (n - 1) s of the file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.evaluation.pairs.pair import PairError
from gen_inbetween.interpolation.dis_flow import grey_dis_flows
from gen_inbetween.interpolation.faults.clip_flow import to_grey
from gen_inbetween.media.scenes import scene_cuts, thumbnail
from gen_inbetween.media.video import stream_frames

MOTION_HEIGHT = 256  # pixels to which frames are resized before their motion is measured, aspect kept
MOTION_LEAST_WIDTH = 32  # below this, optical flow has no room for its coarsest level


@dataclass(frozen=True)
class Scan:
    """What one pass over a video tells. A scene is [first frame, end)."""

    path: Path
    stride: int
    fps: float | None
    scenes: tuple[tuple[int, int], ...]
    moved: NDArray[np.float64]  # (frames - stride,): `flow_amount` from frame i to frame i + stride

    def motion(self, start: int, num_frames: int) -> float:
        """`motion_amount` of a window, without decoding it again."""
        return float(self.moved[start : start + (num_frames - 1) * self.stride : self.stride].mean())


@dataclass(frozen=True)
class Window:
    start: int
    num_frames: int
    motion: float


def motion_amount(frames: Iterable[Image.Image | NDArray[np.uint8]]) -> float:
    """How much a clip moves: mean length of the optical flow from each frame to the next, over pixels and frames.

    In pixels a frame, of frames 256 pixels high: every frame, small or large, is first resized to that height (aspect
    kept, averaged over areas where it shrinks, linearly where it grows), so that clips of all sizes are on one scale;
    flow as in `interpolation.faults.clip_flow`. A still camera's clip has a low value even if what moves in it is
    fast, as the mean runs over the whole picture.

    Args:
        frames: two or more RGB images of one size, PIL or uint8 (H, W, 3).

    Raises:
        PairError: fewer than two frames, or several sizes.
    """
    prepared = [_grey_at_height(frame) for frame in frames]
    if len(prepared) < 2:
        raise PairError(f"motion is measured from frame to frame; expected 2 frames or more, got {len(prepared)}")
    return float(np.mean([flow_amount(first, second) for first, second in pairwise(prepared)]))


def flow_amount(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Mean length of the flow between two grey frames of one size (H, W), in their pixels."""
    if first.shape != second.shape:
        raise PairError(
            f"expected frames of one size, got {first.shape[::-1]} and {second.shape[::-1]} (after resizing)"
        )
    flow = next(grey_dis_flows([first], [second], "fast"))
    return float(np.hypot(flow[..., 0], flow[..., 1]).mean())


def scan_video(path: Path, stride: int = 1) -> Scan:
    """Look through a video, an animation or a folder of images once, in constant memory.

    Raises:
        VideoError: it cannot be read to its end. PairError: frames of several sizes.
    """
    frames, fps = stream_frames(path, reader="av")
    thumbnails, moved = [], []
    latest: deque[NDArray[np.uint8]] = deque(maxlen=stride + 1)
    for frame in frames:
        thumbnails.append(thumbnail(frame))
        latest.append(_grey_at_height(frame))
        if len(latest) > stride:
            moved.append(flow_amount(latest[0], latest[-1]))
    cuts = scene_cuts(np.stack(thumbnails)) if len(thumbnails) > 1 else []
    return Scan(path, stride, fps, tuple(pairwise([0, *cuts, len(thumbnails)])), np.array(moved))


def split_windows(scan: Scan, num_frames: int) -> list[Window]:
    """All windows that follow each other from the first frame of each scene, none over a cut, none overlapping."""
    span = (num_frames - 1) * scan.stride + 1
    starts = [start for first, end in scan.scenes for start in range(first, end - span + 1, span)]
    return [Window(start, num_frames, scan.motion(start, num_frames)) for start in starts]


def choose_windows(windows: Sequence[Window], count: int) -> list[Window]:
    """`count` windows that cover the range of motion, in the order of time.

    Ranked by motion, those at (k + 1/2) / count of the ranks: for one window the median. The most moving window of all
    is rarely typical: there the camera shakes, the picture dissolves, or a cut went unseen.
    """
    ranked = sorted(windows, key=lambda window: (window.motion, window.start))
    ranks = {int((k + 0.5) / count * len(ranked)) for k in range(count)} if ranked else set()
    return sorted((ranked[rank] for rank in ranks), key=lambda window: window.start)


def centre_window(scan: Scan, window: Window, num_frames: int) -> Window:
    """The shorter window in the middle of a window: gaps then differ, and nothing else."""
    start = window.start + (window.num_frames - num_frames) // 2 * scan.stride
    return Window(start, num_frames, scan.motion(start, num_frames))


def _grey_at_height(frame: Image.Image | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB -> grey (256, W), W at least MOTION_LEAST_WIDTH."""
    pixels = np.asarray(frame)
    height, width = pixels.shape[:2]
    size = max(MOTION_LEAST_WIDTH, round(width * MOTION_HEIGHT / height)), MOTION_HEIGHT
    way = cv2.INTER_AREA if height > MOTION_HEIGHT else cv2.INTER_LINEAR
    return to_grey(np.asarray(cv2.resize(pixels, size, interpolation=way), np.uint8)[None])[0]
