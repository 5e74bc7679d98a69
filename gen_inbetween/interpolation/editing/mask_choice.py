"""Choice among candidate masks of what was clicked on, by five weighted measures.

    score(mask) = sum_k WEIGHTS[k] measure_k(mask)            the candidate with the highest score is the mask

    apart       the colours just outside are not those inside: mean of p_out / (p_out + p_in) outside, less that inside
    ground      the colours just outside are those of the rest of the picture: sum of sqrt(p_out p_rest) over colours
    outline     an edge along the outline: mean of g / (g + FIRM), g the gradient in Lab
    inside      edges inside, too: things have parts, and a part of a thing has none
    depth       the click is well inside: its distance to the outline over the greatest there is

Just outside is a band of a quarter of the root of the mask's area. The weights maximise the overlap with the true mask
that is expected when candidates are drawn by softmax(score), over the clicks of the development list (synthetic worlds,
collages, photographs), none of which is among the clicks measured. They are of the fit with which these five measures
were picked from 22; `python eval/click_report.py --fit` gives 12.4, 8.8, 5.3, 15.6 and 2.6 on the candidates of today.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.interpolation.dis_flow import opencv
from gen_inbetween.interpolation.editing.masks import Bool
from gen_inbetween.interpolation.editing.regions import Spots, Superpixels, border_distances, superpixels

Floats = NDArray[np.floating[Any]]

WEIGHTS = {"apart": 12.6, "ground": 8.5, "outline": 5.4, "inside": 15.1, "depth": 2.1}
SMALLEST, LARGEST = 0.0008, 0.85  # of the picture: shares that a candidate may cover
ALIKE = 0.93  # overlap from which two candidates are one
FIRM = 4.0  # Lab a pixel: a gradient of this much counts as half an edge
SLACKS = (2.0, 6.0)  # Lab: steps of colour that cost nothing on the way from the border
SHADES = (12.5, 15.0, 15.0)  # of L, a and b: what differs by less is one colour
BAND = (3, 14)  # pixels: the least and the greatest width of what is just outside
NEAR = 0.3  # of the way from a negative click to the nearest other: so far around it more is off the thing than on it
EVEN = 1e-6  # a colour that is on neither side


@dataclass(frozen=True)
class Evidence:
    """What is measured of a small picture (H, W) once for all of its clicks."""

    pixels: NDArray[np.uint8]  # (H, W, 3) RGB
    edges: Floats  # (H, W) in [0, 1): how much of an edge
    colours: NDArray[np.intp]  # (H, W) the number of each pixel's colour
    regions: Superpixels
    distances: list[Floats]  # (S,) each: of the superpixels from the border, by SLACKS


def measure(pixels: NDArray[np.uint8]) -> Evidence:
    """The evidence of a small picture (H, W, 3)."""
    cv2 = opencv()
    smooth = cv2.GaussianBlur(pixels.astype(np.float32) / 255, (0, 0), 1)
    lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2Lab)
    steps = np.hypot(cv2.Sobel(lab, cv2.CV_32F, 1, 0), cv2.Sobel(lab, cv2.CV_32F, 0, 1)) / 8
    gradient = np.linalg.norm(steps, axis=2)
    shades = ((lab + (0, 90, 90)) / SHADES).astype(int) @ (400, 20, 1)
    colours = np.unique(shades, return_inverse=True)[1].reshape(shades.shape)
    regions = superpixels(lab, gradient)
    distances = [border_distances(regions, slack) for slack in SLACKS]
    return Evidence(pixels, gradient / (gradient + FIRM), colours, regions, distances)


def best_mask(evidence: Evidence, masks: Sequence[Bool], on: Spots) -> Bool:
    """The mask with the highest score; `on`: the clicks on it."""
    weights = np.array(list(WEIGHTS.values()))
    return masks[int(np.argmax([measures(evidence, mask, on) @ weights for mask in masks]))]


def measures(evidence: Evidence, mask: Bool, on: Spots) -> Floats:
    """What WEIGHTS weighs, in its order, of one mask (H, W)."""
    cv2 = opencv()
    plane = mask.astype(np.uint8)
    width = int(np.clip(0.25 * float(mask.sum()) ** 0.5, *BAND))
    band = (cv2.dilate(plane, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1,) * 2)) > 0) & ~mask
    square = np.ones((3, 3), np.uint8)
    padded = cv2.copyMakeBorder(plane, 1, 1, 1, 1, cv2.BORDER_REPLICATE)  # the picture's border is no outline
    outline = cv2.morphologyEx(padded, cv2.MORPH_GRADIENT, square)[1:-1, 1:-1] > 0
    core = cv2.erode(padded, square, iterations=2)[1:-1, 1:-1] > 0
    if not band.any() or not outline.any():  # all of the picture
        return np.full(len(WEIGHTS), -np.inf)
    inner, outer, rest = (_shares(evidence.colours, part) for part in (mask, band, ~mask))
    outside = outer / (inner + outer + EVEN)
    depth = cv2.distanceTransform(np.pad(plane, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    return np.array([
        outside[evidence.colours[band]].mean() - outside[evidence.colours[mask]].mean(),
        np.sqrt(outer * rest).sum(),
        cv2.dilate(evidence.edges.astype(np.float32), square)[outline].mean(),
        evidence.edges[core].mean() if core.any() else 0.0,
        np.mean([depth[y, x] for x, y in on]) / max(float(depth.max()), 1.0),
    ])  # fmt: skip


def _shares(colours: NDArray[np.intp], part: Bool) -> Floats:
    """The share of each colour in a part of the picture."""
    return np.bincount(colours[part], minlength=int(colours.max()) + 1) / max(1, int(part.sum()))


def tidied(mask: Bool, on: Spots, off: Spots) -> Bool:
    """The pieces of a mask that were clicked on, their holes filled but for those with a negative click."""
    cv2 = opencv()
    pieces = cv2.connectedComponents(mask.astype(np.uint8))[1]
    clicked = np.isin(pieces, [pieces[y, x] for x, y in on if mask[y, x]])
    contours, _ = cv2.findContours(clicked.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros(mask.shape, np.uint8), contours, -1, 1, -1) > 0
    if off:
        holes = cv2.connectedComponents((filled & ~clicked).astype(np.uint8))[1]
        filled &= ~np.isin(holes, [holes[y, x] for x, y in off if holes[y, x]])
    return np.asarray(filled)


def distinct(masks: Iterable[Bool], on: Spots, off: Spots) -> list[Bool]:
    """Of masks that keep to the clicks and have a possible size, one of each kind."""
    kept: list[Bool] = []
    for mask in masks:
        if not SMALLEST < mask.mean() < LARGEST:
            continue
        if not all(mask[y, x] for x, y in on) or not all(_clears(mask, spot, on) for spot in off):
            continue
        if all(overlap(mask, other) < ALIKE for other in kept):
            kept.append(mask)
    return kept


def _clears(mask: Bool, spot: tuple[int, int], on: Spots) -> bool:
    """Whether a mask keeps away from a negative click: a speck of a hole around it does not."""
    x, y = spot
    reach = max(1, round(NEAR * min(float(np.hypot(x - a, y - b)) for a, b in on)))
    around = mask[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
    return not mask[y, x] and float(around.mean()) <= 0.5


def overlap(one: Bool, other: Bool) -> float:
    """Intersection over union."""
    return float((one & other).sum() / max(1, (one | other).sum()))
