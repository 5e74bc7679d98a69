"""Whether a colour that should be in one place is in two: an object drawn twice, however transparent."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..synthetic import DESIGN_SIZE

SMOOTHING = 1.2  # pixels of 64: closes a stripe or a window within one object
EDGE = 0.2  # of the frame's strongest likeness: where a blob ends
COMPARABLE = 0.3  # a blob counts from this share of the largest one's mass on
LEAST_MASS = 0.1  # and from this share of the colour's mass in the true clip on


def blobs(likeness: NDArray[np.float32], least: float) -> int:
    """The number of separate blobs of comparable mass in one map (S, S); those of a mass below `least` do not count."""
    smooth = cv2.GaussianBlur(likeness, (0, 0), SMOOTHING * len(likeness) / DESIGN_SIZE)
    if smooth.max() <= 1e-3:
        return 0
    count, labels = cv2.connectedComponents((smooth > EDGE * smooth.max()).astype(np.uint8))
    masses = np.bincount(labels.ravel(), likeness.ravel(), count)[1:]
    return int((masses >= max(COMPARABLE * masses.max(), least)).sum())


def doubled(made: NDArray[np.float32], true: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(F,) where the maps `made` (F, S, S) show more blobs than any of the true ones does."""
    least = LEAST_MASS * float(np.median(true.sum((1, 2))))
    allowed = max(1, *(blobs(frame, least) for frame in true))
    return np.array([blobs(frame, least) > allowed for frame in made])
