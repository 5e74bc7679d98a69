"""Quality of interpolators by the gap between the two given frames.

A moment is 17 frames of which none is left out; gap g takes the g + 1 frames in its middle, gives the ends and asks for
the g - 1 between them. So gaps differ and nothing else does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.data.textures import photographs
from gen_inbetween.evaluation.metrics import open_metric
from gen_inbetween.evaluation.metrics.clip_metric import ClipMetric, Sample
from gen_inbetween.evaluation.pairs.pair import Pair
from gen_inbetween.evaluation.pairs.truth import open_truth
from gen_inbetween.interpolation.interpolator import FrameInterpolator
from gen_inbetween.interpolation.pairs import inbetween_frames

GAPS = (2, 4, 8, 16)
MEASURES = ("psnr[inner]", "ssim[inner]", "sharpness", "speed_uniformity")
TRUTH = "truth"
Frames: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True)
class Moment:
    """Successive frames (max(GAPS) + 1, H, W, 3) of one clip."""

    name: str
    frames: Frames

    def around(self, gap: int) -> Frames:
        """The gap + 1 frames in the middle."""
        first = (len(self.frames) - 1 - gap) // 2
        return self.frames[first : first + gap + 1]


def drawn_moments(pairs: Iterable[Pair]) -> Iterator[Moment]:
    """The synthetic clips of these pairs' seeds, drawn longer: their own 14 frames hold no gap of 16."""
    for pair in pairs:
        drawn = pair.source["synthetic"]
        textures = photographs() if "photographs" in drawn else ()
        clip = make_clip(drawn["seed"], num_frames=max(GAPS) + 1, size=drawn["size"], textures=textures)
        yield Moment(pair.name, clip.frames)


def film_moments(pairs: Iterable[Pair], root: str | os.PathLike[str], size: tuple[int, int]) -> Iterator[Moment]:
    """Of each pair that is long enough the frames in its middle, fitted to `size` (width, height).

    PairError: as `sources.open_pair`.
    """
    for pair in pairs:
        if pair.num_frames > max(GAPS):
            yield Moment(pair.name, Moment(pair.name, open_truth(pair, root, *size).frames).around(max(GAPS)))


def interpolate_between(frames: Frames, interpolator: FrameInterpolator) -> Frames:
    """The clip of that length between the first and the last of `frames` (F, H, W, 3)."""
    first, last = (Image.fromarray(frames[end]) for end in (0, -1))
    return np.stack([np.asarray(frame) for frame in inbetween_frames(first, last, len(frames), interpolator)])


class GapScores:
    """measure -> label -> gap -> one value a moment, NaN where the measure does not apply."""

    def __init__(self, interpolators: Mapping[str, FrameInterpolator], gaps: Sequence[int] = GAPS) -> None:
        metrics = {name: open_metric(name) for name in MEASURES}
        self.metrics = {name: metric for name, metric in metrics.items() if isinstance(metric, ClipMetric)}
        self.interpolators, self.gaps = interpolators, gaps
        self.values: dict[str, dict[str, dict[int, list[float]]]] = {
            name: {label: {gap: [] for gap in gaps} for label in (TRUTH, *interpolators)} for name in metrics
        }

    def add(self, moment: Moment) -> None:
        """Make and score every gap of a moment by every interpolator; the true clip too, for what clips alone have."""
        for gap in self.gaps:
            truth = moment.around(gap)
            self._add_scores(TRUTH, gap, Sample(truth))
            for label, interpolator in self.interpolators.items():
                self._add_scores(label, gap, Sample(interpolate_between(truth, interpolator), truth))

    def _add_scores(self, label: str, gap: int, sample: Sample) -> None:
        for name, metric in self.metrics.items():
            if metric.needs <= sample.knows:
                self.values[name][label][gap].append(metric.score(sample))
