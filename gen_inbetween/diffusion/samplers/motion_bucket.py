"""Motion bucket on which forward and backward motion agree.

SVD is told how much moves. Told too little or too much for its keyframes, the motion that leaves the first of them and
the motion that leads back from the last miss each other between them. So a few buckets b are tried, each in a run of
three steps from the same noise, without guidance, and the one is taken where the directions are nearest to each other:

    d(b) = mean of log(|D_forward - D_backward| / |D_fused|) over the last two of the steps,

at the lowest point of the parabola through the best bucket tried and its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gen_inbetween.diffusion.conditioning import encode_pictures
from gen_inbetween.diffusion.edm import Generator, ays_sigmas
from gen_inbetween.diffusion.fusion import FusedDenoiser, fusion_weights
from gen_inbetween.diffusion.sampling import randn_tensor, sample_euler, start_of
from gen_inbetween.diffusion.windows.layout import lay_windows
from gen_inbetween.runtime.progress import track

if TYPE_CHECKING:
    from torch import Tensor

BUCKETS, BESIDE = (48, 112, 176, 240), 32  # tried first; then those so far to both sides of the best
LARGEST = 255
SMALLEST = 1e-9  # disagreement: that of two motions that are the same has no logarithm
NOISE_LEVELS = ays_sigmas(6)[1:5]  # 24 to 0.5: above, nothing of the keyframes' motion is seen, below, all is decided
LOOKED_AT = NOISE_LEVELS[1:3]
SEARCH_PASSES = 2 * (len(BUCKETS) + 2) * (len(NOISE_LEVELS) - 1)  # of one segment


@dataclass(frozen=True)
class FoundBucket:
    """The bucket, 0 to 255; d of each that was tried; UNet passes as `GuidedDenoiser` counts them."""

    bucket: int
    tried: dict[int, float]
    unet_passes: int


@torch.no_grad()
def find_motion_bucket(
    pipe: Any,
    keyframes: Sequence[Tensor],
    positions: Sequence[int],
    num_frames: int,
    *,
    rotate: bool,
    loop: bool = False,
    fps: int = 7,
    noise_aug_strength: float = 0.02,
    generator: Generator = None,
    progress: bool = False,
) -> FoundBucket:
    """The motion bucket of a clip through these keyframes.

    Args:
        pipe: an `InbetweenPipeline`.
        keyframes: each (pair, 3, height, width) in [-1, 1], at the frames `positions`; several have one bucket.
        num_frames, loop: as `windows.layout.lay_windows` takes them.
        rotate: whether backward motion goes through the rotated attention map (gi), or is stock SVD's (the others).
        fps, noise_aug_strength: as the run will be told.
        generator: draws the noise on the keyframes and the first latents, the same for every bucket.
        progress: show a bar on stderr.

    Raises:
        RuntimeError: a denoised clip is not finite.
    """
    encoded = encode_pictures(pipe, keyframes, fps=fps, noise_aug_strength=noise_aug_strength, generator=generator)
    segments = [window for window in lay_windows(positions, num_frames, loop=loop) if not window.centred]
    latents, device = encoded.image_latents[0], encoded.image_latents.device
    shapes = [torch.Size((len(latents), len(segment.frames), *latents.shape[1:])) for segment in segments]
    noises = [randn_tensor(shape, generator=generator, device=device, dtype=torch.float32) for shape in shapes]
    sigmas = torch.tensor(NOISE_LEVELS, device=device)
    passes = 0

    def disagreement(bucket: int) -> float:
        nonlocal passes
        time_ids = encoded.time_ids.clone()
        time_ids[..., 1] = bucket
        seen: list[float] = []
        for segment, noise in zip(segments, noises, strict=True):
            count = len(segment.frames)
            conditions = replace(encoded, time_ids=time_ids).between(segment.keys, count)
            weight = fusion_weights("linear", count)
            denoise = FusedDenoiser(pipe.unet, conditions, torch.ones(count), weight, rotate=rotate)

            def look(step: int, _: Tensor, x: Tensor, __: Tensor, denoise: FusedDenoiser = denoise) -> Tensor:
                if NOISE_LEVELS[step] in LOOKED_AT:
                    seen.append(math.log(max(denoise.disagreement(), SMALLEST)))
                return x

            sample_euler(denoise, start_of(noise, sigmas[0]), sigmas, range(len(sigmas) - 1), on_step=look)
            passes += denoise.passes
        return float(np.mean(seen))

    tried: dict[int, float] = {}
    for bucket in track(to_try(tried), "motion bucket", len(BUCKETS) + 2, unit="bucket", shown=progress):
        tried[bucket] = disagreement(bucket)
        if not math.isfinite(tried[bucket]):
            raise RuntimeError(f"the clip denoised for motion bucket {bucket} is not finite: try dtype=float32")
    return FoundBucket(lowest(tried), {bucket: round(tried[bucket], 4) for bucket in sorted(tried)}, passes)


def to_try(tried: dict[int, float]) -> Iterator[int]:
    """The buckets to be tried, one after the other; `tried` is filled in on the way."""
    yield from BUCKETS
    best = min(BUCKETS, key=tried.__getitem__)
    for bucket in (best - BESIDE, best + BESIDE):
        yield min(bucket, LARGEST)


def lowest(tried: dict[int, float]) -> int:
    """Where the parabola through the least value and its neighbours is lowest, no farther than half-way beyond them.

    >>> lowest({16: 3.0, 48: 1.0, 80: 1.0, 112: 3.0})
    64
    >>> lowest({16: 1.0, 48: 2.0, 80: 3.0})
    16
    """
    buckets = sorted(tried)
    middle = min(max(buckets.index(min(tried, key=tried.__getitem__)), 1), len(buckets) - 2)
    near = buckets[middle - 1 : middle + 2]
    curvature, slope, _ = np.polyfit(near, [tried[bucket] for bucket in near], 2)
    if curvature <= 1e-12:
        return min(near, key=tried.__getitem__)
    low, high = near[0] - BESIDE // 2, near[-1] + BESIDE // 2
    return round(float(np.clip(-slope / (2 * curvature), max(low, 0), min(high, LARGEST))))
