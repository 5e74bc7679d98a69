"""Scene cuts, found by changes of a thumbnail.

A cut is a change far beyond what is usual around it. Among shots of two frames cuts are usual themselves: there it is a
change far beyond the calmest steps around it, which no motion explains.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from PIL import Image

from gen_inbetween.media.frames.screen import Pixels, eight_bit

THUMBNAIL = 24  # pixels along each side: enough to tell scenes apart, and blind to small motion
CUT_CHANGE = 0.08  # mean change of a thumbnail (values in [0, 1]) that can be a cut ...
CUT_RATIO = 4.0  # ... if it is so many times what is usual around it: fast motion changes every frame alike
CALM_RATIO = 3.0  # ... or so many times the calmest quarter of the steps around it, and ...
UNEXPLAINED = 0.03  # ... so much is left of the change when each part is taken from where it fits best, nearby
REACH, PART = 6, 4  # cells of a thumbnail: how far a part may have moved, and its sides; both at least a fifth of it
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
        if is_cut(thumbnails[index], thumbnails[index + 1], around):
            cuts.append(index + 1)
    return cuts


def is_cut(before: np.ndarray, after: np.ndarray, around: Sequence[float] | np.ndarray, repeats: int = 0) -> bool:
    """Whether a scene ends between two thumbnails.

    Args:
        around: mean changes of the thumbnails in the steps around this one (none: nothing moves).
        repeats: how many more steps around it change nothing; of what is usual they tell less than those that do.
    """
    change = float(np.abs(after - before).mean())
    if change <= CUT_CHANGE:
        return False
    if not len(around) or change > CUT_RATIO * float(np.median(around)):
        return True
    calm = float(np.quantile([*around, *[0.0] * repeats], 0.25))
    return change > CALM_RATIO * calm and unexplained(before, after) > UNEXPLAINED


def unexplained(before: np.ndarray, after: np.ndarray) -> float:
    """Mean change between two thumbnails that is left when each part is taken from where it fits best, nearby.

    What becomes lighter or darker as a whole, in a fade or by a flash, is explained too.
    """
    before = before + (after.mean((0, 1)) - before.mean((0, 1)))
    reach, side = range(2 * REACH + 1), THUMBNAIL // PART
    padded = np.pad(before, ((REACH, REACH), (REACH, REACH), (0, 0)), mode="edge")
    best = np.full((side, side), np.inf)
    for down, right in itertools.product(reach, reach):
        moved = padded[down : down + THUMBNAIL, right : right + THUMBNAIL]
        parts = np.abs(after - moved).mean(-1).reshape(side, PART, side, PART).mean((1, 3))
        best = np.minimum(best, parts)
    return float(np.sort(best, axis=None)[: best.size * 3 // 4].mean())  # what has just come into view is new anyway
