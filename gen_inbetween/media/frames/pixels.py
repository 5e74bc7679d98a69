"""The limit of pixels, asked by every decoder before it inflates.

A small file can hide a picture that fills the memory. Pillow's own limit holds for all; $GEN_INBETWEEN_MAX_PIXELS
allows more.
"""

from __future__ import annotations

import os
import re

from PIL import Image

PIXELS_VARIABLE = "GEN_INBETWEEN_MAX_PIXELS"


def most_pixels() -> int:
    """How many pixels a picture may have; Pillow is told as well."""
    if (limit := os.environ.get(PIXELS_VARIABLE, "")).isdecimal():
        Image.MAX_IMAGE_PIXELS = (int(limit) + 1) // 2  # Pillow refuses from twice as many on
    return 2 * (Image.MAX_IMAGE_PIXELS or 2**30)


def too_many_pixels(name: object, pixels: int | None) -> str | None:
    """What to say of so many pixels (None: not known how many) where they are more than may be; None: they are not."""
    most = most_pixels()
    if pixels is not None and pixels <= most:
        return None
    size = "too many pixels" if pixels is None else f"{pixels / 1e6:.0f} million pixels"
    return (
        f"{name} has {size}; at most {most / 1e6:.0f} million are read, because a small file can hide a picture that "
        f"fills the memory: make it smaller, or set {PIXELS_VARIABLE}={pixels or 10**9}"
    )


def said_of_bomb(name: object, error: Image.DecompressionBombError) -> str:
    """`too_many_pixels` of what Pillow refuses, whose message counts the pixels."""
    count = re.search(r"\d+", str(error))
    return too_many_pixels(name, int(count[0]) if count else None) or str(error)
