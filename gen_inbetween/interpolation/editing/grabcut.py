"""GrabCut (Rother et al., SIGGRAPH 2004), around clicks and along outlines.

GrabCut needs to be told how large the thing is. What lies within some radius of the clicks is taken to be the thing,
what lies beyond FAR times that radius not to be; each of RADII gives a candidate among which `mask_choice.py` chooses.
An outline that is nearly right is drawn again within a narrow band.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.interpolation.dis_flow import opencv
from gen_inbetween.interpolation.editing.masks import Bool
from gen_inbetween.interpolation.editing.regions import Spots

RADII = (0.045, 0.065, 0.09, 0.13, 0.19, 0.27)  # of the picture's shorter side
FAR = 4.0
ROUNDS = 3  # of GrabCut; more change little
SEED = 1 / 60  # of the shorter side: radius within which a click is certain
BAND = 1 / 60  # of the shorter side: half the width of the band in which the outline is drawn again
NOWHERE = np.zeros((0, 2))


def cuts_at_radii(pixels: NDArray[np.uint8], on: Spots, off: Spots) -> Iterator[Bool]:
    """A mask of a small picture (H, W, 3) for each of RADII; `on` and `off`: clicks in its pixels."""
    inside, outside = (np.array(spots, np.float64).reshape(-1, 2) for spots in (on, off))
    for radius in RADII:
        yield _at_radius(pixels, inside, outside, radius * min(pixels.shape[:2]))


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
    if not (labels % 2 == 1).any():
        return np.zeros(labels.shape, bool)
    cv2.setRNGSeed(0)  # its colour models start from k-means
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(pixels, labels, None, *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    object_pixels = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    if not len(inside):
        return np.asarray(object_pixels)
    pieces = cv2.connectedComponents(object_pixels.astype(np.uint8))[1]
    clicked = {int(pieces[round(y), round(x)]) for x, y in np.minimum(inside, np.array(labels.shape[::-1]) - 1)}
    return np.isin(pieces, list(clicked - {0}))


def redraw_outline(
    pixels: NDArray[np.uint8],
    coarse: Bool,
    inside: NDArray[Any] = NOWHERE,
    outside: NDArray[Any] = NOWHERE,
    *,
    off_colour: Bool | None = None,
    on_colour: Bool | None = None,
) -> Bool:
    """Draw the outline of a mask that is nearly right again, in a band around it, on the part of the picture there.

    pixels: uint8 RGB (H, W, 3). coarse: bool (H, W). inside, outside: points (N, 2) that stay in, and out. off_colour,
    on_colour: bool (H, W), where the colour says that it is not the thing, or is: in the mask, and in the band.
    """
    cv2 = opencv()
    reach = max(2, round(BAND * min(coarse.shape)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    wide = cv2.dilate(coarse.astype(np.uint8), kernel) > 0
    core = cv2.erode(coarse.astype(np.uint8), kernel) > 0
    labels = np.where(coarse, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
    labels[core] = cv2.GC_FGD
    if on_colour is not None:
        labels[on_colour & wide & ~coarse] = cv2.GC_PR_FGD
    if off_colour is not None:
        labels[off_colour & coarse] = cv2.GC_PR_BGD
        labels[cv2.erode((off_colour & core).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0] = cv2.GC_BGD
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
