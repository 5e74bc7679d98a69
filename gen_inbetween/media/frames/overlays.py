"""Static overlays of a film: logos, titles and subtitles.

A pixel is of an overlay once it has stayed as it is over STEPS steps of the film during which its surroundings moved;
it is none from the first step on that changes it. What is found depends on the frames so far alone.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from gen_inbetween.media.frames.errors import VideoError
from gen_inbetween.media.frames.screen import Pixels

Overlays: TypeAlias = Literal["ignore", "hold"]
Mask = NDArray[np.float32]  # (H, W, 1) in [0, 1]: how much a pixel is of an overlay

STEPS = 10
ALIKE = 6  # of 255: change of a pixel's most changed channel up to which it has stayed, noise of coding included
MOVING = 0.15  # share of the pixels around that have changed where the surroundings move
AROUND = 24  # of the height: one such part is the side of the surroundings
LEAST = 12  # pixels of an overlay; less is chance


def check_overlays(overlays: str) -> None:
    """Raise VideoError unless it is one of its words."""
    if overlays not in get_args(Overlays):
        raise VideoError(f"overlays is {' or '.join(get_args(Overlays))}, got {overlays!r}")


class OverlayFinder:
    """Looks at the steps of a film in their order. Frames of one size."""

    def __init__(self) -> None:
        self._seen: NDArray[np.uint8] | None = None

    def see(self, first: Pixels, last: Pixels) -> Mask | None:
        """What is of an overlay from one frame to the next; None: nothing."""
        changed = _change(first, last) > ALIKE
        if self._seen is None:
            self._seen = np.zeros(changed.shape, np.uint8)
        side = max(3, changed.shape[0] // AROUND) | 1
        moving = cv2.blur(changed.astype(np.float32), (side, side)) > MOVING
        self._seen += moving & (self._seen < 255)
        self._seen[changed] = 0
        return _mask((self._seen >= STEPS).astype(np.uint8))


def held(drawn: Pixels, first: Pixels, last: Pixels, share: float, mask: Mask) -> Pixels:
    """A frame drawn at `share` of the time between two, what is of an overlay taken from them as it stands."""
    standing = first + np.float32(share) * (last.astype(np.float32) - first)
    mixed = np.rint(drawn + mask * (standing - drawn))
    return mixed.astype(np.uint8) if drawn.dtype == np.uint8 else mixed.astype(np.uint16)


def _change(first: Pixels, last: Pixels) -> NDArray[np.uint8]:
    """(H, W) of 255: how much the most changed channel of each pixel has changed."""
    if first.dtype != np.uint8:
        first, last = ((frame >> 8).astype(np.uint8) for frame in (first, last))
    return np.maximum.reduce(cv2.split(cv2.absdiff(first, last)))


def _mask(found: NDArray[np.uint8]) -> Mask | None:
    """Without specks, grown by a pixel and soft at its rim: letters are smoothed into what is behind them."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(found, connectivity=8)
    large = statistics[:, cv2.CC_STAT_AREA] >= LEAST
    large[0] = False
    if not large.any():
        return None
    kept = large[labels].astype(np.float32)
    soft = cv2.GaussianBlur(cv2.dilate(kept, np.ones((3, 3), np.uint8)), (3, 3), 0)
    return np.asarray(soft, np.float32)[..., None]
