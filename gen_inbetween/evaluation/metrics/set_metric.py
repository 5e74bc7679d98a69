"""What a measure of two sets of clips looks like: how far the made ones are from the real ones, in a network's eyes."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
import torchmetrics
from numpy.typing import NDArray

from gen_inbetween.evaluation.metrics.backbones.extractors import FeatureExtractor, Features, Frames, Level
from gen_inbetween.evaluation.metrics.backbones.registry import open_extractor
from gen_inbetween.evaluation.metrics.clip_metric import check_frames
from gen_inbetween.evaluation.metrics.frechet import frechet_distance, kernel_distance


class TooFewClips(ValueError):
    """A set has fewer clips than the metric accepts; says how many there are and how many it takes."""


class SetMetric(torchmetrics.Metric):
    """A torchmetrics metric whose `update` takes one clip of either set. Subclasses fill in the attributes.

    Attributes:
        name: the key in METRICS: `<distance>_<backbone>[<frames counted>,<size in pixels>]`.
        unit, better: as of a ClipMetric. backbone: the extractor's name.
        counted: "inner" leaves out both keyframes, which every method is given; "all" counts them.
        formula: "frechet" or "kernel", see frechet.py.
        minimum: fewest clips in each set. At a quarter of them, the least that `extrapolated` draws, two are left,
            the least that vary. Enough to compute is not enough to trust: the intervals say how far.

    Args:
        extractor: what to use in place of the backbone with its published weights.
    """

    name: ClassVar[str]
    unit: ClassVar[str] = ""
    better: ClassVar[Literal["lower"]] = "lower"
    backbone: ClassVar[str]
    counted: ClassVar[Literal["inner", "all"]]
    formula: ClassVar[Literal["frechet", "kernel"]] = "frechet"
    minimum: ClassVar[int] = 8
    full_state_update = False
    real_features: list[torch.Tensor]
    made_features: list[torch.Tensor]
    real_clips: torch.Tensor
    made_clips: torch.Tensor

    def __init__(self, extractor: FeatureExtractor | None = None) -> None:
        super().__init__()
        self.extractor = extractor or open_extractor(self.backbone)
        for state in ("real_features", "made_features"):
            self.add_state(state, default=[], dist_reduce_fx="cat")
        for state in ("real_clips", "made_clips"):
            self.add_state(state, default=torch.tensor(0), dist_reduce_fx="sum")

    @property
    def level(self) -> Level:
        """Whether `features` has a row for each counted frame, or one for the clip."""
        return self.extractor.level

    @property
    def features_name(self) -> str:
        """What decides the features, fit for a folder's name: metrics with the same one can share a cache of them."""
        extractor = self.extractor
        return f"{extractor.name}-{self.counted}-{extractor.size}-{extractor.sha256[:8]}"

    def features(self, frames: Frames) -> Features:
        """The clip's features, (n, D) float32: n counted frames, or 1.

        Args:
            frames: (F, H, W, 3) uint8 RGB, both keyframes included, F of three or more.
        """
        check_frames(frames)
        return self.extractor(frames[1:-1] if self.counted == "inner" else frames)

    def distance(self, real: NDArray[np.floating], made: NDArray[np.floating]) -> float:
        """From features (N, D) and (M, D), the rows of all clips below each other; float64 inside."""
        return (kernel_distance if self.formula == "kernel" else frechet_distance)(real, made)

    def require(self, clips: int) -> None:
        """Raise TooFewClips unless a set of that many clips is enough."""
        if clips < self.minimum:
            raise TooFewClips(f"{self.name} compares sets of {self.minimum} clips or more, got {clips}")

    def update(self, frames: Frames, real: bool) -> None:
        """Take one clip (F, H, W, 3) uint8 into the real or the made set."""
        features = torch.from_numpy(self.features(frames)).to(self.device)
        if real:
            self.real_features.append(features)
            self.real_clips += 1
        else:
            self.made_features.append(features)
            self.made_clips += 1

    def compute(self) -> torch.Tensor:
        """The distance between the two sets, float64. TooFewClips where one is too small."""
        for clips in (self.real_clips, self.made_clips):
            self.require(int(clips))
        return torch.tensor(self.distance(*map(_rows, (self.real_features, self.made_features))), dtype=torch.float64)


def _rows(state: list[torch.Tensor] | torch.Tensor) -> NDArray[np.float32]:
    """A state's features as one array; joined already where processes were synchronised."""
    joined = state if isinstance(state, torch.Tensor) else torch.cat(state)
    return joined.cpu().numpy()
