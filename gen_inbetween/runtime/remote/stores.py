"""Object stores by fsspec: s3://, gs://, memory://.

An object appears under its name whole or not at all: a PUT, and the end of a multipart upload, are atomic in these
stores, so what is written is a local file first, and published by one upload whose size is looked at afterwards.
Credentials come from the environment alone (`AWS_ACCESS_KEY_ID`, ...), never from an address.
"""

from __future__ import annotations

import os
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.runtime.files import address_of
from gen_inbetween.runtime.hashing import text_sha256

PROTOCOLS = {"s3": "s3", "gs": "gs", "memory": "ray"}  # -> the extra that brings what it needs
LOCAL = ("file://", "local://")
HASHES = ("ETag", "md5Hash", "etag", "crc32c", "created")  # as s3fs, gcsfs and fsspec's memory call them
Keys = NDArray[np.uint64]
EVERY, AFTER = 100, 30.0  # rows, seconds: how often finished rows are written down


class StoreError(OSError):
    """A store that cannot be used, or an object that cannot be read or written."""


def local_or_address(text: str | os.PathLike[str]) -> tuple[Path | None, str | None]:
    """(path, None) of a local file, also as file://, or (None, address).

    >>> local_or_address("file:///data/pairs.jsonl")[0].as_posix()
    '/data/pairs.jsonl'
    >>> local_or_address("s3:/bucket/pairs.jsonl")  # as pathlib writes it
    (None, 's3://bucket/pairs.jsonl')
    """
    address = address_of(text)
    if address is None:
        return Path(text), None
    for protocol in LOCAL:
        if address.startswith(protocol):
            return Path("/" + address.removeprefix(protocol).lstrip("/")), None
    return None, address


class Store:
    """A folder in an object store, by its address."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        protocol, _, rest = address.partition("://")
        if protocol not in PROTOCOLS:
            raise StoreError(f"{address}: expected a path, or an address of {', '.join(PROTOCOLS)} or file")
        if "@" in rest.partition("/")[0]:
            raise StoreError(f"{protocol}://...: expected no credentials in an address; they come from the environment")
        if not rest.partition("/")[0]:
            raise StoreError(f"{address}: expected {protocol}://bucket/folder")
        try:
            import fsspec

            self.fs: Any = fsspec.filesystem(protocol)
        except ImportError as error:
            package = f'"gen_inbetween[{PROTOCOLS[protocol]}]"'
            raise ImportError(f"{address}: {error.name or error} is not installed: pip install {package}") from error
        self.root = str(self.fs._strip_protocol(self.address))

    def __reduce__(self) -> Any:
        return Store, (self.address,)

    def path(self, name: str) -> str:
        """The object's full name."""
        return f"{self.root}/{name}" if name else self.root

    def info(self, name: str) -> dict[str, Any] | None:
        """What the store says of an object, by one request; None: there is none."""
        try:
            self.fs.invalidate_cache()
            said: dict[str, Any] = self.fs.info(self.path(name))
            return said
        except FileNotFoundError:
            return None
        except Exception as error:
            raise StoreError(f"cannot look at {self.address}/{name}: {_said(error)}") from error

    def size(self, name: str) -> int | None:
        """Bytes of an object; None: there is none."""
        said = self.info(name)
        return None if said is None else int(said["size"])

    def tag(self, name: str) -> str | None:
        """What another content of the object would not have: its size and the store's hash of it; None: there is none.

        The hash is the store's own (S3's ETag, MD5 in Google's), and in memory:// the time it was written.
        """
        if (said := self.info(name)) is None:
            return None
        return f"{said['size']} {next((said[key] for key in HASHES if said.get(key)), '')}"

    def read(self, name: str = "") -> bytes:
        """An object's bytes; StoreError: there is none, or no permission."""
        try:
            return bytes(self.fs.cat_file(self.path(name)))
        except Exception as error:
            raise StoreError(f"cannot read {self.address}{'/' * bool(name)}{name}: {_said(error)}") from error

    def fetch(self, name: str, path: Path) -> Path:
        """An object as a local file."""
        path.write_bytes(self.read(name))
        return path

    def publish(self, path: Path, name: str) -> None:
        """Upload a local file, whole or not at all; StoreError where that fails."""
        try:
            self.fs.put_file(str(path), self.path(name))
        except Exception as error:
            raise StoreError(f"cannot write {self.address}/{name}: {_said(error)}") from error
        if self.size(name) != path.stat().st_size:
            raise StoreError(f"{self.address}/{name} was not kept as it was sent: {self.size(name)} bytes are there")

    def write(self, content: bytes, name: str) -> None:
        """Upload bytes."""
        try:
            self.fs.pipe_file(self.path(name), content)
        except Exception as error:
            raise StoreError(f"cannot write {self.address}/{name}: {_said(error)}") from error

    def names(self, folder: str) -> list[str]:
        """The names of the objects in a folder of few."""
        try:
            self.fs.invalidate_cache()
            return [entry.rpartition("/")[2] for entry in self.fs.ls(self.path(folder), detail=False)]
        except FileNotFoundError:
            return []
        except Exception as error:
            raise StoreError(f"cannot list {self.address}/{folder}: {_said(error)}") from error

    def remove(self, name: str) -> None:
        """Delete an object; one that is not there is fine."""
        with suppress(FileNotFoundError):
            self.fs.rm_file(self.path(name))


def key_of(text: str) -> np.uint64:
    """The key of a finished row in an index: 64 bits of its hash."""
    return np.uint64(int(text_sha256(text)[:16], 16))


class DoneIndex:
    """Which rows of a shard are done: sorted keys in few objects, so that nobody lists a million clips.

    Runs add a small object after every EVERY rows or AFTER seconds; the next start reads them all and leaves one.
    What a killed run had not written down yet is found by looking at its clip.
    """

    def __init__(self, store: Store, shard: tuple[int, int] = (1, 1)) -> None:
        self.store, self.folder = store, f".inbetween-index/{shard[0]}-of-{shard[1]}"
        self.keys: Keys = np.empty(0, np.uint64)
        self.pending: list[np.uint64] = []
        self.written = time.monotonic()

    def load(self, *, compact: bool = True) -> DoneIndex:
        """Read what is there; and leave it as one object, where it is more. One at a time may compact."""
        names = [name for name in self.store.names(self.folder) if name.endswith(".keys")]
        parts = [np.frombuffer(self.store.read(f"{self.folder}/{name}"), "<u8") for name in names]
        self.keys = np.unique(np.concatenate(parts)) if parts else self.keys
        if compact and len(names) > 1:
            self._write(self.keys)  # before the others go: a run that is killed between leaves both
            for name in names:
                self.store.remove(f"{self.folder}/{name}")
        return self

    def __contains__(self, key: np.uint64 | None) -> bool:
        if key is None:
            return False
        place = int(np.searchsorted(self.keys, key))
        return place < len(self.keys) and self.keys[place] == key

    def add(self, key: np.uint64) -> None:
        """A row is done."""
        self.pending.append(key)
        if len(self.pending) >= EVERY or time.monotonic() - self.written > AFTER:
            self.flush()

    def flush(self) -> None:
        """Write down what was added."""
        if self.pending:
            self._write(np.array(self.pending, np.uint64))
            self.pending, self.written = [], time.monotonic()

    def _write(self, keys: Keys) -> None:
        self.store.write(keys.astype("<u8").tobytes(), f"{self.folder}/{uuid.uuid4().hex}.keys")


def _said(error: Exception) -> str:
    """An error of a store in one line."""
    if isinstance(error, FileNotFoundError):
        return "there is no such object"
    if isinstance(error, PermissionError):
        return "no permission; credentials come from the environment (AWS_ACCESS_KEY_ID, ...)"
    return " ".join(str(error).split()) or type(error).__name__
