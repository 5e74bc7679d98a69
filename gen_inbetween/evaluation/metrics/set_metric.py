"""Metric between two sets of clips, and the specification of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
import torchmetrics
from numpy.typing import NDArray

from gen_inbetween.evaluation.metrics.backbones.extractors import FeatureExtractor, Features, Frames, Level
from gen_inbetween.evaluation.metrics.backbones.registry import open_extractor
from gen_inbetween.evaluation.metrics.clip_metric import Family, check_frames
from gen_inbetween.evaluation.metrics.frechet import frechet_distance, kernel_distance


class TooFewClips(ValueError):
    """A set has fewer clips than the metric accepts; says how many there are and how many it takes."""


@dataclass(frozen=True)
class SetMetricSpec:
    """One metric of sets; called, it makes the `SetMetric`.

    name: the key in METRICS: `<distance>_<backbone>[<frames counted>,<size in pixels>]`.
    backbone: the extractor's name, see `backbones.registry`.
    counted: "inner" leaves out both keyframes, which every method is given; "all" counts them.
    formula: "frechet" or "kernel", see frechet.py.
    minimum: fewest clips in each set. At a quarter of them, the least that `extrapolated` draws, two are left, the
        least that vary. Enough to compute is not enough to trust: the intervals say how far.
    unit, better, family, version: as of a ClipMetric; the version is the distance's, features have their extractor's.
    """

    name: str
    backbone: str
    counted: Literal["inner", "all"]
    meaning: str  # what a report says of it
    formula: Literal["frechet", "kernel"] = "frechet"
    minimum: int = 8
    version: int = 1
    unit: ClassVar[str] = ""
    better: ClassVar[Literal["lower"]] = "lower"
    family: ClassVar[Family] = "Sets of clips"

    def __call__(self, extractor: FeatureExtractor | None = None) -> SetMetric:
        """The metric, ready for `update`; errors as `backbones.registry.open_extractor`."""
        return SetMetric(self, extractor)


class SetMetric(torchmetrics.Metric):
    """A torchmetrics metric whose `update` takes one clip of either set.

    Args:
        spec: which features of which frames are compared, and how.
        extractor: what to use in place of the backbone with its published weights.
    """

    full_state_update = False
    real_features: list[torch.Tensor]
    generated_features: list[torch.Tensor]
    real_clips: torch.Tensor
    generated_clips: torch.Tensor

    def __init__(self, spec: SetMetricSpec, extractor: FeatureExtractor | None = None) -> None:
        super().__init__()
        self.spec, self.name, self.unit, self.better = spec, spec.name, spec.unit, spec.better
        self.version = spec.version
        self.extractor = extractor or open_extractor(spec.backbone)
        for state in ("real_features", "generated_features"):
            self.add_state(state, default=[], dist_reduce_fx="cat")
        for state in ("real_clips", "generated_clips"):
            self.add_state(state, default=torch.tensor(0), dist_reduce_fx="sum")

    @property
    def level(self) -> Level:
        """Whether `features` has a row for each counted frame, or one for the clip."""
        return self.extractor.level

    @property
    def features_name(self) -> str:
        """What decides the features, fit for a folder's name: metrics with the same one can share a cache of them."""
        extractor = self.extractor
        return f"{extractor.name}-{self.spec.counted}-{extractor.size}-{extractor.sha256[:8]}"

    def features(self, frames: Frames) -> Features:
        """The clip's features, (n, D) float32: n counted frames, or 1.

        Args:
            frames: (F, H, W, 3) uint8 RGB, both keyframes included, F of three or more.
        """
        check_frames(frames)
        return self.extractor(frames[1:-1] if self.spec.counted == "inner" else frames)

    def distance(self, real: NDArray[np.floating], generated: NDArray[np.floating]) -> float:
        """From features (N, D) and (M, D), the rows of all clips below each other; float64 inside."""
        return (kernel_distance if self.spec.formula == "kernel" else frechet_distance)(real, generated)

    def require(self, clips: int) -> None:
        """Raise TooFewClips unless a set of that many clips is enough."""
        if clips < self.spec.minimum:
            raise TooFewClips(f"{self.name} compares sets of {self.spec.minimum} clips or more, got {clips}")

    def update(self, frames: Frames, real: bool) -> None:
        """Take one clip (F, H, W, 3) uint8 into the real or the generated set."""
        features = torch.from_numpy(self.features(frames)).to(self.device)
        if real:
            self.real_features.append(features)
            self.real_clips += 1
        else:
            self.generated_features.append(features)
            self.generated_clips += 1

    def compute(self) -> torch.Tensor:
        """The distance between the two sets, float64. TooFewClips where one is too small."""
        for clips in (self.real_clips, self.generated_clips):
            self.require(int(clips))
        return torch.tensor(
            self.distance(*map(_rows, (self.real_features, self.generated_features))), dtype=torch.float64
        )


def _rows(state: list[torch.Tensor] | torch.Tensor) -> NDArray[np.float32]:
    """A state's features as one array; joined already where processes were synchronised."""
    joined = state if isinstance(state, torch.Tensor) else torch.cat(state)
    return joined.cpu().numpy()
