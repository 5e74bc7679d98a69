"""Masks from clicks without weights: candidates at many scales, and the choice among them.

Nobody says how large the thing is that was clicked on. So many masks are tried on a small copy of the picture: GrabCut
from several radii (`grabcut.py`), the regions around the click of three region trees, and what is far from the border
of the picture in colour (`regions.py`). The one with the most evidence wins (`mask_choice.py`); its outline is drawn
again on the full picture, within a narrow band. `eval/clicks.md` says how often that is the thing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.interpolation.dis_flow import opencv
from gen_inbetween.interpolation.editing.grabcut import cuts_at_radii, redraw_outline
from gen_inbetween.interpolation.editing.mask_choice import Evidence, Spots, best_mask, distinct, measure, tidied
from gen_inbetween.interpolation.editing.masks import Bool, MaskError
from gen_inbetween.interpolation.editing.regions import region_masks
from gen_inbetween.media.image import Frame, load_image

Point = tuple[float, float]  # x, y in pixels

SMALL = 224  # pixels of the longer side of the copy on which masks are tried


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
    small = small_copy(pixels)
    evidence = measure(small)
    masks = []
    for number, inside in enumerate(objects):
        others = [point for entry in (*objects[:number], *objects[number + 1 :], *outside) for point in entry]
        on, off = spots_of(inside, pixels, small), spots_of(others, pixels, small)
        if choices := candidates(evidence, on, off):
            masks.append(_at_full_size(pixels, best_mask(evidence, choices, on), inside, others))
        if len(masks) == number or not masks[-1].any():
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


def small_copy(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture (H, W, 3) on which masks are tried."""
    height, width = pixels.shape[:2]
    zoom = SMALL / max(height, width)
    if zoom >= 1:
        return pixels
    size = max(1, round(width * zoom)), max(1, round(height * zoom))
    return np.asarray(opencv().resize(pixels, size, interpolation=opencv().INTER_AREA))


def spots_of(points: Sequence[Point], pixels: NDArray[np.uint8], small: NDArray[np.uint8]) -> Spots:
    """Where points of the picture are in the small copy, in whole pixels."""
    scale = np.array(small.shape[1::-1]) / pixels.shape[1::-1]
    limit = np.array(small.shape[1::-1]) - 1
    spots = [np.minimum(np.floor((np.array(point) + 0.5) * scale), limit).astype(int) for point in points]
    return list(dict.fromkeys((int(x), int(y)) for x, y in spots))


def candidates(evidence: Evidence, on: Spots, off: Spots) -> list[Bool]:
    """Masks of the small copy that keep to the clicks, none like another."""
    cuts = cuts_at_radii(evidence.pixels, on, off)
    regions = region_masks(evidence.regions, evidence.distances, on, off)
    return distinct((tidied(mask, on, off) for mask in (*cuts, *regions)), on, off)


def _at_full_size(pixels: NDArray[np.uint8], coarse: Bool, inside: list[Point], outside: list[Point]) -> Bool:
    """The outline drawn again, also where the copy is as large: superpixels end a pixel before an edge."""
    height, width = pixels.shape[:2]
    large = opencv().resize(coarse.astype(np.float32), (width, height), interpolation=opencv().INTER_LINEAR) > 0.5
    return redraw_outline(pixels, large, np.array(inside), np.array(outside).reshape(-1, 2))
