"""Motion and doubt between two film frames, by optical flow.

    doubt     99.9th percentile of |a - warp(b, F_01)|, averaged over windows of WINDOW pixels, grey levels
    motion    99th percentile of |F_01|

Frames are brought to a height of 256 pixels, and flow is DIS's at half of that: a hundredth of a second on a core,
whatever draws and at any size. What a flow that was found leaves unexplained is what two frames laid over each other
would show twice. The window passes over the thin edges that any moving thing uncovers, and the high percentile sees a
ball of a thousandth of the picture. What the motion leads out of the picture is left out: a pan reveals borders.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gen_inbetween.interpolation.dis_flow import grey_dis_flows
from gen_inbetween.interpolation.interpolator import SMALLEST
from gen_inbetween.media.frames.screen import Pixels

HEIGHT = 256  # pixels to which larger frames are brought
WINDOW = 9  # pixels
LEFT_OVER, FASTEST = 99.9, 99.0  # percentiles
SPARSE = 2  # every so many-th pixel either way is looked at for the motion


class PairMeter:
    """Measures pairs of film frames; of a pair that follows another the first frame is known."""

    def __init__(self) -> None:
        self._last: tuple[Pixels, NDArray[np.uint8]] | None = None

    def measure(self, first: Pixels, last: Pixels) -> tuple[float, float]:
        """(motion in pixels of a frame HEIGHT high, doubt in grey levels) between two frames of one shape."""
        known = self._last
        a = known[1] if known is not None and known[0] is first else small_rgb(first)
        b = small_rgb(last)
        self._last = last, b
        one, other = (np.asarray(cv2.cvtColor(each, cv2.COLOR_RGB2GRAY), np.uint8) for each in (a, b))
        flow = next(grey_dis_flows([one], [other], "ultrafast", finest_scale=1))
        length = np.linalg.norm(flow[::SPARSE, ::SPARSE], axis=-1)
        motion = float(np.percentile(length, FASTEST)) * HEIGHT / len(a)
        return round(motion, 2), round(left_over(a, b, flow), 2)


def left_over(one: NDArray[np.uint8], other: NDArray[np.uint8], flow: NDArray[np.float32]) -> float:
    """What of `one` (h, w, 3) is not found where `flow` (h, w, 2) leads in `other`, grey levels."""
    height, width = flow.shape[:2]
    x = flow[..., 0] + np.arange(width, dtype=np.float32)
    y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    moved = cv2.remap(other, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    off = cv2.absdiff(one, moved).astype(np.float32) @ np.full(3, 1 / 3, np.float32)
    off[(x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)] = 0
    return float(np.percentile(cv2.blur(off, (WINDOW, WINDOW)), LEFT_OVER))


def small_rgb(pixels: Pixels) -> NDArray[np.uint8]:
    """A film frame as (h, w, 3) of 8 bits, HEIGHT high at most, its colours multiplied by alpha."""
    height, width = pixels.shape[:2]
    size = max(SMALLEST, round(width * HEIGHT / height)), HEIGHT  # optical flow finds nothing in a narrower one
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if height > HEIGHT else pixels
    levels = np.asarray(small if small.dtype == np.uint8 else small // 257, np.uint8)
    if levels.shape[2] == 3:
        return levels
    return (levels[..., :3].astype(np.uint16) * levels[..., 3:] // 255).astype(np.uint8)
