"""Feature extractors by name, each opened once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

from gen_inbetween.evaluation.metrics.backbones.clip_features import ClipFeatures
from gen_inbetween.evaluation.metrics.backbones.extractors import FeatureExtractor

NETWORKS = {  # loaded when asked for: some bring transformers, some a package that may be missing
    "inception": ("inception", "Inception"),
    "i3d": ("i3d", "I3D"),
    "videomae": ("videomae", "VideoMAE"),
    "dinov2s": ("dinov2", "DinoV2Small"),
    "efficientnet_lite0": ("efficientnet", "EfficientNetLite0"),
    "efficientnet_lite0_half": ("efficientnet", "EfficientNetLite0Half"),
}


@cache
def open_extractor(name: str) -> FeatureExtractor:
    """The extractor of that name with its published weights. Metrics that ask for the same one share it.

    Args:
        name: "inception", "i3d", "videomae", "dinov2s", "efficientnet_lite0", "efficientnet_lite0_half" (smaller
            pictures), or "clip_" and one of the last three.

    Raises:
        MissingWeights, ImportError: where its file or its package is missing.
    """
    if name.startswith("clip_"):
        return ClipFeatures(open_extractor(name.removeprefix("clip_")))
    module, attribute = NETWORKS[name]
    make: Callable[[], FeatureExtractor] = getattr(import_module(f".{module}", __package__), attribute)
    return make()
