"""Mask propagation through a clip by optical flow.

Each mask is looked up backwards along the flow:

    m_j(x) = m_{j-1}(x + F_{j -> j-1}(x))        then its outline is snapped to the edges of frame j

Looked up along chained flows alone, a mask smears into what the object uncovers, and more so with each frame; drawing
its outline again in a narrow band (`grabcut.py`) keeps that from adding up. What is covered by something else and comes
out again is found only as far as part of it stayed in sight; what leaves the frame is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gen_inbetween.interpolation.classical import dis_flow
from gen_inbetween.interpolation.editing.grabcut import redraw_outline
from gen_inbetween.interpolation.editing.masks import Bool, uncovered
from gen_inbetween.interpolation.interpolator import PairInterpolator
from gen_inbetween.interpolation.pairs import frame_tensor
from gen_inbetween.interpolation.warping import warp

log = logging.getLogger("gen_inbetween")

CPU = torch.device("cpu")


def propagate_masks(frames: Sequence[Image.Image], masks: Bool) -> Iterator[Bool]:
    """The masks (M, H, W) in each of `frames` (RGB, one size), one frame after the other; `masks` are of the first.

    Where two claim a pixel, the first one listed has it. The log says when a thing is gone.
    """
    current = uncovered(masks)
    yield current
    before = frame_tensor(frames[0], CPU)
    gone = np.zeros(len(masks), bool)
    for number, frame in enumerate(frames[1:], 1):
        after = frame_tensor(frame, CPU)
        back = dis_flow(after, before)
        warped = warp(torch.from_numpy(current).float()[None], back)[0].numpy() > 0.5
        pixels = np.asarray(frame)
        redrawn = [redraw_outline(pixels, mask) if mask.any() else mask for mask in warped]
        current = np.array(redrawn).reshape(current.shape)
        for other in range(1, len(current)):
            current[other] &= ~current[:other].any(0)
        for lost in np.flatnonzero(~current.any((1, 2)) & ~gone):
            gone[lost] = True
            log.info("object %d is out of sight from frame %d on", lost + 1, number)
        before = after
        yield current


def masks_between(pair: PairInterpolator, masks_a: Bool, masks_b: Bool, t: float) -> Tensor:
    """The masks (M, H, W) of a pair of frames (1, 3, H, W), carried to t in [0, 1] between: (M, H, W) in [0, 1]."""
    first, last = (torch.from_numpy(masks).float()[None] for masks in (masks_a, masks_b))
    if t in (0, 1):
        return (last if t else first)[0]
    flows = pair.flows(t)
    return (flows.mask * warp(first, flows.to0) + (1 - flows.mask) * warp(last, flows.to1))[0]
