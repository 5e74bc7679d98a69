"""Measure of motion and doubt between two film frames."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gen_inbetween.interpolation.classical import DisInterpolator
from gen_inbetween.interpolation.dis_flow import opencv
from gen_inbetween.interpolation.faults.unexplained import measure_unexplained, measured_size
from gen_inbetween.media.frames.screen import Pixels


class PairMeter:
    """DIS flow at the size of `measured_size`; of a pair that follows another the first frame is known."""

    def __init__(self) -> None:
        self._dis = DisInterpolator()
        self._last: tuple[Pixels, Tensor] | None = None

    def measure(self, first: Pixels, last: Pixels) -> tuple[float, float]:
        """(motion, doubt) between two film frames of one shape: see `doubt.py`."""
        known = self._last
        a = known[1] if known is not None and known[0] is first else small_tensor(first)
        b = small_tensor(last)
        self._last = last, b
        return measure_unexplained(a, b, self._dis)


def small_tensor(pixels: Pixels) -> Tensor:
    """A film frame as (1, 3, h, w) in [0, 1] at the size of `measured_size`, its colours multiplied by alpha."""
    height, width = pixels.shape[:2]
    size = measured_size((width, height), height)
    small = opencv().resize(pixels, size, interpolation=opencv().INTER_AREA).astype(np.float32)
    small /= np.iinfo(pixels.dtype).max
    if small.shape[2] == 4:
        small = small[..., :3] * small[..., 3:]
    return torch.from_numpy(np.ascontiguousarray(small)).movedim(-1, 0)[None]
