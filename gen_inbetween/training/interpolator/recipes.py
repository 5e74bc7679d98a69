"""Training recipes of the interpolation networks: inputs and losses.

tiny-di        exact motion on every flow (`losses.tiny_di_loss`), moving layers only
IFNet          RIFE's privileged distillation: the frame, the teacher's frame, and the teacher's flow where it is better
Super SloMo    as published; its perceptual term where VGG16 is given
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, cat, nn

from gen_inbetween.interpolation.interpolator import InterpolatorError, Kind
from gen_inbetween.interpolation.networks.estimate import Estimate
from gen_inbetween.interpolation.networks.superslomo import MEAN
from gen_inbetween.interpolation.weights.files import read_weights, weights_file
from gen_inbetween.training.interpolator.losses import DISTILLATION, rife_loss, super_slomo_loss, tiny_di_loss
from gen_inbetween.training.interpolator.moving_layers import Triplets
from gen_inbetween.training.interpolator.settings import Run
from gen_inbetween.training.interpolator.video_triplets import VideoTriplets

log = logging.getLogger("gen_inbetween")

ANY_TIME_DISTILLATION = 0.002  # RIFEm and InterpAny-Clearer: where t varies, the teacher moves more
VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512)  # convolutions up to conv4_3; 0: halve
Batch = TypeVar("Batch", bound=Triplets | VideoTriplets)


@dataclass(frozen=True)
class Recipe:
    """given: what the network is called with beside frames and index, for triplets at 1 / small of their size."""

    given: Callable[[Any, int], tuple[Any, ...]]
    loss: Callable[[Estimate, Any], Tensor]


def open_recipe(run: Run, device: torch.device) -> Recipe:
    """The recipe of a checked run. InterpolatorError: `vgg16` is not torchvision's."""
    if run.network.architecture == "tiny-di":
        return Recipe(lambda triplets, small: (small,), partial(_exact_loss, run.flow_power))
    if run.network.architecture == "ifnet":
        weight = DISTILLATION if run.network.kind == "midpoint" else ANY_TIME_DISTILLATION
        weight = weight if run.distillation is None else run.distillation
        return Recipe(
            lambda triplets, small: (triplets.target,),
            lambda estimate, triplets: rife_loss(estimate, triplets.target, weight),
        )
    features = None if run.vgg16 is None else vgg16_features(run.vgg16, device)
    if features is None:
        log.warning("no vgg16 given: Super SloMo is trained without its perceptual term, so its frames are softer")
    return Recipe(
        lambda triplets, small: (),
        lambda estimate, triplets: super_slomo_loss(triplets.a, triplets.b, estimate, triplets.target, features),
    )


def _exact_loss(power: float, estimate: Estimate, triplets: Triplets) -> Tensor:
    return tiny_di_loss(estimate, triplets.target, triplets.flow, triplets.between, triplets.seen_between, power)


def index_input(triplets: Triplets | VideoTriplets, kind: Kind) -> Tensor | None:
    """What stands behind the two frames in a network's input: None, the map, or [D, D_ref, I_ref] (B, 5, S, S)."""
    if kind == "midpoint":
        return None
    now, then = triplets.index, triplets.reference_index
    if kind.startswith("time"):
        now, then = triplets.time.expand_as(now), triplets.reference_time.expand_as(then)
    return cat((now, then, triplets.reference), 1) if kind.endswith("+ref") else now


def to_device(triplets: Batch, device: torch.device) -> Batch:
    """The same triplets with every tensor on `device`."""
    return replace(triplets, **{item.name: getattr(triplets, item.name).to(device) for item in fields(triplets)})


def vgg16_features(weights: Path, device: torch.device) -> Callable[[Tensor], Tensor]:
    """VGG16 up to conv4_3, frames (B, 3, H, W) in [0, 1] -> (B, 512, H / 8, W / 8), from torchvision's own file.

    The published code shows it frames less the mean of Adobe240 and divides by nothing; the weight of its loss goes
    with that. InterpolatorError: the file does not hold that network.
    """
    layers: list[nn.Module] = []
    channels = 3
    for width in VGG16:
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()] if width else [nn.MaxPool2d(2)]
        channels = width or channels
    network = nn.Sequential(*layers[:-1])  # conv4_3 itself, before it is rectified
    state = {name.removeprefix("features."): value for name, value in read_weights(weights_file(weights))[0].items()}
    try:
        network.load_state_dict({name: state[name] for name in network.state_dict()})
    except (KeyError, RuntimeError) as error:
        raise InterpolatorError(
            f"expected torchvision's VGG16 (vgg16-397923af.pth), {weights} is not: {error}"
        ) from error
    network = network.to(device).eval().requires_grad_(False)
    mean = torch.tensor(MEAN, device=device).view(1, 3, 1, 1)
    return lambda frames: network(frames - mean)
