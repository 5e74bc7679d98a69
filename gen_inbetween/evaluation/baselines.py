"""Baselines: what needs no diffusion model, and what every method should beat.

`BASELINES` maps a name to a factory. The factory is called before any long work, so that a package or a file of weights
that is missing is told then; it returns an interpolator (frame0, frame1, num_frames) -> num_frames RGB images.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..frames import crossfade
from .settings import EvaluationError

Interpolator = Callable[[Image.Image, Image.Image, int], list[Image.Image]]
Flow = NDArray[np.float32]


def nearest(frame0: Image.Image, frame1: Image.Image, num_frames: int) -> list[Image.Image]:
    """Each frame a copy of the keyframe that is nearer in time; the one half-way, if there is one, of frame1."""
    return [frame0 if index < (num_frames - 1) / 2 else frame1 for index in range(num_frames)]


def open_flow_dis() -> Interpolator:
    """Optical flow by DIS (Kroeger et al. 2016, in OpenCV) both ways, both frames warped and blended."""
    import cv2

    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def flow_between(source: Image.Image, target: Image.Image) -> Flow:
        grey0, grey1 = (np.asarray(image.convert("L")) for image in (source, target))
        return np.asarray(dis.calc(grey0, grey1, np.zeros((*grey0.shape, 2), np.float32)), np.float32)

    def interpolate(frame0: Image.Image, frame1: Image.Image, num_frames: int) -> list[Image.Image]:
        there, back = flow_between(frame0, frame1), flow_between(frame1, frame0)
        pixels0, pixels1 = np.asarray(frame0), np.asarray(frame1)
        inner = (index / (num_frames - 1) for index in range(1, num_frames - 1))
        return [frame0, *(Image.fromarray(warp_and_blend(pixels0, pixels1, there, back, t)) for t in inner), frame1]

    return interpolate


def warp_and_blend(
    pixels0: NDArray[np.uint8], pixels1: NDArray[np.uint8], there: Flow, back: Flow, time: float
) -> NDArray[np.uint8]:
    """The frame at `time` in (0, 1), each keyframe fetched along the flow and weighted by its nearness in time.

    The flow at `time` is mixed from the two at the ends (Jiang et al. 2018, Super SloMo, equation 4).

    Args:
        pixels0, pixels1: (H, W, 3) uint8. there, back: (H, W, 2) flow from 0 to 1 and from 1 to 0, pixels as (x, y).
    """
    import cv2

    y, x = np.mgrid[: pixels0.shape[0], : pixels0.shape[1]]
    grid = np.stack([x, y], -1)
    to0 = grid - (1 - time) * time * there + time**2 * back
    to1 = grid + (1 - time) ** 2 * there - time * (1 - time) * back
    warped = [
        cv2.remap(
            pixels.astype(np.float32),
            place[..., 0].astype(np.float32),
            place[..., 1].astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for pixels, place in ((pixels0, to0), (pixels1, to1))
    ]
    blended: NDArray[np.uint8] = ((1 - time) * warped[0] + time * warped[1]).round().clip(0, 255).astype(np.uint8)
    return blended


BASELINES: dict[str, Callable[[], Interpolator]] = {
    "crossfade": lambda: crossfade,
    "nearest": lambda: nearest,
    "flow-dis": open_flow_dis,
}


def open_baseline(name: str) -> Interpolator:
    """The baseline of that name.

    Raises:
        EvaluationError: no such baseline, naming the nearest; or a package that it needs is missing.
    """
    if name not in BASELINES:
        near = difflib.get_close_matches(str(name), BASELINES, n=1, cutoff=0)
        raise EvaluationError(f"expected a baseline out of {', '.join(BASELINES)}, got {name!r}; nearest: {near[0]}")
    try:
        return BASELINES[name]()
    except ImportError as error:
        raise EvaluationError(f"baseline {name} needs {error.name}: pip install 'gen_inbetween[eval]'") from error
