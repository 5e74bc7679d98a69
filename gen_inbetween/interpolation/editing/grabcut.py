"""Masks from clicks by GrabCut (Rother et al., SIGGRAPH 2004), without weights.

GrabCut needs to be told how large the thing is: what lies within some radius of the clicks is taken to be the thing,
what lies beyond FAR times that radius not to be. Nobody says, so all RADII are tried on a small copy, and the mask wins
whose outline lies on edges of the picture and which hardly changes with the radius:

    score(r) = (median gradient along the outline) * (mean overlap with the masks of the radii next to r)

Then the outline is drawn again on the full picture, within a narrow band. One fixed radius spills over half the picture
where the thing is small; a random walker or a watershed from the same clicks ends at the first edge inside the thing,
such as the windscreen of a car. What has the colours of its surroundings, a white dog on concrete, is not found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.interpolation.dis_flow import opencv
from gen_inbetween.interpolation.editing.masks import Bool, MaskError
from gen_inbetween.media.image import Frame, load_image

Point = tuple[float, float]  # x, y in pixels

RADII = (0.045, 0.065, 0.09, 0.13, 0.19, 0.27)  # of the picture's shorter side
FAR = 4.0
SMALL = 256  # pixels of the longer side of the copy on which the radii are tried
ROUNDS = 3  # of GrabCut; more change little
SEED = 1 / 60  # of the shorter side: radius within which a click is certain
BAND = 1 / 60  # of the shorter side: half the width of the band in which the outline is drawn again
NOWHERE = np.zeros((0, 2))


def masks_from_clicks(
    image: Frame, clicks: Sequence[Point | Sequence[Point]], *, negative: Sequence[Point] = ()
) -> Bool:
    """Masks of what was clicked on.

    Args:
        image: anything `load_image` opens.
        clicks: one entry for each object: (x, y) in pixels, or several such points on the one object.
        negative: points that belong to none of the objects. Clicks on the other objects say so too.

    Returns:
        bool (number of objects, H, W); each is one piece for each click at most. Look at them: where a mask takes too
        much, click there as `negative`; where it takes too little, add a click to the object.

    Raises:
        MaskError: no clicks, a click outside of the image, nothing found at a click.
        ImportError: OpenCV is not installed.
        FrameError: the image cannot be opened.
    """
    pixels = np.asarray(load_image(image))
    objects = points_of_objects(clicks, pixels.shape, "click")
    outside = points_of_objects(negative, pixels.shape, "negative click")
    if not objects:
        raise MaskError("expected at least one click (x, y)")
    masks = []
    for number, inside in enumerate(objects):
        others = [point for entry in (*objects[:number], *objects[number + 1 :], *outside) for point in entry]
        masks.append(_segment(pixels, inside, others))
        if not masks[-1].any():
            raise MaskError(f"nothing could be told from its surroundings at click {inside[0]}: add clicks, or a mask")
    return np.stack(masks)


def points_of_objects(
    entries: Sequence[Point | Sequence[Point]], shape: tuple[int, ...], name: str
) -> list[list[Point]]:
    """The points of each entry, which is one point or several; MaskError: no point, or not within (height, width)."""
    objects = []
    for entry in entries:
        points = np.asarray(entry, np.float64)
        if points.shape not in ((2,), (len(entry), 2)) or not points.size:
            raise MaskError(f"expected a {name} as (x, y), or several of them for one object; got {entry!r}")
        points = points.reshape(-1, 2)
        if not ((points >= 0) & (points <= (shape[1] - 1, shape[0] - 1))).all():  # written so that NaN is outside
            raise MaskError(f"{name} {entry!r} is outside of the image of {shape[1]}x{shape[0]} pixels")
        objects.append([(float(x), float(y)) for x, y in points])
    return objects


def _segment(pixels: NDArray[np.uint8], inside: list[Point], outside: list[Point]) -> Bool:
    cv2 = opencv()
    height, width = pixels.shape[:2]
    zoom = min(1.0, SMALL / max(height, width))
    size = max(1, round(width * zoom)), max(1, round(height * zoom))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    scale = np.array(size) / (width, height)
    near, off = (np.array(points).reshape(-1, 2) * scale for points in (inside, outside))
    candidates = [_at_radius(small, near, off, radius * min(size)) for radius in RADII]
    best = candidates[int(np.argmax(_scores(small, candidates)))]
    if zoom == 1:
        return best
    coarse = cv2.resize(best.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
    return redraw_outline(pixels, coarse, np.array(inside), np.array(outside).reshape(-1, 2))


def _at_radius(pixels: NDArray[np.uint8], inside: NDArray[Any], outside: NDArray[Any], radius: float) -> Bool:
    cv2 = opencv()
    shape = pixels.shape[:2]
    labels = np.full(shape, cv2.GC_BGD, np.uint8)
    labels[_discs(shape, inside, FAR * radius)] = cv2.GC_PR_BGD
    labels[_discs(shape, inside, radius)] = cv2.GC_PR_FGD
    _mark_clicks(labels, inside, outside)
    return _cut(pixels, labels, inside)


def _mark_clicks(labels: NDArray[np.uint8], inside: NDArray[Any], outside: NDArray[Any]) -> None:
    cv2 = opencv()
    seed = max(2.0, SEED * min(labels.shape))
    labels[_discs(labels.shape, outside, seed)] = cv2.GC_BGD
    labels[_discs(labels.shape, inside, seed)] = cv2.GC_FGD


def _cut(pixels: NDArray[np.uint8], labels: NDArray[np.uint8], inside: NDArray[Any]) -> Bool:
    """GrabCut from these labels; of what it finds, the pieces clicked on, if there are clicks."""
    cv2 = opencv()
    if not (labels % 2 == 0).any():  # no background at all: GrabCut would not know what to tell the object from
        return np.ones(labels.shape, bool)
    cv2.setRNGSeed(0)  # its colour models start from k-means
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(pixels, labels, None, *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    object_pixels = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    if not len(inside):
        return np.asarray(object_pixels)
    pieces = cv2.connectedComponents(object_pixels.astype(np.uint8))[1]
    clicked = {int(pieces[round(y), round(x)]) for x, y in np.minimum(inside, np.array(labels.shape[::-1]) - 1)}
    return np.isin(pieces, list(clicked - {0}))


def _scores(pixels: NDArray[np.uint8], masks: list[Bool]) -> list[float]:
    cv2 = opencv()
    smooth = cv2.GaussianBlur(pixels.astype(np.float32) / 255, (0, 0), 1)
    lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2Lab)
    gradient = np.hypot(cv2.Sobel(lab, cv2.CV_32F, 1, 0), cv2.Sobel(lab, cv2.CV_32F, 0, 1))
    edges = np.linalg.norm(gradient, axis=2)
    overlaps = [_overlap(mask, after) for mask, after in zip(masks, masks[1:], strict=False)]
    scores = []
    for number, mask in enumerate(masks):
        outline = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        contrast = float(np.median(edges[outline])) if outline.any() else 0.0
        scores.append(contrast * float(np.mean(overlaps[max(0, number - 1) : number + 1])))
    return scores


def _overlap(one: Bool, other: Bool) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def redraw_outline(
    pixels: NDArray[np.uint8], coarse: Bool, inside: NDArray[Any] = NOWHERE, outside: NDArray[Any] = NOWHERE
) -> Bool:
    """Draw the outline of a mask that is nearly right again, in a band around it, on the part of the picture there.

    pixels: uint8 RGB (H, W, 3). coarse: bool (H, W). inside, outside: points (N, 2) that stay in, and out.
    """
    cv2 = opencv()
    reach = max(2, round(BAND * min(coarse.shape)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    labels = np.where(coarse, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
    labels[cv2.erode(coarse.astype(np.uint8), kernel) > 0] = cv2.GC_FGD
    wide = cv2.dilate(coarse.astype(np.uint8), kernel) > 0
    labels[~wide] = cv2.GC_BGD
    _mark_clicks(labels, inside, outside)
    if not labels.any():
        return coarse
    rows, columns = np.flatnonzero(labels.any(1)), np.flatnonzero(labels.any(0))
    top, left = max(0, rows[0] - reach), max(0, columns[0] - reach)
    part = slice(top, rows[-1] + reach + 1), slice(left, columns[-1] + reach + 1)
    redrawn = np.zeros_like(coarse)
    redrawn[part] = _cut(np.ascontiguousarray(pixels[part]), np.ascontiguousarray(labels[part]), inside - (left, top))
    return redrawn


def _discs(shape: tuple[int, ...], points: NDArray[Any], radius: float) -> Bool:
    y, x = np.ogrid[: shape[0], : shape[1]]
    inside = np.zeros(shape, bool)
    for point in points:
        inside |= np.hypot(x - point[0], y - point[1]) <= radius
    return inside
