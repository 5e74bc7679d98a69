"""LPIPS 0.1 (Zhang et al. 2018) in plain torch.

At five depths, the feature vectors of both pictures are scaled to unit length, subtracted, squared, weighted by a head
with one weight a channel, and averaged over all places; the distance is the sum over the depths. The heads come with
torchmetrics; the trunks are torchvision's files, which need no torchvision to be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor, nn

from gen_inbetween.models.backbones.trunks import TRUNKS, Trunk, normalised, open_trunk


class Lpips(nn.Module):
    """LPIPS on the trunk "alex" or "vgg". Weights are looked for as `WeightsFile.resolve` says."""

    def __init__(self, name: str, weights: str | Path | None = None) -> None:
        super().__init__()
        trunk = TRUNKS[name]
        self.taps = trunk.taps
        self.layers = open_trunk(trunk, weights)
        self.heads = nn.ParameterList(read_heads(trunk))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor, others: Tensor) -> Tensor:
        """(N,) distances of (N, 3, H, W) float32 pictures in [-1, 1], H and W of 32 or more."""
        depths = zip(self.maps(images), self.maps(others), self.heads, strict=True)
        distances = [(squared_difference(a, b) * head).sum(1).mean((1, 2)) for a, b, head in depths]
        return torch.stack(distances).sum(0)

    def maps(self, images: Tensor) -> Iterator[Tensor]:
        """The feature maps at the taps."""
        x = normalised(images)
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in self.taps:
                yield x


def squared_difference(maps: Tensor, others: Tensor) -> Tensor:
    """(N, C, h, w) squared differences after each place's vector of channels is scaled to unit length."""
    first, second = (x / (x.square().sum(1, keepdim=True) + 1e-8).sqrt() for x in (maps, others))
    return (first - second).square()


def read_heads(trunk: Trunk) -> Iterable[nn.Parameter]:
    """The learned weights of the channels at each tap, (C, 1, 1), as torchmetrics carries them."""
    with (files("torchmetrics.functional.image") / "lpips_models" / trunk.head).open("rb") as file:
        state = torch.load(file, map_location="cpu", weights_only=True)
    return [nn.Parameter(state[f"lin{tap}.model.1.weight"][0]) for tap in range(len(trunk.taps))]
