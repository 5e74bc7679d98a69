"""Whether a colour that should be in one place is in two: an object drawn twice, however transparent."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..synthetic import DESIGN_SIZE

SMOOTHING = 1.2  # pixels of 64: closes a stripe or a window within one object
EDGE = 0.2  # of the frame's strongest likeness: where a blob ends
APART = 9.0  # pixels of 64 between the centres of two blobs: more than between the halves of a striped ball
COMPARABLE = 0.3  # a blob counts from this share of the largest one's mass on
LEAST_MASS = 0.05  # and from this share of the colour's mass in the true clip on


def blobs(likeness: NDArray[np.float32], least: float, comparable: float = COMPARABLE) -> int:
    """The separate blobs in one map (S, S): the heaviest, and those of comparable mass that lie apart from it.

    Blobs of a mass below `least` do not count.
    """
    unit = len(likeness) / DESIGN_SIZE
    smooth = cv2.GaussianBlur(likeness, (0, 0), SMOOTHING * unit)
    if smooth.max() <= 1e-3:
        return 0
    count, labels = cv2.connectedComponents((smooth > EDGE * smooth.max()).astype(np.uint8))
    mass = np.array(
        [np.bincount(labels.ravel(), (likeness * axis).ravel(), count)[1:] for axis in (1, *np.indices(labels.shape))]
    )
    heaviest = mass[0].argmax()
    centres = mass[1:] / np.maximum(mass[0], 1e-6)
    apart = np.hypot(*(centres - centres[:, heaviest, None])) >= APART * unit
    apart[heaviest] = True
    return int((apart & (mass[0] >= max(comparable * mass[0].max(), least))).sum())


def doubled(made: NDArray[np.float32], true: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(F,) where the maps `made` (F, S, S) show more blobs than any of the true ones does.

    In the true ones, blobs of half that mass count already, so that what just misses it there may pass it here.
    """
    least = LEAST_MASS * float(np.median(true.sum((1, 2))))
    allowed = max(1, *(blobs(frame, least / 2, COMPARABLE / 2) for frame in true))
    return np.array([blobs(frame, least) > allowed for frame in made])
