"""Clean plates: the frames of a clip without the masked things, filled with what other frames show there.

The background is taken to move as a plane does under a turning or moving camera: a homography from frame to frame, of
the flow outside of all masks. A hole is filled from the frame nearest in time that shows it, and where none does,
painted over (Telea, 2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .classical import _opencv, dis_flow
from .following import CPU
from .masks import Bool
from .tensors import frame_tensor

Pixels = NDArray[np.uint8]

MARGIN = 1 / 40  # of the shorter side: the soft edge of a thing, its blur of motion and thin shadow go with it
TOLERANCE = 1.0  # pixels off the plane's motion at which a vector no longer speaks for it
STEP = 4  # pixels from one vector asked to the next
ENOUGH = 12  # vectors; with fewer the camera is taken to stand still
INPAINTED_FROM = 3.0  # pixels around a hole that its paint is mixed from


def grown(mask: NDArray[Any]) -> Bool:
    """A mask (H, W) with its soft edge."""
    cv2 = _opencv()
    reach = max(2, round(MARGIN * min(mask.shape)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


def clean_plates(frames: Sequence[Image.Image], masks: Sequence[Bool]) -> list[Pixels]:
    """The frames (uint8 (H, W, 3)) without what the masks, (M, H, W) for each frame, cover."""
    pixels = [np.asarray(frame) for frame in frames]
    holes = [grown(mask.any(0)) for mask in masks]
    steps = [plane_motion(frames[at], frames[at + 1], holes[at]) for at in range(len(frames) - 1)]
    to_first = [np.eye(3)]  # from each frame to the first
    for step in steps:
        to_first.append(to_first[-1] @ np.linalg.inv(step))
    return [_filled(at, pixels, holes, to_first) for at in range(len(frames))]


def plane_motion(frame: Image.Image, following: Image.Image, hole: Bool) -> NDArray[np.float64]:
    """The homography (3, 3) from a frame to the one after it, of what is outside of `hole`."""
    cv2 = _opencv()
    flow = dis_flow(frame_tensor(frame, CPU), frame_tensor(following, CPU))[0].permute(1, 2, 0).numpy()
    y, x = (axis[~hole[::STEP, ::STEP]] for axis in np.mgrid[: hole.shape[0] : STEP, : hole.shape[1] : STEP])
    if len(x) < ENOUGH:
        return np.eye(3)
    points = np.stack([x, y], 1).astype(np.float32)
    cv2.setRNGSeed(0)
    found, agreeing = cv2.findHomography(points, points + flow[y, x], cv2.RANSAC, TOLERANCE)
    return found if found is not None and int(agreeing.sum()) >= ENOUGH else np.eye(3)


def _filled(at: int, pixels: list[Pixels], holes: list[Bool], to_first: list[NDArray[Any]]) -> Pixels:
    cv2 = _opencv()
    plate, left = pixels[at].copy(), holes[at].copy()
    height, width = left.shape
    for other in sorted(range(len(pixels)), key=lambda number: abs(number - at))[1:]:
        if not left.any():
            return plate
        here = np.linalg.inv(to_first[at]) @ to_first[other]  # from the other frame to this one
        shown = cv2.warpPerspective((~holes[other]).astype(np.uint8) * 255, here, (width, height)) > 250
        use = left & shown
        if use.any():
            plate[use] = cv2.warpPerspective(pixels[other], here, (width, height), borderMode=cv2.BORDER_REPLICATE)[use]
            left &= ~use
    if left.all():
        return pixels[at]  # nothing is known of what is behind
    return np.asarray(cv2.inpaint(plate, left.astype(np.uint8), INPAINTED_FROM, cv2.INPAINT_TELEA))
