"""Small interpolators, frames and published layouts of weights that several tests share."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import torch
from torch import Tensor

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.interpolation import InterpolatorInfo
from gen_inbetween.interpolation.networks.adapter import NetworkInterpolator
from gen_inbetween.interpolation.networks.ifnet import IFNet
from gen_inbetween.interpolation.networks.superslomo import SuperSloMo
from gen_inbetween.interpolation.weights.detect import on_meta

TINY = {"widths": (8, 8, 4), "depth": 1, "context_width": 2}
KIND_OF = {0: "midpoint", 1: "index", 5: "index+ref"}
ALL = ["blend", "nearest", "dis", "dis-splat", 0, 1, 5]


def psnr(image: Tensor, truth: Tensor) -> float:
    return float(-10 * (image - truth).square().mean().log10())


def clip_tensor(seed: int, num_frames: int = 5) -> tuple[Tensor, Tensor]:
    """Frames (F, 3, H, W) in [0, 1] and exact flow (F - 1, 2, H, W)."""
    clip = make_clip(seed, num_frames=num_frames)
    return torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(clip.flow)


def network_interpolator(index_channels: int, kind: str | None = None) -> NetworkInterpolator:
    torch.manual_seed(0)
    network = IFNet(index_channels, **TINY).eval()
    info = InterpolatorInfo("tiny", "IFNet", "tiny", kind or KIND_OF[index_channels], network.multiple, "none")
    return NetworkInterpolator(network, info, torch.device("cpu"))


def frames(count: int, height: int = 20, width: int = 33, batch: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(batch, 3, height, width, generator=generator) for _ in range(count)]


def hollow(shapes: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """Tensors of these shapes that take no room, in memory or in a file: one zero, repeated."""
    return {prefix + name: torch.zeros(1).expand(tensor.shape) for name, tensor in shapes.items()}


def published(index_channels: int = 1, prefix: str = "module.") -> dict[str, Tensor]:
    return hollow(on_meta(lambda: IFNet(index_channels, teacher=True)).state_dict(), prefix)


def slomo_checkpoint() -> dict[str, object]:
    network = on_meta(SuperSloMo)
    return {
        "Detail": "End to end Super SloMo.",
        "epoch": 199,
        "timestamp": datetime.datetime(2018, 12, 6, 12, 0),
        "trainBatchSz": 6,
        "learningRate": 1e-6,
        "loss": [[0.5]],
        "state_dictFC": hollow(network.flow.state_dict()),
        "state_dictAT": hollow(network.synthesis.state_dict()),
    }
