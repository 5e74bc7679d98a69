"""Reading and writing of interpolation weights.

Pickles of PyTorch are read as plain tensors, without running their code; ours are safetensors.

Training scripts save in their own ways; `read_weights` undoes them: a state dict inside of {"model": ...} or
{"state_dict": ...}, Super SloMo's two in one checkpoint, the "module." that a distributed run puts before each name.
"""

from __future__ import annotations

import datetime
import json
import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import ConfigDict, Field, TypeAdapter
from safetensors import SafetensorError
from torch import Tensor
from typing_extensions import NotRequired, TypedDict

from gen_inbetween.interpolation.interpolator import InterpolatorError
from gen_inbetween.runtime.files import save_tensors, write_json
from gen_inbetween.runtime.outputs import check_output, path_beside
from gen_inbetween.runtime.trust.limits import (
    UntrustedError,
    check_archive,
    check_weights,
    checked,
    open_tensors,
    parse_object,
    shorten,
)

FORMAT_VERSION = 1
HEADER = "gen_inbetween_interpolator"  # the key of our record, JSON, in a safetensors header
INTERPOLATOR_FILE = "interpolator.safetensors"
FILES = ("flownet.pkl", "flownet_sdi.pkl", "SuperSloMo.ckpt", INTERPOLATOR_FILE)  # looked for in a folder
COUNTERS = ("num_batches_tracked",)  # what torch keeps beside weights, whole numbers
WRAPPERS = ("model", "state_dict")
SUPER_SLOMO = {"state_dictFC": "flow.", "state_dictAT": "synthesis."}


class Record(TypedDict):
    """What is read of our record; its sizes are checked where the network is built."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    format_version: NotRequired[Annotated[int, Field(ge=1)]]
    network: NotRequired[dict[str, Any]]
    kind: NotRequired[str]
    version: NotRequired[str]
    license: NotRequired[str]
    licence: NotRequired[str]


RECORD_SHAPE: TypeAdapter[Record] = TypeAdapter(Record)


def weights_file(source: str | Path) -> Path:
    """The file at `source`, or the one in that folder. InterpolatorError: there is none."""
    path = Path(os.path.expanduser(source))
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
        state, record = _read_safetensors(path)
    else:
        state, record = plain(_unpickled(path), path), {}
    with as_interpolator_errors():
        check_weights({name: tensor for name, tensor in state.items() if not name.endswith(COUNTERS)}, path)
    return state, record


def _unpickled(path: Path) -> Any:
    with as_interpolator_errors():
        check_archive(path)
    try:
        with torch.serialization.safe_globals([datetime.datetime]):  # Super SloMo's checkpoint says when it was made
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InterpolatorError(
            f"{path} cannot be opened as weights: it is damaged, or holds Python objects, whose code would run. "
            "Save its state_dict alone, and give that"
        ) from error
    except Exception as error:  # a pickle that is cut off, or is something else, fails in many ways
        raise InterpolatorError(f"{path} is not a file of PyTorch weights, or is cut off: get it again") from error


@contextmanager
def as_interpolator_errors() -> Iterator[None]:
    """Whatever is wrong with a file from a stranger is an InterpolatorError."""
    try:
        yield
    except UntrustedError as error:
        raise InterpolatorError(str(error)) from error


def plain(content: Any, path: Path, depth: int = 0) -> dict[str, Tensor]:
    """What a training script saved, as one state dict with plain names."""
    if depth > 4:
        raise InterpolatorError(f"expected {path} to hold a state dict, found mappings in mappings in mappings")
    if isinstance(content, Mapping) and all(part in content for part in SUPER_SLOMO):
        parts = {prefix: plain(content[part], path, depth + 1) for part, prefix in SUPER_SLOMO.items()}
        return {prefix + name: tensor for prefix, state in parts.items() for name, tensor in state.items()}
    inner = next(
        (key for key in WRAPPERS if isinstance(content, Mapping) and isinstance(content.get(key), Mapping)), None
    )
    if inner is not None:
        return plain(content[inner], path, depth + 1)
    if not isinstance(content, Mapping):
        raise InterpolatorError(f"expected {path} to hold a state dict, found {type(content).__name__}")
    return {str(name).removeprefix("module."): value for name, value in content.items() if isinstance(value, Tensor)}


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with open_tensors(path) as file:
            text = (file.metadata() or {}).get(HEADER, "{}")
            state = {name.removeprefix("module."): file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, ValueError, OSError, RuntimeError, TypeError) as error:  # RuntimeError: no such dtype here
        raise InterpolatorError(f"{path} is not a safetensors file, or is cut off: {shorten(error, 300)}") from error
    with as_interpolator_errors():
        record = checked(RECORD_SHAPE, parse_object(text, f"{path}: its header"), f"{path}: its header")
    if record.get("format_version", FORMAT_VERSION) > FORMAT_VERSION:
        version = record["format_version"]
        raise InterpolatorError(f"{path} has format version {version}; this release reads {FORMAT_VERSION}: update it")
    if "licence" in record:  # as the headers of version 0.1 spell it
        record["license"] = record.pop("licence")
    return state, record


def write_weights(
    path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any], *, overwrite: bool = False
) -> None:
    """A safetensors file with `record` in its header, and the record beside it as JSON for people to read.

    OutputError: one of the two cannot be written, or is somebody else's.
    """
    check_output(path, overwrite=overwrite)
    save_tensors(path, tensors, {HEADER: json.dumps(dict(record))})
    write_json(path_beside(path), dict(record))
