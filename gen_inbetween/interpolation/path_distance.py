"""How far each pixel has come, read off flows: the path-distance map of a frame that is known.

    D = (<V_0t, V_01> + eps t) / (|V_01|^2 + eps)

(InterpAny-Clearer, ECCV 2024, section 3.1, with a regulariser: there a pixel that stands still is 0 / 0. Here it has
come as far as the time.) Flows and D are in coordinates of the first frame.
"""

from __future__ import annotations

from torch import Tensor

STILL = 0.25  # pixels squared: motions below half a pixel do not say how much of them is done


def estimate_index(gone: Tensor, way: Tensor, time: float | Tensor, *, still: float = STILL) -> Tensor:
    """The map (B, 1, H, W) in [0, 1].

    Args:
        gone: (B, 2, H, W) pixels, the flow V_0t from the first frame to the known one.
        way: (B, 2, H, W) pixels, V_01 from the first frame to the second.
        time: of the known frame, in [0, 1]; a number or (B, 1, 1, 1).
        still: eps, pixels squared.
    """
    along = (gone * way).sum(1, keepdim=True)
    return ((along + still * time) / (way.square().sum(1, keepdim=True) + still)).clamp(0, 1)
