"""Write the weights of an interpolator trained here, for `load_interpolator` to open."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..atomic import replaced
from .architectures import ARCHITECTURES, all_sizes, build_network
from .interpolator import Kind
from .weights_files import FORMAT_VERSION, HEADER

INTERPOLATOR_FILE = "interpolator.safetensors"  # one of the names that are looked for in a folder


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


def write_weights(path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """A safetensors file with `record` in its header, and the record beside it as .json for people to read."""
    with replaced(path) as temporary:
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()},
            temporary,
            {HEADER: json.dumps(dict(record))},
        )
    with replaced(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(dict(record), indent=2) + "\n", encoding="utf-8")
