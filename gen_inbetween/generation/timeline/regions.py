"""Regions of the picture that are kept: opened, feathered, shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from gen_inbetween.interpolation.editing.masks import Mask as MaskSource
from gen_inbetween.interpolation.editing.masks import open_masks

if TYPE_CHECKING:
    from gen_inbetween.generation.timeline.timeline import Mask

FEATHER = 1 / 32  # of the shorter side: two pixels of 64, twenty of 640


def open_region(mask: MaskSource, size: tuple[int, int]) -> Mask:
    """A region with a soft edge: 1 inside the mask, falling to 0 outside it over FEATHER of the shorter side.

    Args:
        mask: a path, PIL image or array of the size of the frame; what is brighter than half of its brightest pixel is
            the region.
        size: (width, height) of the frame.

    MaskError: another size, nothing in it, no mask.
    """
    inside = open_masks([mask], size)[0]
    return feather(inside, max(1.0, FEATHER * min(size)))


def feather(inside: np.ndarray, width: float) -> Mask:
    """bool (H, W) -> float32 (H, W): 1 inside, outside 1 - distance / width, not below 0.

    >>> feather(np.array([[True, False, False, False]]), 2.0).round(2).tolist()
    [[1.0, 0.5, 0.0, 0.0]]
    """
    distance = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    soft: Mask = np.clip(1 - distance / width, 0, 1).astype(np.float32)
    return soft


def show_region(picture: Image.Image, region: Mask) -> Image.Image:
    """The picture with everything outside the region dimmed to a quarter, as `inbetween edit --show-masks` does."""
    pixels = np.asarray(picture.convert("RGB"), np.float32)
    return Image.fromarray((pixels * (0.25 + 0.75 * region[..., None])).round().astype(np.uint8))
