"""Architectures that are trained here, by name, with their sizes.

A file of ours carries {"architecture": ..., all sizes} under "network" in its header. Only that tells Super SloMo as
it is trained here from the published one, whose oddities no tensor shows (`superslomo.py`), and it allows any widths.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gen_inbetween.interpolation.interpolator import InterpolatorError, Kind
from gen_inbetween.interpolation.networks.ifnet import IFNet
from gen_inbetween.interpolation.networks.superslomo import SuperSloMo
from gen_inbetween.interpolation.networks.tiny_di import TinyDI
from gen_inbetween.interpolation.weights.files import FORMAT_VERSION, write_weights
from gen_inbetween.runtime.trust.limits import shorten

WIDEST, DEEPEST = 4096, 64  # the most channels and layers that a file may ask for
INDEX_CHANNELS: dict[Kind, int] = {"midpoint": 0, "time": 1, "index": 1, "time+ref": 5, "index+ref": 5}


@dataclass(frozen=True)
class Architecture:
    """One family of networks."""

    title: str  # as `InterpolatorInfo.architecture` has it
    network: Callable[..., Any]  # its class
    kinds: tuple[Kind, ...]  # what its index input may mean; the first is assumed
    sizes: tuple[str, ...]  # the keywords of its class that say how large it is
    levels: tuple[int, int]  # how many widths there are, least and most


ARCHITECTURES = {
    "tiny-di": Architecture(
        "tiny-di", TinyDI, ("index+ref", "time+ref"), ("widths", "depth", "matching_width", "context_width"), (2, 2)
    ),
    "ifnet": Architecture(
        "IFNet", IFNet, ("time", "midpoint", "index", "index+ref", "time+ref"), ("widths", "depth", "context_width"),
        (3, 3),
    ),
    "superslomo": Architecture("Super SloMo", SuperSloMo, ("time",), ("widths",), (2, 6)),
}  # fmt: skip


def all_sizes(name: str, sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Every size of a network: those given, and the defaults of its class."""
    known = inspect.signature(ARCHITECTURES[name].network).parameters
    return {key: sizes.get(key, known[key].default) for key in ARCHITECTURES[name].sizes}


def build_network(
    name: str, kind: Kind, sizes: Mapping[str, int | Sequence[int]], *, scale: float = 1.0, teacher: bool = False
) -> Any:
    """The network `name` of ARCHITECTURES with random weights.

    Args:
        kind: what its index input means; sizes: any of its `.sizes`, the others as published.
        scale: IFNet's, see there; teacher: with the privileged block of training, for IFNet.

    Raises:
        InterpolatorError: no such network, or a kind, size or scale that it cannot have.
    """
    architecture = ARCHITECTURES.get(name)
    if architecture is None:
        raise InterpolatorError(f"expected an architecture out of {', '.join(ARCHITECTURES)}; got {shorten(name)!r}")
    if kind not in architecture.kinds:
        raise InterpolatorError(f"{name} may be of kind {', '.join(architecture.kinds)}; got {shorten(kind)!r}")
    for key, value in sizes.items():
        if key not in architecture.sizes:
            raise InterpolatorError(f"{name} has no {shorten(key)}; its sizes are {', '.join(architecture.sizes)}")
        _check_size(name, key, value, architecture.levels)
    if name == "ifnet":
        return IFNet(INDEX_CHANNELS[kind], scale=scale, teacher=teacher, **sizes)  # type: ignore[arg-type]
    if scale != 1:
        raise InterpolatorError(f"only RIFE's networks estimate motion at another scale; got scale {scale:g}")
    return architecture.network(**sizes)


def _check_size(name: str, key: str, value: Any, levels: tuple[int, int]) -> None:
    numbers = value if key == "widths" else [value]
    most = DEEPEST if key == "depth" else WIDEST
    whole = isinstance(numbers, (list, tuple)) and all(
        isinstance(number, int) and not isinstance(number, bool) and 0 < number <= most for number in numbers
    )
    if not whole:
        raise InterpolatorError(
            f"expected {key} of {name} in whole numbers from 1 to {most}, got {shorten(repr(value))}"
        )
    if key == "widths" and not levels[0] <= len(numbers) <= levels[1]:
        wanted = f"{levels[0]}" if levels[0] == levels[1] else f"{levels[0]} to {levels[1]}"
        raise InterpolatorError(f"{name} has {wanted} widths; got {list(numbers)}")


def save_interpolator(
    network: nn.Module,
    path: Path,
    *,
    architecture: str,
    kind: Kind,
    sizes: Mapping[str, Any],
    dtype: torch.dtype,
    about: Mapping[str, Any],
) -> None:
    """Write what inference needs of `network` as safetensors, and what it is as JSON in its header and beside it.

    Args:
        network: as `build_network(architecture, kind, sizes)` makes it; a teacher's block is left out.
        dtype: of the weights in the file; they are opened as float32.
        about: version and licence, and how the weights were made.
    """
    with torch.device("meta"):
        wanted = build_network(architecture, kind, sizes)
    state = network.state_dict()
    tensors = {name: state[name].detach().cpu().to(dtype) for name in wanted.state_dict()}
    record = {
        "format_version": FORMAT_VERSION,
        "architecture": ARCHITECTURES[architecture].title,
        "kind": kind,
        "multiple": wanted.multiple,
        "parameters": sum(tensor.numel() for tensor in wanted.parameters()),
        "network": {"architecture": architecture, **all_sizes(architecture, sizes)},
        **about,
    }
    write_weights(path, tensors, record)
