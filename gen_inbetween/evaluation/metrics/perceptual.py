"""Perceptual distances between generated and true frames, at native size."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from gen_inbetween.evaluation.metrics.backbones.lpips import Lpips, squared_difference
from gen_inbetween.evaluation.metrics.clip_metric import ClipMetric, Family, Sample
from gen_inbetween.models.backbones.efficientnet import SCALE, SHIFT, feature_maps, open_network

AT_ONCE = 1024 * 576  # maps of a VGG16 take a gigabyte for that many pixels


class PerceptualDistance(ClipMetric):
    """Mean over the inner frames of `between`, as many at once as have AT_ONCE pixels."""

    unit, better, needs = "", "lower", frozenset({"truth"})
    family: ClassVar[Family] = "Against the true clip, as a network sees it"

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @abstractmethod
    def between(self, frames: Tensor, truth: Tensor) -> Tensor:
        """(N,) distances of (N, 3, H, W) float32 pictures in grey levels of 0 to 255."""

    @torch.inference_mode()
    def score(self, sample: Sample) -> float:
        assert sample.truth is not None  # `needs`
        inner = (torch.from_numpy(clip[1:-1]).permute(0, 3, 1, 2) for clip in (sample.frames, sample.truth))
        frames, truth = (clip.split(max(1, AT_ONCE // clip[0, 0].numel())) for clip in inner)
        distances = [
            self.between(*(images.to(self.device, torch.float32) for images in pair))
            for pair in zip(frames, truth, strict=True)
        ]
        return float(torch.cat(distances).double().mean())


class LpipsAlex(PerceptualDistance):
    """LPIPS 0.1 with AlexNet, inner frames against the true ones; 0 for the same picture, about 0.7 for unlike ones."""

    name = "lpips_alex[inner]"
    trunk = "alex"

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__(Lpips(self.trunk, weights))

    def between(self, frames: Tensor, truth: Tensor) -> Tensor:
        return self.network(frames / 127.5 - 1, truth / 127.5 - 1)


class LpipsVgg(LpipsAlex):
    """LPIPS 0.1 with VGG16, inner frames against the true ones; 0 for the same picture, about 0.7 for unlike ones."""

    name = "lpips_vgg[inner]"
    trunk = "vgg"


class EfficientNetDistance(PerceptualDistance):
    """Unweighted perceptual distance on EfficientNet-Lite0, inner frames against the true ones; not LPIPS.

    Like LPIPS without learned heads: at five depths, the squared distance of the unit feature vectors (0 to 4),
    averaged over all places and depths. Its scale is its own.
    """

    name = "pd_efficientnet_lite0[inner]"

    def __init__(self) -> None:
        super().__init__(open_network())

    def between(self, frames: Tensor, truth: Tensor) -> Tensor:
        maps = (feature_maps(self.network, (images - SHIFT) / SCALE) for images in (frames, truth))
        depths = [squared_difference(*pair).sum(1).mean((1, 2)) for pair in zip(*maps, strict=True)]
        return torch.stack(depths).mean(0)


METRICS = (LpipsAlex, LpipsVgg, EfficientNetDistance)
