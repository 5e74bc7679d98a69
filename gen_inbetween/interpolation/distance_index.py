"""Distance index of a frame between two, estimated from optical flow.

    D = (<V_0t, V_01> + eps t) / (|V_01|^2 + eps)

(InterpAny-Clearer, ECCV 2024, section 3.1, with a regulariser: there a pixel that stands still is 0 / 0. Here it has
come as far as the time.) Flows and D are in coordinates of the first frame.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

STILL = 0.25  # pixels squared: motions below half a pixel do not say how much of them is done


def estimate_distance_index(flow0t: Tensor, flow01: Tensor, time: float | Tensor, *, still: float = STILL) -> Tensor:
    """The map (B, 1, H, W) in [0, 1].

    Args:
        flow0t: (B, 2, H, W) pixels, the flow V_0t from the first frame to the known one.
        flow01: (B, 2, H, W) pixels, V_01 from the first frame to the second.
        time: of the known frame, in [0, 1]; a number or (B, 1, 1, 1).
        still: eps, pixels squared.
    """
    along = (flow0t * flow01).sum(1, keepdim=True)
    return ((along + still * time) / (flow01.square().sum(1, keepdim=True) + still)).clamp(0, 1)


def blur_maps(maps: Tensor, feather: int) -> Tensor:
    """Each of `maps` (L, H, W) under a Gaussian as wide as OpenCV makes one of that size; borders go on."""
    if feather == 1:
        return maps
    reach = feather // 2
    sigma = 0.3 * ((feather - 1) * 0.5 - 1) + 0.8
    kernel = torch.exp(-(torch.arange(-reach, reach + 1.0, device=maps.device) ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    padded = functional.pad(maps[:, None], (reach,) * 4, mode="replicate")
    rows = functional.conv2d(padded, kernel.view(1, 1, 1, -1))
    return functional.conv2d(rows, kernel.view(1, 1, -1, 1))[:, 0].clamp(0, 1)
