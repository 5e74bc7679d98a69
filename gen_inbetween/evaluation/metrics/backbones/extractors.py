"""Feature extractors: uint8 frames or clips in, feature vectors out.

Every extractor takes uint8 RGB frames, as a PNG file holds them: nothing is measured that a viewer could not see. They
are stretched to a square, as FID and FVD do, so a clip's aspect is part of neither.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gen_inbetween.evaluation.metrics.clip_metric import check_frames

Level = Literal["frame", "clip"]
Frames = NDArray[np.uint8]
Features = NDArray[np.float32]


class FeatureExtractor(nn.Module):
    """What turns frames into features. Calls are deterministic, in evaluation mode and without gradients.

    Attributes:
        name: of the network, as metrics spell it.
        num_features: D. size: height and width in pixels that frames are stretched to.
        level: "frame", a row of features for each frame, or "clip", one row for all frames together.
        sha256: of the weights' file.
        version: raised when the same weights give other features; those of an earlier one are computed again.
    """

    name: str
    num_features: int
    size: int
    level: Level = "frame"
    sha256: str
    version: int = 1

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("place", torch.empty(0), persistent=False)  # goes where `.to(device)` sends the network

    @torch.inference_mode()
    def forward(self, frames: Frames) -> Features:
        """Features of (F, H, W, 3) uint8 frames: (F, D) float32, or (1, D) at clip level.

        Raises:
            ValueError: for anything but bytes of that shape, or too few frames for the network.
        """
        check_frames(frames, least=1)
        images = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
        features = self.extract(images.to(self.get_buffer("place").device))
        return np.asarray(features.float().cpu().numpy(), np.float32)

    @abstractmethod
    def extract(self, frames: Tensor) -> Tensor:
        """The same as tensors, from (F, 3, H, W) uint8 on the network's device."""

    def train(self, mode: bool = True) -> FeatureExtractor:
        """Stays in evaluation mode: a measure does not drop out, nor does it learn."""
        return super().train(False)


class FrameExtractor(FeatureExtractor):
    """A network of single pictures: frames in blocks of `block`, resized, then (x - shift) / scale.

    Bilinear resize of float values, half-pixel centres; `antialias` as the subclass says.
    """

    antialias: bool
    shift: tuple[float, float, float]  # grey levels of 0 to 255
    scale: tuple[float, float, float]
    block = 16

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.register_buffer("normalise", torch.tensor([self.shift, self.scale])[..., None, None], persistent=False)
        self.train(False)

    def extract(self, frames: Tensor) -> Tensor:
        return torch.cat([self.features(self._normalise(block)) for block in frames.split(self.block)])

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """(N, D) from (N, 3, size, size) as the network was trained on."""

    def _normalise(self, frames: Tensor) -> Tensor:
        shift, scale = self.get_buffer("normalise")
        return (resize_frames(frames, self.size, antialias=self.antialias) - shift) / scale


def resize_frames(frames: Tensor, size: int, *, antialias: bool) -> Tensor:
    """(N, 3, H, W) uint8 to (N, 3, size, size) float32 in grey levels of 0 to 255: bilinear, half-pixel centres."""
    if frames.shape[-2:] == (size, size):
        return frames.float()
    return nn.functional.interpolate(
        frames.float(), (size, size), mode="bilinear", align_corners=False, antialias=antialias
    )
