"""Frame-by-frame metrics against the true clip: PSNR, SSIM, endpoint error, sharpness."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.image import structural_similarity_index_measure

from gen_inbetween.evaluation.metrics.clip_metric import Better, ClipMetric, Family, Sample

ROUNDING = 1 / 12  # variance of rounding to whole grey levels: the least squared error that 8-bit frames can speak of
WINDOW = 11  # pixels: the Gaussian window of SSIM, cut at 3.5 sigma


def true_clip(sample: Sample) -> NDArray[np.uint8]:
    """The true clip of a sample, (F, H, W, 3); ValueError where it has none."""
    if sample.truth is None:
        raise ValueError("expected a sample with the true clip, got none: give Sample(frames, truth)")
    return sample.truth


class _Fidelity(ClipMetric):
    family: ClassVar[Family] = "Against the true clip"
    needs = frozenset({"truth"})


class _Psnr(_Fidelity):
    unit = "dB"
    better: ClassVar[Better] = "higher"
    span: ClassVar[slice]

    def score(self, sample: Sample) -> float:
        frames, truth = (clip[self.span].astype(np.float32) for clip in (sample.frames, true_clip(sample)))
        error = np.square(frames - truth).mean((1, 2, 3), dtype=np.float64)
        return float((10 * np.log10(255**2 / np.maximum(error, ROUNDING))).mean())


class PsnrInner(_Psnr):
    """Peak signal-to-noise ratio in dB, mean over the frames between the keyframes; higher is better.

    Over RGB, peak 255, per frame and then averaged as interpolation papers do. The squared error of a frame is held at
    1/12 or more, what rounding to 8 bits leaves, so that equal frames score 58.9 dB and not infinity.
    """

    name = "psnr[inner]"
    span = slice(1, -1)


class PsnrAll(_Psnr):
    """As psnr[inner], over all frames, the keyframes too: flattering where these are put back exactly."""

    name = "psnr[all]"
    span = slice(None)


class SsimInner(_Fidelity):
    """Structural similarity, -1 to 1, mean over the frames between the keyframes; higher is better.

    Wang, Bovik, Sheikh and Simoncelli 2004: RGB, Gaussian window of sigma 1.5, K = (0.01, 0.03), range 255, mean over
    the windows that lie wholly in the frame, as in the paper and in scikit-image. Frames of more than 10 pixels a side.
    """

    name = "ssim[inner]"
    unit = "1"
    better: ClassVar[Better] = "higher"

    def score(self, sample: Sample) -> float:
        frames, truth = (
            torch.from_numpy(clip[1:-1]).permute(0, 3, 1, 2).float() for clip in (sample.frames, true_clip(sample))
        )
        _, similarity = structural_similarity_index_measure(frames, truth, data_range=255.0, return_full_image=True)
        edge = WINDOW // 2  # torchmetrics mirrors the frame beyond its border
        return float(similarity[..., edge:-edge, edge:-edge].mean())


class EndpointError(_Fidelity):
    """Mean absolute difference of the first and last frame to the keyframes, grey levels of 255; lower is better.

    It says how well a method meets its ends only while these are its own: score frames from before the given keyframes
    are put back (`exact_ends=False`), else it is 0.
    """

    name = "endpoint_error"
    unit = "grey levels"
    better: ClassVar[Better] = "lower"

    def score(self, sample: Sample) -> float:
        ends = [0, -1]
        return float(np.abs(sample.frames[ends].astype(np.int16) - true_clip(sample)[ends]).mean())


class Sharpness(_Fidelity):
    """Gradient energy of the inner frames over that of the true ones; 1 is right, blur lies below, noise above.

    Sum of the squared differences of neighbouring pixels, both directions, all channels: Tenengrad's idea with the
    shortest gradient. NaN where the true clip is flat.
    """

    name = "sharpness"
    unit = "of the true clip's"
    better: ClassVar[Better] = "truth"

    def score(self, sample: Sample) -> float:
        energy, true_energy = (gradient_energy(clip[1:-1]) for clip in (sample.frames, true_clip(sample)))
        return energy / true_energy if true_energy else float("nan")


def gradient_energy(frames: NDArray[np.uint8]) -> float:
    """Sum of the squared differences of neighbouring pixels of frames (F, H, W, C).

    >>> gradient_energy(np.array([[[[0], [10]], [[0], [10]]]], np.uint8))
    200.0
    """
    pixels = frames.astype(np.float32)
    return float(sum(np.square(np.diff(pixels, axis=axis)).sum(dtype=np.float64) for axis in (1, 2)))


METRICS = (PsnrInner, PsnrAll, SsimInner, EndpointError, Sharpness)
