"""Scene cuts, found by changes of a thumbnail.

A cut is a change far beyond what is usual around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from gen_inbetween.media.frames.screen import Pixels, eight_bit

THUMBNAIL = 24  # pixels along each side: enough to tell scenes apart, and blind to small motion
CUT_CHANGE = 0.08  # mean change of a thumbnail (values in [0, 1]) that can be a cut ...
CUT_RATIO = 4.0  # ... if it is so many times what is usual around it: fast motion changes every frame alike
NEIGHBOURS = 8  # frames on each side that say what is usual


def thumbnail(frame: Image.Image | Pixels) -> np.ndarray:
    """A frame as THUMBNAIL x THUMBNAIL x 3 float32 in [0, 1], areas averaged; x 4, premultiplied, with alpha."""
    image = frame if isinstance(frame, Image.Image) else Image.fromarray(eight_bit(frame))
    small = (image.convert("RGBa") if image.mode == "RGBA" else image).resize(
        (THUMBNAIL, THUMBNAIL), Image.Resampling.BOX
    )
    return np.asarray(small, dtype=np.float32) / 255


def scene_cuts(thumbnails: np.ndarray) -> list[int]:
    """Numbers of the frames that begin another scene, of thumbnails (frame, y, x, channel) in [0, 1]."""
    change = np.abs(np.diff(thumbnails, axis=0)).mean((1, 2, 3))
    cuts = []
    for index in np.flatnonzero(change > CUT_CHANGE).tolist():
        around = np.concatenate(
            [change[max(0, index - NEIGHBOURS) : index], change[index + 1 : index + 1 + NEIGHBOURS]]
        )
        if is_cut(float(change[index]), around):
            cuts.append(index + 1)
    return cuts


def is_cut(change: float, around: Sequence[float] | np.ndarray) -> bool:
    """Whether a mean change of the thumbnail is a cut, given those of the steps around it (none: nothing moves).

    >>> is_cut(0.2, [0.01, 0.02]), is_cut(0.2, [0.1, 0.15])
    (True, False)
    """
    return change > CUT_CHANGE and (len(around) == 0 or change > CUT_RATIO * float(np.median(around)))
