"""Pace of generated frames, evened by an interpolator's flows.

    step_k = mean |F_k|       u_j with path(u_j) = j / (n - 1) path(n - 1)

as `interpolation.retiming.speed_profile` does along a whole clip; here the frames around stay where they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from gen_inbetween.interpolation.interpolator import FrameInterpolator
from gen_inbetween.interpolation.pairs import frame_tensor, tensor_frame

STATIC = 1e-3  # pixels over the whole stretch: there is no way to divide


@torch.no_grad()
def step_lengths(frames: Sequence[Image.Image], interpolator: FrameInterpolator) -> list[float]:
    """The mean length of the flow of each step from frame to frame, in pixels."""
    tensors = [frame_tensor(frame, interpolator.device) for frame in frames]
    lengths = []
    for a, b in zip(tensors, tensors[1:], strict=False):
        flows = interpolator.flows(a, b, 0.5)
        lengths.append(float((flows.to1 - flows.to0).norm(dim=1).mean()))
    return lengths


@torch.no_grad()
def even_pace(
    frames: Sequence[Image.Image], interpolator: FrameInterpolator
) -> tuple[list[Image.Image], dict[str, list[float]]]:
    """As many frames at one pace, the first and the last as they are; and the steps before and after, in pixels."""
    before = step_lengths(frames, interpolator)
    path = np.concatenate([[0.0], np.cumsum(before)])
    if path[-1] < STATIC:
        return list(frames), {"steps_before": before, "steps": before}
    rising = path + np.arange(len(path)) * 1e-9 * path[-1]  # where a step is 0 one of its two frames is as good
    places = np.interp(np.linspace(0, rising[-1], len(frames)), rising, np.arange(len(frames)))
    tensors = [frame_tensor(frame, interpolator.device) for frame in frames]
    evened = [frames[0]]
    for place in places[1:-1]:
        index, share = int(place), float(place - int(place))
        if share < 0.02 or share > 0.98:  # a fiftieth of a step is not worth drawing a frame anew
            evened.append(frames[index + (share > 0.5)])
        else:
            evened.append(tensor_frame(interpolator.pair(tensors[index], tensors[index + 1]).at(share)))
    evened.append(frames[-1])
    return evened, {"steps_before": before, "steps": step_lengths(evened, interpolator)}
