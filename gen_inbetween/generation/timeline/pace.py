"""Pace of generated frames, evened by an interpolator's flows.

    step_k = mean |F_k|       u_j with path(u_j) = j / (n - 1) path(n - 1)

as `interpolation.retiming.speed_profile` does along a whole clip; here the frames around stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gen_inbetween.interpolation.film import draw_between
from gen_inbetween.interpolation.interpolator import FrameInterpolator
from gen_inbetween.interpolation.pairs import frame_tensor
from gen_inbetween.media.image import load_image

STATIC = 1e-3  # pixels over the whole stretch: there is no way to divide


@torch.no_grad()
def step_lengths(frames: Sequence[Image.Image], interpolator: FrameInterpolator) -> list[float]:
    """The mean length of the flow of each step from frame to frame, in pixels; transparent frames lie over white."""
    tensors = [frame_tensor(load_image(frame), interpolator.device) for frame in frames]
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
    evened = [frames[0]]
    for place in places[1:-1]:
        index, share = int(place), float(place - int(place))
        if share < 0.02 or share > 0.98:  # a fiftieth of a step is not worth drawing a frame anew
            evened.append(frames[index + (share > 0.5)])
        else:
            evened.append(_frame_between(frames[index], frames[index + 1], share, interpolator))
    evened.append(frames[-1])
    return evened, {"steps_before": before, "steps": step_lengths(evened, interpolator)}


def _frame_between(first: Image.Image, last: Image.Image, t: float, interpolator: FrameInterpolator) -> Image.Image:
    """The frame at t of two RGB or RGBA pictures."""

    def walk(a: Tensor, b: Tensor) -> Iterator[Tensor]:
        yield interpolator.pair(a, b).at(t)

    return Image.fromarray(next(draw_between(np.asarray(first), np.asarray(last), walk, interpolator.device)))
