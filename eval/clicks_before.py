"""Masks from clicks as they were before the choice among many candidates: what `click_report.py` compares with.

GrabCut from each of RADII on a small copy; the best has the highest (median gradient along the outline) * (mean overlap
with the masks of the radii next to it). Its outline is drawn again on the full picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Bool = NDArray[np.bool_]
Point = tuple[float, float]  # x, y in pixels

RADII = (0.045, 0.065, 0.09, 0.13, 0.19, 0.27)  # of the picture's shorter side
FAR = 4.0
SMALL = 256  # pixels of the longer side of the copy on which the radii are tried
ROUNDS = 3  # of GrabCut; more change little
SEED = 1 / 60  # of the shorter side: radius within which a click is certain
BAND = 1 / 60  # of the shorter side: half the width of the band in which the outline is drawn again
NOWHERE = np.zeros((0, 2))


def mask_before(pixels: NDArray[np.uint8], inside: Sequence[Point], outside: Sequence[Point] = ()) -> Bool:
    """The mask (H, W) at clicks (x, y) of a picture (H, W, 3)."""
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
    return _redraw_outline(pixels, coarse, np.array(inside), np.array(outside).reshape(-1, 2))


def _at_radius(pixels: NDArray[np.uint8], inside: NDArray[Any], outside: NDArray[Any], radius: float) -> Bool:
    shape = pixels.shape[:2]
    labels = np.full(shape, cv2.GC_BGD, np.uint8)
    labels[_discs(shape, inside, FAR * radius)] = cv2.GC_PR_BGD
    labels[_discs(shape, inside, radius)] = cv2.GC_PR_FGD
    _mark_clicks(labels, inside, outside)
    return _cut(pixels, labels, inside)


def _mark_clicks(labels: NDArray[np.uint8], inside: NDArray[Any], outside: NDArray[Any]) -> None:
    seed = max(2.0, SEED * min(labels.shape))
    labels[_discs(labels.shape, outside, seed)] = cv2.GC_BGD
    labels[_discs(labels.shape, inside, seed)] = cv2.GC_FGD


def _cut(pixels: NDArray[np.uint8], labels: NDArray[np.uint8], inside: NDArray[Any]) -> Bool:
    """GrabCut from these labels; of what it finds, the pieces clicked on, if there are clicks."""
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


def _redraw_outline(
    pixels: NDArray[np.uint8], coarse: Bool, inside: NDArray[Any] = NOWHERE, outside: NDArray[Any] = NOWHERE
) -> Bool:
    """Draw the outline of a mask that is nearly right again, in a band around it, on the part of the picture there.

    pixels: uint8 RGB (H, W, 3). coarse: bool (H, W). inside, outside: points (N, 2) that stay in, and out.
    """
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
