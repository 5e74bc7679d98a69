"""Doubt held against the true error: film frames left out and drawn again.

A window of film with a gap of g gives frames 0 and g and asks for the one in the middle. Of the drawn frame D with its
truth M, at most HEIGHT pixels high:

    error      99th percentile of |D - M|, grey levels
    doubled    the share of pixels that are a double exposure: D mixes two looks that differ, and is wrong
               |W0 - W1| > APART    0.2 < m < 0.8    |D - M| > WRONG        means over 5 x 5 pixels

W0 and W1 are the two frames moved by the interpolator's own flows, m the weight of the first. A frame shows a double
exposure to the eye where at least VISIBLE of its pixels are doubled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from scipy import stats

from gen_inbetween.data.synthetic import HELD_OUT_SEED
from gen_inbetween.data.textures import photographs
from gen_inbetween.data.worlds import make_world_clip
from gen_inbetween.evaluation.interpolators.film_windows import LENGTH, THUMBNAIL, window_starts
from gen_inbetween.evaluation.interpolators.gaps import Frames, Moment
from gen_inbetween.evaluation.report.statistics import LEVEL, RESAMPLES, SEED, Estimate
from gen_inbetween.interpolation.faults.pair_meter import PairMeter
from gen_inbetween.interpolation.interpolator import FrameInterpolator
from gen_inbetween.interpolation.pairs import frame_tensor
from gen_inbetween.interpolation.warping import warp
from gen_inbetween.media.video import stream_frames

GAPS = (2, 4, 8)
LOOKED_AT = 240  # frames at the beginning of each film
HEIGHT = 360  # pixels of frames that are drawn, at most
WORLD = 256  # pixels of a side of a synthetic world
APART, WRONG, WINDOW = 32.0, 16.0, 5  # grey levels, grey levels, pixels
VISIBLE = 0.001  # of the pixels


@dataclass(frozen=True)
class DoubtTrial:
    """One frame that was left out and drawn again."""

    film: str
    gap: int
    doubt: float
    motion: float
    change: float  # 99th percentile of the plain difference of the two frames, grey levels: no flow is needed for it
    error: float
    psnr: float
    doubled: float

    @property
    def visible(self) -> bool:
        return self.doubled >= VISIBLE


def doubt_windows(path: Path, count: int) -> list[Moment]:
    """Up to `count` windows of LENGTH frames, none over a cut, out of the first LOOKED_AT of a film; HEIGHT at most.

    VideoError: the file cannot be read.
    """
    frames, _ = stream_frames(path, stop=LOOKED_AT)
    kept = [shrunk(frame) for frame in frames]
    small = [np.asarray(frame.resize(THUMBNAIL, Image.Resampling.BOX), np.float64) for frame in kept]
    changes = np.array([np.abs(after - before).mean() for before, after in zip(small, small[1:], strict=False)])
    starts = window_starts(changes, count)
    return [Moment(path.stem, np.stack([np.asarray(f) for f in kept[start : start + LENGTH]])) for start in starts]


def shrunk(frame: Image.Image) -> Image.Image:
    if frame.height <= HEIGHT:
        return frame
    return frame.resize((round(frame.width * HEIGHT / frame.height), HEIGHT), Image.Resampling.LANCZOS)


def world_windows(count: int) -> Iterator[Moment]:
    """One window of each of so many held-out synthetic worlds."""
    textures = photographs()
    for seed in range(HELD_OUT_SEED, HELD_OUT_SEED + count):
        clip = make_world_clip(seed, num_frames=LENGTH, size=WORLD, textures=textures)
        yield Moment(f"world {seed}", clip.frames)


def doubt_trials(
    windows: Iterable[Moment], interpolators: Mapping[str, FrameInterpolator]
) -> Iterator[tuple[str, DoubtTrial]]:
    """(interpolator, trial) of every window, gap and interpolator."""
    meter = PairMeter()
    for window in windows:
        for gap in GAPS:
            frames = window.around(gap)
            motion, doubt = meter.measure(frames[0], frames[-1])
            change = float(np.percentile(np.abs(frames[0].astype(np.float32) - frames[-1]).mean(-1), 99))
            for name, interpolator in interpolators.items():
                error, psnr, doubled = judge_middle(frames, interpolator)
                yield name, DoubtTrial(window.name, gap, doubt, motion, change, error, psnr, doubled)


@torch.no_grad()
def judge_middle(frames: Frames, interpolator: FrameInterpolator) -> tuple[float, float, float]:
    """(error, PSNR, doubled) of the middle one of frames (F, H, W, 3), drawn between the first and the last."""
    a, b = (frame_tensor(Image.fromarray(frames[end]), interpolator.device) for end in (0, -1))
    pair = interpolator.pair(a, b)
    flows = pair.flows(0.5)
    drawn = (pair.at(0.5)[0].permute(1, 2, 0).cpu().numpy() * 255).round().clip(0, 255)
    off = np.abs(drawn - frames[len(frames) // 2].astype(np.float32))
    apart = (warp(a, flows.to0) - warp(b, flows.to1)).abs().mean(1)[0].cpu().numpy() * 255
    apart, wrong, weight = (
        cv2.blur(each.astype(np.float32), (WINDOW, WINDOW))
        for each in (apart, off.mean(-1), flows.mask[0, 0].cpu().numpy())
    )
    doubled = (apart > APART) & (wrong > WRONG) & (weight > 0.2) & (weight < 0.8)
    mean_square = float(np.square(off).mean())
    psnr = 10 * np.log10(255**2 / max(mean_square, 1e-3))
    return float(np.percentile(off.mean(-1), 99)), float(psnr), float(doubled.mean())


def rank_correlation(first: ArrayLike, second: ArrayLike, films: Sequence[str]) -> Estimate:
    """Spearman's rank correlation of trials, and its 95 % percentile bootstrap interval over films (2,000, seed 0).

    Trials of one film are not independent, so whole films are drawn.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    names = sorted(set(films))
    places = [np.flatnonzero(np.array(films) == name) for name in names]
    draws = np.random.default_rng(SEED).integers(len(names), size=(RESAMPLES, len(names)))
    drawn = (np.concatenate([places[number] for number in draw]) for draw in draws)
    values = np.array([spearman(one[chosen], other[chosen]) for chosen in drawn])
    values = values[~np.isnan(values)]
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(values, [tail, 100 - tail]) if len(values) else (np.nan, np.nan)
    return Estimate(spearman(one, other), float(low), float(high), len(names))


def spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """NaN where one of them does not vary."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(stats.rankdata(one), stats.rankdata(other))[0, 1])


def detection(trials: Sequence[DoubtTrial], limit: float) -> tuple[int, float, float]:
    """Of the trials above a limit of doubt: how many, the share that is visible (precision), and of all visible ones
    the share that is above (recall); NaN where there is none."""
    above = [trial for trial in trials if trial.doubt > limit]
    hits, visible = sum(trial.visible for trial in above), sum(trial.visible for trial in trials)
    return len(above), hits / len(above) if above else float("nan"), hits / visible if visible else float("nan")
