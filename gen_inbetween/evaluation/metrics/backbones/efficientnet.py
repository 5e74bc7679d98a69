"""Features of EfficientNet-Lite0, a stand-in where FID's own network is not to be had."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from gen_inbetween.evaluation.metrics.backbones.extractors import FrameExtractor
from gen_inbetween.models.backbones.efficientnet import SCALE, SHA256, SHIFT, open_network


class EfficientNetLite0(FrameExtractor):
    """Globally pooled features before the classifier (1280-d), antialiased bilinear resize to 224 x 224."""

    name = "efficientnet_lite0"
    num_features = 1280
    size = 224
    antialias = True
    shift, scale = (SHIFT,) * 3, (SCALE,) * 3
    sha256 = SHA256

    network: Any

    def __init__(self) -> None:
        super().__init__(open_network())

    def features(self, images: Tensor) -> Tensor:
        return self.network.extract_features(images).mean((2, 3))


class EfficientNetLite0Half(EfficientNetLite0):
    """The same at 112 x 112, a quarter of the work: for clips of 64 pixels, which hold no more."""

    size = 112
