"""SHA-256 of files, JSON values, images, arrays and tensors.

Each is of what matters alone: an image's pixels and not its metadata, a tensor's values and not its layout.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # hashing JSON does not wait for torch
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image
    from torch import Tensor


def text_sha256(text: str) -> str:
    """Hash of a text's UTF-8 bytes.

    >>> text_sha256("a")[:8]
    'ca978112'
    """
    return hashlib.sha256(text.encode()).hexdigest()


def json_sha256(value: Any) -> str:
    """Hash of a JSON value; the order of keys does not matter.

    >>> json_sha256({"a": 1, "b": [2.5]}) == json_sha256({"b": [2.5], "a": 1})
    True
    """
    return text_sha256(json.dumps(value, sort_keys=True))


def short_hash(value: Any) -> str:
    """The first eight digits of `json_sha256`, for the names of files.

    >>> short_hash([1, 2])
    '3a316d6d'
    """
    return json_sha256(value)[:8]


def file_sha256(path: Path) -> str:
    """Hash of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


FileState = tuple[int, int, int, int]
SETTLED = 2.0  # seconds: how coarse the times of a file system may be


class ChangedFileError(ValueError):
    """A file that was written or replaced while it was being read."""


def file_state(path: Path) -> FileState:
    """What shows that a file was written or replaced: inode, size, and the times of its content and of its record.

    The last of them is set by the system at every change and by nothing else, so it tells a file whose other times were
    put back.
    """
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def is_settled(state: FileState) -> bool:
    """Whether the file has been left alone for so long that another change would show in its times."""
    return time.time() - state[-1] / 1e9 > SETTLED


@contextmanager
def unchanged(*paths: Path) -> Iterator[None]:
    """For the time of a `with` in which files are read and hashed: both are of the same content.

    Raises:
        ChangedFileError: at its end, if one of them was written or replaced meanwhile.
    """
    before = [file_state(path) for path in paths]
    yield
    for path, state in zip(paths, before, strict=True):
        if not path.exists() or file_state(path) != state:
            raise ChangedFileError(f"{path} was changed while it was being read: try again when it is whole")


def cached_file_sha256(path: Path) -> str:
    """`file_sha256`, kept for this process as long as the file's state stays the same."""
    state = file_state(path)
    return _cached_file_sha256(path, state) if is_settled(state) else file_sha256(path)


@lru_cache(maxsize=4096)
def _cached_file_sha256(path: Path, state: FileState) -> str:
    return file_sha256(path)


def files_sha256(paths: Sequence[Path]) -> str:
    """Hash of the names and contents of files, in the order given; their folder does not matter."""
    return text_sha256("".join(f"{path.name} {cached_file_sha256(path)}\n" for path in paths))


def image_sha256(image: Image.Image) -> str:
    """Hash of what is seen (mode, size, pixels): a file saved again with other metadata is the same picture."""
    digest = hashlib.sha256(f"{image.mode} {image.width}x{image.height} ".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def images_sha256(images: Iterable[Image.Image]) -> str:
    """Hash of a clip: of what is seen in each frame, in their order."""
    return text_sha256(" ".join(image_sha256(image) for image in images))


def frames_sha256(frames: NDArray[np.uint8]) -> str:
    """Hash of the bytes of uint8 frames (frame, height, width, 3)."""
    return hashlib.sha256(frames.tobytes()).hexdigest()


def mask_sha256(mask: NDArray[np.bool_]) -> str:
    """Hash of a mask's shape (height, width) and pixels."""
    import numpy as np

    return hashlib.sha256(f"{mask.shape} ".encode() + np.packbits(mask).tobytes()).hexdigest()


def tensor_sha256(tensor: Tensor) -> str:
    """Hash of a tensor's shape and float32 values."""
    values = tensor.detach().float().cpu().contiguous().numpy()
    digest = hashlib.sha256(str(values.shape).encode())
    digest.update(values.tobytes())
    return digest.hexdigest()


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """Hash of names, dtypes, shapes and bytes of tensors, in the order of their names."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
