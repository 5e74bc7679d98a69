"""Interpolation of a whole clip between two frames, with its manifest."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from PIL import Image

from gen_inbetween.interpolation.film import draw_parts
from gen_inbetween.interpolation.interpolator import FrameInterpolator
from gen_inbetween.interpolation.pairs import inbetween_frames
from gen_inbetween.interpolation.registry import open_interpolator
from gen_inbetween.media.clip import Clip, keyframes_record
from gen_inbetween.media.image import Frame, open_images
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.hashing import images_sha256


def interpolate_pair(
    frame0: Frame,
    frame1: Frame,
    num_frames: int = 25,
    interpolator: str | Path | FrameInterpolator | None = None,
    *,
    iters: int = 1,
    fps: float = 7,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> Clip:
    """The clip of `num_frames` frames from frame0 to frame1, equally spaced in time; its ends are the two given.

    `inbetween(frame0, frame1, method="interpolate")` does the same for frames of any two sizes.

    Args:
        frame0, frame1: paths, or anything else `load_image` takes; both of one size, sides of SMALLEST pixels or more.
        num_frames: 2 or more, the two given frames counted.
        interpolator: a name of INTERPOLATORS, a file of weights, or one that is open; None: dis-splat.
        iters: steps along references, for the "+ref" kinds only.
        fps: of the clip; interpolation does not depend on it.
        device: where the interpolator is opened; None: the best there is. One that is open keeps its own.
        progress: show a bar on stderr.

    Raises:
        InterpolatorError: fewer than 2 frames, frames of two sizes or too small, iters for a kind without reference.
        FrameError: a frame cannot be opened.
    """
    first, last = open_images((frame0, frame1))
    opened = open_interpolator(interpolator, device)

    def draw(ends: list[Image.Image]) -> list[Image.Image]:
        return inbetween_frames(ends[0], ends[1], num_frames, opened, iters=iters, progress=progress)

    frames = draw_parts(draw, (first, last))
    record = manifests.record(
        frames=keyframes_record((frame0, frame1), (first, last)),
        interpolator=asdict(opened.info),
        settings={"method": "interpolate", "num_frames": num_frames, "iters": iters, "fps": fps},
        frames_sha256=images_sha256(frames),
    )
    return Clip(frames, fps, record)
