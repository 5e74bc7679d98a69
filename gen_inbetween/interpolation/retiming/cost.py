"""Seconds and bytes of interpolated frames on this machine."""

from __future__ import annotations

import math
from collections.abc import Iterable
from time import perf_counter

import numpy as np
import torch

from gen_inbetween.interpolation.interpolator import FrameInterpolator
from gen_inbetween.interpolation.retiming.workers import one_thread_each
from gen_inbetween.runtime.devices import free_cores, free_memory

BASE = 400e6  # bytes of a process with torch, OpenCV and PyAV, before any frame
# Bytes a pixel while a pair is drawn, both frames counted; measured at 1280x720 and 1920x1080, as a process's peak.
BYTES_PER_PIXEL = {"blend": 75, "nearest": 75, "dis": 260, "dis-splat": 270, "tiny-di": 550, "rife": 460}
UNKNOWN = 1500  # of networks from files
SPARE = 0.5  # of the free memory that workers may take


def pair_bytes(name: str, height: int, width: int) -> int:
    """What one worker takes to draw a pair of such frames with the interpolator of this name."""
    return BYTES_PER_PIXEL.get(name, UNKNOWN) * height * width


def usual_workers(interpolator: FrameInterpolator, height: int, width: int) -> int:
    """One a core, as far as the free memory goes; one where a card computes: it does one thing at a time anyway."""
    if interpolator.device.type != "cpu":
        return 1
    free = free_memory()
    most = free_cores() if free is None else int(SPARE * free / pair_bytes(interpolator.info.name, height, width))
    return max(1, min(free_cores(), most))


def frame_seconds(interpolator: FrameInterpolator, height: int, width: int) -> float:
    """Seconds of one frame between two of this size on one core, or on the card: the second of two tries.

    The frames are a soft pattern that moves by some pixels; what is seen in frames changes their cost little.
    """
    y, x = torch.meshgrid(torch.arange(height + 0.0), torch.arange(width + 0.0), indexing="ij")
    pattern = torch.stack([0.5 + 0.25 * (torch.sin(x / 9 + k) + torch.sin(y / (7 + k))) for k in range(3)])[None]
    a, b = (frame.contiguous().to(interpolator.device) for frame in (pattern, pattern.roll(4, 3)))
    with one_thread_each():
        for _ in range(2):
            begun = perf_counter()
            interpolator.pair(a, b).at(0.5).cpu()
            seconds = perf_counter() - begun
    return seconds


def frames_between(shown: Iterable[float], times: np.ndarray, meets: float) -> int:
    """How many of the rising times `shown` lie between two of the source's frames, at `times`, and meet none."""
    at = np.fromiter(shown, np.float64)
    after = np.searchsorted(times, at).clip(1, len(times) - 1)
    start, end = times[after - 1], times[after]
    margin = meets * (end - start)
    return int(((at > start + margin) & (at < end - margin)).sum())


def describe_cost(frames: int, seconds: float, workers: int) -> str:
    """One line on the work ahead, at so many seconds a frame of each worker.

    >>> describe_cost(900, 0.5, 2)
    'up to 900 frames to draw, 0.50 s each, 2 at a time: about 3:45'
    """
    whole = math.ceil(frames * seconds / workers)
    hours, minutes = whole // 3600, whole // 60 % 60
    clock = f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
    return f"up to {frames} frames to draw, {seconds:.2f} s each, {workers} at a time: about {clock}"


def predicted_cost(interpolator: FrameInterpolator, count: int, drawn: int, height: int, width: int) -> str:
    """One line on a clip of `count` frames, of which so many are drawn: seconds by a frame timed here, and memory."""
    seconds, pair = frame_seconds(interpolator, height, width), pair_bytes(interpolator.info.name, height, width)
    whole = BASE + pair + 3 * count * height * width
    return (
        f"{seconds:.2g} s a frame as timed here, {drawn * seconds:.3g} s in all on one core; {whole / 1e9:.2g} GB of "
        f"memory; a film, frame by frame: {(BASE + pair) / 1e9:.2g} GB, and {pair / 1e9:.2g} GB for each further core"
    )
