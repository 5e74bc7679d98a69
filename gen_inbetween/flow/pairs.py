"""Two frames in, the whole clip between them out, by an interpolator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from torch import Tensor

from .. import manifest as manifests
from ..clip import Clip
from ..opening import Frame, open_frame
from .interpolator import FrameInterpolator, InterpolatorError
from .midpoints import by_halving
from .tensors import frame_tensor, tensor_frame


def interpolate_pair(
    frame0: Frame, frame1: Frame, num_frames: int, interpolator: FrameInterpolator, *, iters: int = 1, fps: float = 7
) -> Clip:
    """The clip of `num_frames` frames from frame0 to frame1, equally spaced in time; its ends are the two given.

    Args:
        frame0, frame1: anything `open_frame` opens, both of one size, sides of SMALLEST pixels or more.
        num_frames: 2 or more, the two given frames counted.
        iters: steps along references, for the "+ref" kinds only.
        fps: of the clip; interpolation does not depend on it.

    Raises:
        InterpolatorError: fewer than 2 frames, frames of two sizes or too small, iters for a kind without reference.
        FrameError: a frame cannot be opened.
    """
    if num_frames < 2:
        raise InterpolatorError(f"expected num_frames to be 2 or more, the two given frames counted; got {num_frames}")
    first, last = open_frame(frame0), open_frame(frame1)
    if first.size != last.size:
        raise InterpolatorError(f"expected two frames of one size, got {first.size} and {last.size}: fit them first")
    a, b = (frame_tensor(frame, interpolator.device) for frame in (first, last))
    times = [step / (num_frames - 1) for step in range(1, num_frames - 1)]
    between = [tensor_frame(frame) for frame in between_frames(a, b, times, interpolator, iters)]
    record: dict[str, Any] = {
        "format": manifests.FORMAT,
        "made": manifests.now(),
        "frames": {
            name: {"sha256": manifests.image_sha256(image)} for name, image in (("frame0", first), ("frame1", last))
        },
        "interpolator": asdict(interpolator.info),
        "settings": {"method": "flow", "num_frames": num_frames, "iters": iters, "fps": fps},
        "versions": manifests.versions(),
        "machine": manifests.machine(),
    }
    return Clip([first, *between, last], fps, record)


def between_frames(
    a: Tensor, b: Tensor, times: list[float], interpolator: FrameInterpolator, iters: int = 1
) -> Iterator[Tensor]:
    """The frames (B, 3, H, W) at each of `times`, one after the other; shared halves are computed once."""
    if interpolator.kind == "midpoint":
        yield from by_halving(lambda first, second: interpolator(first, second, 0.5), a, b, times)
        return
    for t in times:
        yield interpolator(a, b, t, iters=iters)
