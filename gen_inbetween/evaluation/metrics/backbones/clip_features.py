"""Clip-level features, summarised from the features of its frames.

Where no video network can be had, motion can still be read off the path f_0 ... f_{F-1} that a clip draws in the
feature space of a picture network. Three parts, all in the units of the features, so that none drowns the others:

    seen     = mean_t f_t                                        blind to order
    goes     = mean of the later half - mean of the earlier one  turns round with the clip
    travels  = mean_t |f_{t+1} - f_t| sqrt(F - 1)                grows with shuffling, flicker and detours;
                                                                 shrinks where a clip stands still

Two clips with the same set of frames in another order have the same `seen` and different `travels`. A clip and its
reverse differ in `goes` alone. F - 1 steps in random directions lead sqrt(F - 1) steps away: the root keeps `travels`
of the size of the others for short clips and long ones. Frames are projected to 32 dimensions first: a covariance of
3 x 32 features can be estimated from the 100 to 300 clips of a usual list, one of 3 x 384 cannot. The projection is
random and fixed; it keeps squared distances on average (Johnson & Lindenstrauss 1984). The result is not FVD, nor is it
called so.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gen_inbetween.evaluation.metrics.backbones.extractors import FeatureExtractor

KEPT = 32


def projection(num_features: int) -> Tensor:
    """The (num_features, KEPT) matrix of signs over the root of KEPT; the same on every machine, for good.

    NumPy promises that the stream of RandomState never changes; it does not for its newer generators.
    """
    signs = np.random.RandomState(0).randint(0, 2, (num_features, KEPT)) * 2 - 1
    return torch.from_numpy(signs / np.sqrt(KEPT)).float()


def summarise(path: Tensor) -> Tensor:
    """(F, K) features along a clip of two frames or more to (3 K): seen, goes, travels."""
    half = len(path) // 2
    goes = path[len(path) - half :].mean(0) - path[:half].mean(0)
    travels = path.diff(dim=0).abs().mean(0) * (len(path) - 1) ** 0.5
    return torch.cat([path.mean(0), goes, travels])


class ClipFeatures(FeatureExtractor):
    """`summarise` on top of a frame extractor, whose size and weights it has."""

    num_features = 3 * KEPT
    level = "clip"

    def __init__(self, of_frames: FeatureExtractor) -> None:
        super().__init__()
        self.of_frames = of_frames
        self.name, self.size, self.sha256 = f"clip_{of_frames.name}", of_frames.size, of_frames.sha256
        self.register_buffer("projection", projection(of_frames.num_features), persistent=False)

    def extract(self, frames: Tensor) -> Tensor:
        if len(frames) < 2:
            raise ValueError(f"{self.name} describes a clip of two frames or more, got {len(frames)}")
        features = self.of_frames.extract(frames)
        return summarise(features @ self.get_buffer("projection"))[None]
