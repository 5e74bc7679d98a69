"""AlexNet and VGG16 up to their last ReLU, from torchvision's files, without torchvision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from gen_inbetween.models.backbones.weights import WeightsFile

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # LPIPS' rounding of ImageNet's mean and deviation
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


def open_trunk(trunk: Trunk, weights: str | Path | None = None) -> nn.Sequential:
    """The trunk with its weights, which are looked for as `WeightsFile.resolve` says."""
    with torch.device("meta"):
        layers = build(trunk)
    state = torch.load(trunk.file.resolve(weights), map_location="cpu", weights_only=True)
    features = {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}
    layers.load_state_dict(features, assign=True)
    return layers


def normalised(images: Tensor) -> Tensor:
    """ImageNet's mean and deviation, of (N, 3, H, W) pictures in [-1, 1]."""
    shift, scale = (images.new_tensor(values)[:, None, None] for values in (SHIFT, SCALE))
    return (images - shift) / scale
