"""Motion between two frames, and what of it optical flow leaves unexplained.

    displacement   |F_t1 - F_t0|                        how far what is there moves from frame to frame
    disagreement   |warp(a, F_t0) - warp(b, F_t1)|      what the motion leaves unexplained: a network that finds nothing
                                                        calls everything still, and here it shows

Both at t = 1/2, in frames HEIGHT pixels high, or as high as they are if smaller. The second is taken where the motion
leads into both frames: what a camera reveals at the border is in one of them only. Of both the 99th percentile over the
pixels: what moves is often small, and a mean or median would pass over it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gen_inbetween.interpolation.interpolator import SMALLEST, Flows, FrameInterpolator
from gen_inbetween.interpolation.warping import warp

HEIGHT = 256  # pixels to which larger frames are brought; enlarged ones would give networks too little to match
PERCENTILE = 99


@torch.no_grad()
def measure_unexplained(a: Tensor, b: Tensor, interpolator: FrameInterpolator) -> tuple[float, float]:
    """(displacement in pixels of a frame HEIGHT high, disagreement in grey levels of 255) between two frames.

    a, b: (1, 3, H, W) in [0, 1], of the size of `measured_size`. InterpolatorError: an interpolator without flows.
    """
    flows = interpolator.flows(a, b, 0.5)
    displacement = (flows.to1 - flows.to0).norm(dim=1) * HEIGHT / a.shape[-2]
    disagreement = (warp(a, flows.to0) - warp(b, flows.to1)).abs().mean(1) * 255
    seen = inside_both(flows)
    if seen.any():
        disagreement = disagreement[seen]
    moved, left = (round(float(np.percentile(each.cpu(), PERCENTILE)), 2) for each in (displacement, disagreement))
    return moved, left


def inside_both(flows: Flows) -> Tensor:
    """(B, H, W) bool: pixels whose motion leads into both frames, and not out of the picture as a camera's pan does."""
    height, width = flows.mask.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    seen = torch.ones_like(flows.mask[:, 0], dtype=torch.bool)
    for flow in (flows.to0, flows.to1):
        x, y = columns.to(flow) + flow[:, 0], rows.to(flow) + flow[:, 1]
        seen &= (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return seen


def measured_size(shape: tuple[int, int], available: int) -> tuple[int, int]:
    """(width, height) at which motion is measured, of the aspect of `shape`; available: pixels of height there are.

    >>> measured_size((1024, 576), available=1080)
    (455, 256)
    """
    height = max(SMALLEST, min(HEIGHT, available))
    return max(SMALLEST, round(height * shape[0] / shape[1])), height
