"""I3D of Kinetics-400 for FVD (Unterthiner et al. 2018).

The TorchScript file is that of StyleGAN-V, which most papers use. The file holds code and weights; it resizes
(bilinear, 224 x 224) and rescales by itself. Its content is known by hash before any of it is run. TATS'
`i3d_pretrained_400.pt` is the same network with a resize of its own; it is not offered, so that FVD with I3D has one
meaning here.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from gen_inbetween.evaluation.metrics.backbones.extractors import FeatureExtractor
from gen_inbetween.models.backbones.weights import CLIP_STAND_INS, WeightsFile

FILE = WeightsFile(
    network="FVD's I3D",
    names=("i3d_torchscript.pt",),
    url="https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt?dl=1",
    sha256="bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2",
    megabytes=51,
    instead=CLIP_STAND_INS,
)
LEAST_FRAMES = 9  # time is halved three times, rounded up, and the last pool looks at two


class I3D(FeatureExtractor):
    """The 400 values before the softmax, for a clip of any length from nine frames on."""

    name = "i3d"
    num_features = 400
    size = 224
    level = "clip"
    sha256 = FILE.sha256

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        self.network = torch.jit.load(FILE.resolve(weights), map_location="cpu").eval()

    def extract(self, frames: Tensor) -> Tensor:
        if len(frames) < LEAST_FRAMES:
            raise ValueError(f"I3D reads clips of {LEAST_FRAMES} frames or more, got {len(frames)}")
        clip = frames.permute(1, 0, 2, 3)[None].float()
        return self.network(clip, rescale=True, resize=True, return_features=True)
