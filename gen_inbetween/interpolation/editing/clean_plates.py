"""Clean plates: frames of a clip with the masked objects removed.

The background is taken to move as a plane does under a turning or moving camera: a homography from frame to frame, of
the flow outside of all masks. A hole is filled with the median of what other frames show there: a mask that is too
tight leaves the rim of its thing behind for a frame or two, and the median passes over that. It is shaded as this frame
is around the hole. What no frame shows is painted over (Telea, 2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.interpolation.dis_flow import dis_flow, opencv
from gen_inbetween.interpolation.editing.mask_propagation import CPU
from gen_inbetween.interpolation.editing.masks import Bool
from gen_inbetween.interpolation.pairs import frame_tensor

Pixels = NDArray[np.uint8]

MARGIN = 1 / 40  # of the shorter side: the soft edge of a thing, its blur of motion and thin shadow go with it
RING = 1 / 10  # of the shorter side, around a hole: where frames are compared for how bright they are
ALIKE = 32  # levels; frames that differ by more are not of the same thing, not of another light
TOLERANCE = 1.0  # pixels off the plane's motion at which a vector no longer speaks for it
STEP = 4  # pixels from one vector asked to the next
ENOUGH = 12  # vectors; with fewer the camera is taken to stand still
ASKED = 25  # frames, evenly spread over the clip, that are asked what is behind
PAINT = 3.0  # pixels around a hole that its paint is mixed from


def grow_mask(mask: NDArray[Any], margin: float = MARGIN) -> Bool:
    """A mask (H, W) with its soft edge."""
    cv2 = opencv()
    reach = max(2, round(margin * min(mask.shape)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


def clean_plates(frames: Sequence[Image.Image], masks: Sequence[Bool]) -> list[Pixels]:
    """The frames (uint8 (H, W, 3)) without what the masks, (M, H, W) for each frame, cover."""
    pixels = [np.asarray(frame) for frame in frames]
    holes = [grow_mask(np.asarray(mask.any(0))) for mask in masks]
    steps = [plane_motion(frames[at], frames[at + 1], holes[at]) for at in range(len(frames) - 1)]
    to_first = [np.eye(3)]  # from each frame to the first
    for step in steps:
        to_first.append(to_first[-1] @ np.linalg.inv(step))
    return [_fill_hole(at, pixels, holes, to_first) for at in range(len(frames))]


def plane_motion(frame: Image.Image, following: Image.Image, hole: Bool) -> NDArray[np.float64]:
    """The homography (3, 3) from a frame to the one after it, of what is outside of `hole`."""
    cv2 = opencv()
    flow = dis_flow(frame_tensor(frame, CPU), frame_tensor(following, CPU))[0].permute(1, 2, 0).numpy()
    y, x = (axis[~hole[::STEP, ::STEP]] for axis in np.mgrid[: hole.shape[0] : STEP, : hole.shape[1] : STEP])
    if len(x) < ENOUGH:
        return np.eye(3)
    points = np.stack([x, y], 1).astype(np.float32)
    cv2.setRNGSeed(0)
    homography, inliers = cv2.findHomography(points, points + flow[y, x], cv2.RANSAC, TOLERANCE)
    return homography if homography is not None and int(inliers.sum()) >= ENOUGH else np.eye(3)


def _fill_hole(at: int, pixels: list[Pixels], holes: list[Bool], to_first: list[NDArray[Any]]) -> Pixels:
    """A frame whose hole shows the median of what frames all over the clip show there."""
    cv2 = opencv()
    hole, plate = holes[at], pixels[at].copy()
    sources = set(np.linspace(0, len(pixels) - 1, min(len(pixels), ASKED)).round().astype(int).tolist()) - {at}
    if not hole.any() or not sources:
        return plate
    around = grow_mask(hole, RING)
    size = hole.shape[::-1]
    colours_seen = []
    for other in sorted(sources):
        to_this = np.linalg.inv(to_first[at]) @ to_first[other]  # from the other frame to this one
        visible = cv2.warpPerspective((~holes[other]).astype(np.uint8) * 255, to_this, size)[around] > 250
        colours = cv2.warpPerspective(pixels[other], to_this, size)[around].astype(np.float32)
        colours_seen.append(np.where(visible[:, None], colours, np.nan))
    covered = np.zeros_like(hole)
    covered[around] = np.isfinite(np.stack(colours_seen)[..., 0]).any(0)
    behind = plate.astype(np.float32)
    behind[covered] = np.nanmedian(np.stack(colours_seen)[:, covered[around]], 0)
    behind += _shade(plate - behind, covered & ~hole)
    plate[covered & hole] = behind.round().clip(0, 255)[covered & hole]
    unseen = hole & ~covered
    return plate if unseen.all() else np.asarray(cv2.inpaint(plate, unseen.astype(np.uint8), PAINT, cv2.INPAINT_TELEA))


def _shade(difference: NDArray[np.float32], compared: Bool) -> NDArray[np.float32]:
    """How much brighter a frame is than the others, (H, W, 3): smooth, from where they were compared."""
    cv2 = opencv()
    alike = compared & (np.abs(difference).max(2) < ALIKE)
    reach = RING * min(compared.shape)
    sums = cv2.GaussianBlur(np.dstack([difference * alike[..., None], alike]).astype(np.float32), (0, 0), reach / 2)
    shade: NDArray[np.float32] = sums[..., :3] / (sums[..., 3:] + 1e-3)
    return shade
