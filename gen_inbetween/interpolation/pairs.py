"""Frames between a pair of frames, and frames as tensors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gen_inbetween.interpolation.interpolator import FrameInterpolator, InterpolatorError, Kind, check_kind
from gen_inbetween.interpolation.recursive_midpoint import count_midpoints, recursive_midpoint
from gen_inbetween.media.image import to_pixels, to_signal
from gen_inbetween.runtime.checks import check_whole
from gen_inbetween.runtime.progress import track

HELD = 16e9  # bytes of frames of a clip


def inbetween_frames(
    first: Image.Image,
    last: Image.Image,
    num_frames: int,
    interpolator: FrameInterpolator,
    *,
    iters: int = 1,
    exact_ends: bool = True,
    progress: bool = False,
) -> list[Image.Image]:
    """The frames of `interpolate_pair`, of two RGB images: both ends and num_frames - 2 between.

    exact_ends: the ends are the two given; otherwise passed through the interpolator (`pass_through`), so that no frame
        is sharper than the others. progress: show a bar on stderr.
    """
    check_pair(first, last, num_frames)
    check_kind(interpolator.info.kind, 0.5, None, iters)
    a, b = (frame_tensor(frame, interpolator.device) for frame in (first, last))
    times = [step / (num_frames - 1) for step in range(1, num_frames - 1)]
    between = between_frames(a, b, times, interpolator, iters)
    frames = [tensor_frame(frame) for frame in track(between, interpolator.info.name, len(times), shown=progress)]
    if not exact_ends:
        first, last = (tensor_frame(pass_through(frame, interpolator, iters)) for frame in (a, b))
    return [first, *frames, last]


def check_pair(first: Image.Image, last: Image.Image, num_frames: int) -> None:
    """Raise InterpolatorError for fewer than two frames, more than are held, or two frames of two sizes."""
    check_whole("num_frames", num_frames)
    if num_frames < 2:
        raise InterpolatorError(f"expected num_frames to be 2 or more, the two given frames counted; got {num_frames}")
    if first.size != last.size:
        raise InterpolatorError(f"expected two frames of one size, got {first.size} and {last.size}: fit them first")
    check_held(*first.size, num_frames)


def check_held(width: int, height: int, num_frames: int) -> None:
    """InterpolatorError where the frames of a clip, which are held until it is written, take more than HELD."""
    if 3 * width * height * num_frames > HELD:
        size = f"{num_frames} frames of {width}x{height} take {3e-9 * width * height * num_frames:.3g} GB"
        raise InterpolatorError(f"{size}, and a clip may take {HELD / 1e9:g}: fewer frames, or a smaller size")


def between_frames(
    a: Tensor, b: Tensor, times: list[float], interpolator: FrameInterpolator, iters: int = 1
) -> Iterator[Tensor]:
    """The frames (B, 3, H, W) at each of `times`, one after the other; shared halves are computed once."""
    if interpolator.info.kind == "midpoint":
        yield from recursive_midpoint(lambda first, second: interpolator(first, second, 0.5), a, b, times)
        return
    pair = interpolator.pair(a, b)
    for t in times:
        yield pair.at(t, iters=iters)


def interpolations(kind: Kind, num_frames: int, iters: int = 1) -> int:
    """How often an interpolator of this kind computes for the inner frames of a pair."""
    times = [step / (num_frames - 1) for step in range(1, num_frames - 1)]
    return count_midpoints(times) if kind == "midpoint" else len(times) * iters


def frame_tensor(image: Image.Image, device: torch.device) -> Tensor:
    """An RGB picture as float32 (1, 3, H, W) in [0, 1]."""
    pixels = torch.from_numpy(np.array(image, np.uint8))
    return (to_signal(pixels)[None] / 2 + 0.5).to(device)


def tensor_frame(frame: Tensor) -> Image.Image:
    """(1, 3, H, W) in [0, 1] as an RGB picture; rounded, since cutting off would darken it by half a level."""
    return Image.fromarray(to_pixels(frame[0].cpu() * 2 - 1))


def pass_through(frame: Tensor, interpolator: FrameInterpolator, iters: int = 1) -> Tensor:
    """A source frame through the interpolator, f(a, a, 1/2): as sharp as what is drawn beside it.

    `frame` (B, 3, H, W) in [0, 1]; nothing moves. What is drawn between frames differs a little from them, in colour
    and in sharpness, and so every source frame among them flickers; Squirrel-RIFE's cure is to pair each source frame
    with itself. The middle of such a pair is right for every kind: midpoint networks know no other time, the reference
    kinds start from the frame itself, and no neighbour is needed, so that frames at cuts and ends are like all others.
    The times 0 and 1 of a real pair are not: no network is trained there. Gradient energy of RIFE 4.0 against the
    source, two frames apart, 256 px wide: f(a, b, 1/2) 0.96, f(a, a, 1/2) 0.99, f(a, b, 0) 0.81 to 0.92.

    It takes away what the network does to any picture, not the softness of having been moved by a fraction of a pixel.
    That is even among frames at the times 1/4 and 3/4, which is what phase 1/2 is for (`timing.py`). Mean bend of the
    gradient energy from frame to frame at twice the rate (a jumping dog, 256 x 144):

                        as they are    passed through    phase 1/2
        RIFE 4.0              0.054             0.049        0.002
        DIS                   0.069             0.069        0.004      a frame with itself is the frame: no cure
        tiny-di               0.121             0.052        0.005
    """
    return interpolator(frame, frame, 0.5, iters=iters)
