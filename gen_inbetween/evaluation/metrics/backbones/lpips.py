"""LPIPS 0.1 (Zhang et al. 2018) in plain torch.

At five depths, the feature vectors of both pictures are scaled to unit length, subtracted, squared, weighted by a head
with one weight a channel, and averaged over all places; the distance is the sum over the depths. The heads come with
torchmetrics; the trunks are torchvision's files, which need no torchvision to be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor, nn

from gen_inbetween.evaluation.metrics.backbones.weights import WeightsFile

Layer = tuple[int, int, int, int] | int  # outputs, kernel, stride, padding of a convolution; kernel of a pool


@dataclass(frozen=True)
class Trunk:
    """A picture network up to its last ReLU, as torchvision numbers its layers."""

    file: WeightsFile
    head: str  # the file of torchmetrics
    taps: tuple[int, ...]  # layers after which features are compared
    layers: tuple[Layer, ...]


def _vgg_layers() -> Iterator[Layer]:
    for outputs, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        yield from [(outputs, 3, 1, 1)] * repeats
        yield 2


def torchvision_file(network: str, name: str, sha256: str, megabytes: int) -> WeightsFile:
    """A trunk's file as torchvision publishes it."""
    url = f"https://download.pytorch.org/models/{name}"
    return WeightsFile(network, (name,), url, sha256, megabytes, instead="pd_efficientnet_lite0[inner]")


TRUNKS = {
    "alex": Trunk(
        torchvision_file(
            "LPIPS' AlexNet",
            "alexnet-owt-7be5be79.pth",
            "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
            244,
        ),
        "alex.pth",
        (1, 4, 7, 9, 11),
        ((64, 11, 4, 2), 3, (192, 5, 1, 2), 3, (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1)),
    ),
    "vgg": Trunk(
        torchvision_file(
            "LPIPS' VGG16",
            "vgg16-397923af.pth",
            "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            553,
        ),
        "vgg.pth",
        (3, 8, 15, 22, 29),
        tuple(_vgg_layers())[:-1],
    ),
}


def build(trunk: Trunk) -> nn.Sequential:
    """The trunk's layers; names and shapes are those of torchvision's `features`."""
    layers: list[nn.Module] = []
    inputs = 3
    for layer in trunk.layers:
        if isinstance(layer, int):
            layers.append(nn.MaxPool2d(layer, 2))
        else:
            layers += [nn.Conv2d(inputs, *layer), nn.ReLU()]
            inputs = layer[0]
    return nn.Sequential(*layers)


class Lpips(nn.Module):
    """LPIPS on the trunk "alex" or "vgg". Weights are looked for as `WeightsFile.resolve` says."""

    def __init__(self, name: str, weights: str | Path | None = None) -> None:
        super().__init__()
        trunk = TRUNKS[name]
        self.taps = trunk.taps
        with torch.device("meta"):
            self.layers = build(trunk)
        state = torch.load(trunk.file.resolve(weights), map_location="cpu", weights_only=True)
        features = {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}
        self.layers.load_state_dict(features, assign=True)
        self.heads = nn.ParameterList(read_heads(trunk))
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[:, None, None], persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor, others: Tensor) -> Tensor:
        """(N,) distances of (N, 3, H, W) float32 pictures in [-1, 1], H and W of 32 or more."""
        depths = zip(self.maps(images), self.maps(others), self.heads, strict=True)
        distances = [(squared_difference(a, b) * head).sum(1).mean((1, 2)) for a, b, head in depths]
        return torch.stack(distances).sum(0)

    def maps(self, images: Tensor) -> Iterator[Tensor]:
        """The feature maps at the taps."""
        x = (images - self.get_buffer("shift")) / self.get_buffer("scale")
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
