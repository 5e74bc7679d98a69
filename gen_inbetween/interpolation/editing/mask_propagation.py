"""Mask propagation through a clip by optical flow and colour.

Each mask is looked up backwards along the flow:

    m_j(x) = m_{j-1}(x + F_{j -> j-1}(x))        then its outline is snapped to the edges of frame j

Looked up along chained flows alone, a mask smears into what the object uncovers, and more so with each frame. Two
things keep that from adding up: its outline is drawn again in a narrow band (`grabcut.py`), and what has none of the
colours that the thing has in the first frame, but those of what is around it now, is taken out.

How alike the colours in the mask are to those of the first frame, sum_c sqrt(p_0(c) p_j(c)) (Bhattacharyya), tells how
well it follows: below LOST_BELOW the thing is lost, and so is one of which hardly anything is left. `eval/clicks.md`
says how often that is right. What is covered by something else and comes out again is found only as far as part of it
stayed in sight; what leaves the frame is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

from gen_inbetween.interpolation.dis_flow import dis_flow, opencv
from gen_inbetween.interpolation.editing.grabcut import redraw_outline
from gen_inbetween.interpolation.editing.masks import Bool, uncovered
from gen_inbetween.interpolation.interpolator import PairInterpolator
from gen_inbetween.interpolation.pairs import frame_tensor
from gen_inbetween.interpolation.warping import warp
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.image import load_image
from gen_inbetween.runtime.progress import track

log = logging.getLogger("gen_inbetween")

CPU = torch.device("cpu")
BINS = 8  # of each of R, G and B
SPREAD = 0.7  # bins: colours this near count as seen, too
CLEAR = 12.0  # times likelier on one side than on the other: a colour that tells
RING = 0.6  # of the root of a mask's area: the width of what is around it
LOST_BELOW = 0.7  # likeness of colours
LEFT = 0.08  # of the first mask's area: with less in sight the thing is gone

Floats = NDArray[np.floating[Any]]


class Followed(NamedTuple):
    """The masks in one frame."""

    masks: Bool  # (M, H, W)
    likeness: Floats  # (M,) in [0, 1]: of the colours in a mask to those of its thing in the first frame
    lost: NDArray[np.bool_]  # (M,) the mask does not show its thing any more


def propagate_masks(frames: Sequence[Image.Image], masks: Bool) -> Iterator[Followed]:
    """The masks in each of `frames` (RGB, one size), one frame after the other; `masks` (M, H, W) are of the first.

    Where two claim a pixel, the first one listed has it. What is lost comes back only if it was half hidden.
    """
    current = uncovered(masks)
    pixels = np.asarray(frames[0])
    colours = [_histogram(_codes(pixels), mask) for mask in current]
    areas = current.sum((1, 2))
    yield Followed(current, np.ones(len(current)), np.zeros(len(current), bool))
    before = frame_tensor(frames[0], CPU)
    for frame in frames[1:]:
        after = frame_tensor(frame, CPU)
        warped = warp(torch.from_numpy(current).float()[None], dis_flow(after, before))[0].numpy() > 0.5
        pixels = np.asarray(frame)
        codes = _codes(pixels)
        redrawn = [
            _redraw(pixels, codes, *pair) if pair[0].any() else pair[0] for pair in zip(warped, colours, strict=True)
        ]
        current = np.array(redrawn).reshape(current.shape)
        for other in range(1, len(current)):
            current[other] &= ~current[:other].any(0)
        alike = [np.sqrt(_histogram(codes, mask) * first).sum() for mask, first in zip(current, colours, strict=True)]
        likeness = np.array(alike, np.float64)
        before = after
        yield Followed(current, likeness, (likeness < LOST_BELOW) | (current.sum((1, 2)) < LEFT * areas))


def follow_things(clip: Clip, masks: Bool, *, progress: bool = True) -> tuple[list[Bool], list[dict[str, Any]]]:
    """The masks (M, H, W) in each frame of a clip, and for each thing where it is lost, as manifests say it.

    That is {} where it never is, else {"lost": [{"frames": [first, last], "seconds": [...]}, ...]}; the log tells it.
    """
    seen = [load_image(frame) for frame in clip]
    followed = list(track(propagate_masks(seen, masks), "follow", len(seen), shown=progress))
    starts = clip.starts or [number / clip.fps for number in range(len(seen))]
    records = []
    for thing in range(len(masks)):
        spans = _spans([bool(frame.lost[thing]) for frame in followed])
        for first, last in spans:
            until = "on" if last == len(seen) - 1 else f"to frame {last} ({starts[last]:.2f} s)"
            log.warning("thing %d is lost from frame %d (%.2f s) %s", thing + 1, first, starts[first], until)
        lost = [{"frames": span, "seconds": [round(float(starts[k]), 3) for k in span]} for span in spans]
        records.append({"lost": lost} if lost else {})
    return [frame.masks for frame in followed], records


def _spans(flags: Sequence[bool]) -> list[list[int]]:
    """The first and last index of each run of true ones.

    >>> _spans([False, True, True, False, True])
    [[1, 2], [4, 4]]
    """
    padded = np.diff(np.array([False, *flags, False]).astype(int))
    starts, ends = np.flatnonzero(padded == 1), np.flatnonzero(padded == -1) - 1
    return [[int(a), int(b)] for a, b in zip(starts, ends, strict=True)]


def _redraw(pixels: NDArray[np.uint8], codes: NDArray[np.intp], mask: Bool, colours: Floats) -> Bool:
    """A mask that came along the flow, fitted to this frame."""
    around = _ring(mask)
    outside = _histogram(codes, around) if around.any() else np.full(BINS**3, 1 / BINS**3)
    floor = 1e-4
    ratio = (colours + floor) / (outside + floor)
    return redraw_outline(pixels, mask, off_colour=(ratio < 1 / CLEAR)[codes], on_colour=(ratio > CLEAR)[codes])


def _ring(mask: Bool) -> Bool:
    """What is around a mask, but for the band in which its outline may be wrong."""
    cv2 = opencv()
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
    width = RING * float(mask.sum()) ** 0.5
    return np.asarray((distance > 0.15 * width) & (distance < width))


def _codes(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The number of each pixel's colour (H, W)."""
    red, green, blue = np.moveaxis(pixels // (256 // BINS), -1, 0).astype(np.intp)
    return (red * BINS + green) * BINS + blue


def _histogram(codes: NDArray[np.intp], mask: Bool) -> Floats:
    """The share of each colour in a mask, spread over its neighbours; zeros where the mask is empty."""
    counts = np.bincount(codes[mask], minlength=BINS**3).astype(np.float64).reshape(BINS, BINS, BINS)
    return gaussian_filter(counts, SPREAD).ravel() / max(1, int(mask.sum()))


def masks_between(pair: PairInterpolator, masks_a: Bool, masks_b: Bool, t: float) -> Tensor:
    """The masks (M, H, W) of a pair of frames (1, 3, H, W), carried to t in [0, 1] between: (M, H, W) in [0, 1]."""
    first, last = (torch.from_numpy(masks).float()[None] for masks in (masks_a, masks_b))
    if t in (0, 1):
        return (last if t else first)[0]
    flows = pair.flows(t)
    return (flows.mask * warp(first, flows.to0) + (1 - flows.mask) * warp(last, flows.to1))[0]
