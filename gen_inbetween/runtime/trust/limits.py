"""Limits of files from strangers, checked before anything is run or inflated.

What they promise together is said in SECURITY.md.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

if TYPE_CHECKING:
    from torch import Tensor

TRUST_VARIABLE = "GEN_INBETWEEN_TRUST"
LONGEST_JSON = 16 * 2**20  # bytes: the header of a large model has half a million
LONGEST_CONFIG = 2**20  # bytes of a file of JSON; a configuration has a few thousand
INFLATION = 4  # times its own size that an archive of weights may come to; torch's own are not compressed at all
LARGEST_WEIGHT = 1e4  # of a tensor; trained weights stay below 100
SHOWN = 100  # letters of a name from a file that a message shows
_trusting: ContextVar[bool] = ContextVar("trusting", default=False)


class UntrustedError(ValueError):
    """A file that asks for more than one from a stranger may have; the message says what, and what to do."""


def programs_are_trusted() -> bool:
    """Whether files that are programs, such as TorchScript, may be run: by `--trust`, `trusting_programs` or $TRUST."""
    return _trusting.get() or os.environ.get(TRUST_VARIABLE) == "1"


@contextmanager
def trusting_programs(trust: bool = True) -> Iterator[None]:
    """Let files that are programs be run for the time of a `with`."""
    before = _trusting.set(trust or _trusting.get())
    try:
        yield
    finally:
        _trusting.reset(before)


def check_archive(path: Path) -> None:
    """That a zip archive, as torch saves weights, inflates to about what it is; other files pass. Reads its index only.

    Raises:
        UntrustedError: it would take many times its size, or its index cannot be read.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            inflated = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise UntrustedError(f"{path} is a damaged archive ({error}): get it again") from error
    size = path.stat().st_size
    if inflated > INFLATION * size:
        raise UntrustedError(
            f"{path} has {size / 1e6:.1f} MB and would inflate to {inflated / 1e6:.0f} MB: weights are not packed like "
            "that, so it was not opened; get it from where it was published"
        )


def open_tensors(path: str | os.PathLike[str]) -> Any:
    """`safetensors.safe_open`, unless the header is so long that reading it alone would fill the memory.

    Raises:
        SafetensorError: it is; or the file is none, or is cut off. OSError: it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > LONGEST_JSON:
        raise SafetensorError(f"its header has {length / 1e6:.0f} MB; expected {LONGEST_JSON / 1e6:.0f} at most")
    if length < len("{}"):  # a hole of a file, which may be too long to be mapped
        raise SafetensorError("it has no header")
    return safe_open(path, framework="pt")


def parse_object(text: str | bytes, where: str, longest: int = LONGEST_JSON) -> dict[str, Any]:
    """A JSON object from a file of somebody else's; UntrustedError: it is none, too long or nested too deeply."""
    if len(text) > longest:
        raise UntrustedError(f"{where} has more than {longest / 1e6:.0f} MB of JSON, which it does not need")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UntrustedError(f"{where} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise UntrustedError(f"{where}: expected a JSON object, got {type(content).__name__}")
    return content


def read_object(path: Path) -> dict[str, Any]:
    """`parse_object` of a file."""
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_CONFIG + 1)
    except OSError as error:
        raise UntrustedError(f"{path} cannot be read: {error.strerror or error}") from error
    return parse_object(content, str(path), LONGEST_CONFIG)


def checked(shape: TypeAdapter[Any], content: Mapping[str, Any], where: str) -> Any:
    """`content` if it has the shape, nothing converted; UntrustedError names the first key that is wrong."""
    try:
        return shape.validate_python(content, strict=True)
    except (ValidationError, RecursionError) as error:
        what = "nested too deeply"
        if isinstance(error, ValidationError):
            problem = error.errors()[0]
            place = ".".join(map(str, problem["loc"]))
            what = f"{place}: {problem['msg']}, got {problem['input']!r}" if place else problem["msg"]
        raise UntrustedError(f"{where}: {shorten(what, 3 * SHOWN)}") from None


def check_weights(tensors: Mapping[str, Tensor], where: object) -> None:
    """That tensors are weights: real floating-point numbers, all of them finite and none absurdly large.

    Raises:
        UntrustedError: naming the first that is not.
    """
    for name, tensor in tensors.items():
        problem = _problem_of(tensor)
        if problem:
            raise UntrustedError(f"{where}: {shorten(name)} {problem}; these are no weights that anybody trained")


def _problem_of(tensor: Tensor) -> str | None:
    import torch

    if not tensor.is_floating_point() or tensor.layout is not torch.strided:
        return f"holds {str(tensor.dtype).removeprefix('torch.')} ({str(tensor.layout).removeprefix('torch.')})"
    if not tensor.numel() or 0 in tensor.stride() or tensor.is_meta:
        # Nothing in it, or one number repeated: it takes no room in a file, and would in memory.
        tensor = tensor.flatten()[:1] if tensor.numel() and not tensor.is_meta else tensor.new_zeros(1, device="cpu")
    try:
        largest = float(tensor.detach().float().abs().max())
    except RuntimeError:  # a packed type, such as float4, which torch can hold and not compute with
        return f"holds {str(tensor.dtype).removeprefix('torch.')}"
    if not largest <= LARGEST_WEIGHT:  # written so that NaN is caught, too
        return f"holds {largest:g}" if largest == largest else "holds NaN"
    return None


def shorten(text: object, letters: int = SHOWN) -> str:
    """A name from a file, for a message: on one line, of at most so many letters.

    >>> shorten("a\\nb" + "c" * 200, 8)
    'a bcccc...'
    """
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in str(text)).split())
    return line if len(line) <= letters else line[: letters - 1].rstrip() + "..."
