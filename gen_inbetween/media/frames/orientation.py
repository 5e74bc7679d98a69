"""Orientation of stored frames: turned and mirrored by a display matrix.

The matrix maps a stored place (p, q) to where it is shown: x = a p + c q, y = b p + d q. Of it the eight
orientations by right angles are taken, as of an EXIF tag.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from gen_inbetween.media.frames.light import side_data_of

UPRIGHT = (False, False, False)


def orientation_of(frame: Any) -> tuple[bool, bool, bool]:
    """(transpose, mirror left and right, mirror top and bottom), in this order, of a decoded PyAV frame."""
    data = side_data_of(frame).get("DISPLAYMATRIX")
    if data is None:
        return UPRIGHT
    a, b, _, c, d = struct.unpack("=5i", data[:20])
    turned = abs(b) + abs(c) > abs(a) + abs(d)
    return (True, c < 0, b < 0) if turned else (False, a < 0, d < 0)


def turned_upright(pixels: np.ndarray, orientation: tuple[bool, bool, bool]) -> np.ndarray:
    """An array (H, W, ...) as it is to be seen; (W, H, ...) where it is transposed."""
    transpose, mirror, flip = orientation
    if transpose:
        pixels = pixels.swapaxes(0, 1)
    if mirror:
        pixels = pixels[:, ::-1]
    if flip:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
