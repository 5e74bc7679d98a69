"""Limits of method "auto", tried on triplets of film with a known middle.

For each triplet: what `generation.auto.measure_motion` sees between its ends, and how far the interpolated middle frame
is from the true one. Good is a middle frame that 99 % of its pixels meet to 25 grey levels: small things that move are
few pixels, and a mean would pass over them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gen_inbetween.generation.auto import HEIGHT, PERCENTILE, Motion, measure_motion
from gen_inbetween.interpolation.interpolator import FrameInterpolator
from gen_inbetween.interpolation.pairs import inbetween_frames
from gen_inbetween.media.scenes import scene_cuts, thumbnail
from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video import read_frames

log = logging.getLogger("gen_inbetween")

GAPS = (2, 4, 8, 16, 32)
LOOKED_AT = 160  # frames at the beginning of each film
PLACES = (1 / 3, 2 / 3)  # of them
GOOD = 25.0  # grey levels


@dataclass(frozen=True)
class Triplet:
    """Two frames of a film, `gap` frames apart, and the one half-way."""

    film: str
    gap: int
    first: Image.Image
    middle: Image.Image
    last: Image.Image


@dataclass(frozen=True)
class Trial:
    motion: Motion
    error: float  # grey levels that 99 % of the middle frame's pixels stay below

    @property
    def good(self) -> bool:
        return self.error <= GOOD


def triplets(films: Iterable[Path], places: Sequence[float] = PLACES) -> Iterator[Triplet]:
    """Of each film one triplet a gap and place, none over a cut, at most 256 pixels high; unreadable ones are named."""
    for path in films:
        try:
            frames = read_frames(path, stop=LOOKED_AT, reader="av").frames
        except VideoError as error:
            log.warning("left out: %s", error)
            continue
        cuts = scene_cuts(np.stack([thumbnail(frame) for frame in frames]))
        for gap in GAPS:
            for start in {int(place * (len(frames) - gap - 1)) for place in places if len(frames) > gap}:
                if not any(start < cut <= start + gap for cut in cuts):
                    chosen = (shrink_frame(frames[start + offset]) for offset in (0, gap // 2, gap))
                    yield Triplet(path.stem, gap, *chosen)


def shrink_frame(frame: Image.Image) -> Image.Image:
    if frame.height <= HEIGHT:
        return frame
    return frame.resize((round(frame.width * HEIGHT / frame.height), HEIGHT), Image.Resampling.LANCZOS)


def try_triplet(triplet: Triplet, interpolator: FrameInterpolator) -> Trial:
    """What is seen and what comes out."""
    made = inbetween_frames(triplet.first, triplet.last, 3, interpolator)[1]
    off = np.abs(np.asarray(made, np.float32) - np.asarray(triplet.middle, np.float32)).mean(-1)
    return Trial(measure_motion(triplet.first, triplet.last, interpolator), float(np.percentile(off, PERCENTILE)))


def shares(trials: Sequence[Trial], displacement: float, disagreement: float) -> tuple[int, float, float]:
    """Of the trials below both limits: how many, the share that is good, and the share of all good ones they are."""
    below = [t for t in trials if t.motion.displacement <= displacement and t.motion.disagreement <= disagreement]
    good, all_good = sum(trial.good for trial in below), sum(trial.good for trial in trials)
    return len(below), good / len(below) if below else float("nan"), good / all_good if all_good else float("nan")
