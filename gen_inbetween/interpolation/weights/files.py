"""Reading and writing of interpolation weights.

Pickles of PyTorch are read as plain tensors, without running their code; ours are safetensors.

Training scripts save in their own ways; `read_weights` undoes them: a state dict inside of {"model": ...} or
{"state_dict": ...}, Super SloMo's two in one checkpoint, the "module." that a distributed run puts before each name.
"""

from __future__ import annotations

import datetime
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gen_inbetween.interpolation.interpolator import InterpolatorError
from gen_inbetween.runtime.files import replaced, write_json
from gen_inbetween.runtime.outputs import check_output, path_beside

FORMAT_VERSION = 1
HEADER = "gen_inbetween_interpolator"  # the key of our record, JSON, in a safetensors header
FILES = ("flownet.pkl", "flownet_sdi.pkl", "SuperSloMo.ckpt", "interpolator.safetensors")  # looked for in a folder
WRAPPERS = ("model", "state_dict")
SUPER_SLOMO = {"state_dictFC": "flow.", "state_dictAT": "synthesis."}


def weights_file(source: str | Path) -> Path:
    """The file at `source`, or the one in that folder. InterpolatorError: there is none."""
    path = Path(source).expanduser()
    if path.is_dir():
        files = [path / name for name in FILES if (path / name).is_file()]
        files = files or [item for item in sorted(path.iterdir()) if item.suffix in {".pkl", ".pth", ".pt", ".ckpt"}]
        if len(files) != 1:
            names = ", ".join(item.name for item in files) or "none"
            raise InterpolatorError(f"expected one file of weights in the folder {path}, found {names}: give its path")
        return files[0]
    if not path.is_file():
        raise InterpolatorError(f"no file of weights at {path}")
    if path.stat().st_size == 0:
        raise InterpolatorError(f"{path} is empty (0 bytes): get it again")
    return path


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file by their plain names, and our record of them ({} for files of others).

    InterpolatorError: not a file of weights, cut off, or a pickle that holds more than tensors.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        with torch.serialization.safe_globals([datetime.datetime]):  # Super SloMo's checkpoint says when it was made
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InterpolatorError(
            f"{path} cannot be opened as weights: it is damaged, or holds Python objects, whose code would run. "
            "Save its state_dict alone, and give that"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InterpolatorError(f"{path} is not a file of PyTorch weights, or is cut off: get it again") from error
    return plain(content, path), {}


def plain(content: Any, path: Path) -> dict[str, Tensor]:
    """What a training script saved, as one state dict with plain names."""
    if isinstance(content, Mapping) and all(part in content for part in SUPER_SLOMO):
        parts = {prefix: plain(content[part], path) for part, prefix in SUPER_SLOMO.items()}
        return {prefix + name: tensor for prefix, state in parts.items() for name, tensor in state.items()}
    inner = next(
        (key for key in WRAPPERS if isinstance(content, Mapping) and isinstance(content.get(key), Mapping)), None
    )
    if inner is not None:
        return plain(content[inner], path)
    if not isinstance(content, Mapping):
        raise InterpolatorError(f"expected {path} to hold a state dict, found {type(content).__name__}")
    return {str(name).removeprefix("module."): value for name, value in content.items() if isinstance(value, Tensor)}


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            record = json.loads((file.metadata() or {}).get(HEADER, "{}"))
            state = {name.removeprefix("module."): file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, ValueError) as error:
        raise InterpolatorError(f"{path} is not a safetensors file, or is cut off: {error}") from error
    if record.get("format_version", FORMAT_VERSION) > FORMAT_VERSION:
        version = record["format_version"]
        raise InterpolatorError(f"{path} has format version {version}; this release reads {FORMAT_VERSION}: update it")
    if "licence" in record:  # as the headers of version 0.1 spell it
        record["license"] = record.pop("licence")
    return state, record


INTERPOLATOR_FILE = "interpolator.safetensors"  # one of the names that are looked for in a folder


def write_weights(
    path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any], *, overwrite: bool = False
) -> None:
    """A safetensors file with `record` in its header, and the record beside it as JSON for people to read.

    OutputError: one of the two cannot be written, or is somebody else's.
    """
    check_output(path, overwrite=overwrite)
    with replaced(path) as temporary:
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()},
            temporary,
            {HEADER: json.dumps(dict(record))},
        )
    write_json(path_beside(path), dict(record))
