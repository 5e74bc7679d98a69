"""What made this clip: every setting, seed, version and hash, as JSON beside it, so that it can be made again.

A manifest is a plain dict (written by `write`, read by `read`); `replaying.replay` makes the clip again and compares.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import os
import platform
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gen_inbetween.runtime.files import replaced
from gen_inbetween.runtime.hashing import file_sha256

if TYPE_CHECKING:  # a manifest can be read, and a batch resumed, without waiting for torch
    from PIL import Image
    from torch import Tensor

    from gen_inbetween.media.image import Frame

log = logging.getLogger("gen_inbetween")

FORMAT = 1
PACKAGES = ("gen_inbetween", "torch", "diffusers", "transformers", "accelerate", "safetensors", "numpy", "pillow", "av")


class ManifestError(ValueError):
    """A manifest that cannot be read, or that no longer describes what is on this machine."""


def path_beside(clip: str | os.PathLike[str]) -> Path:
    """Where the manifest of a saved clip stands: `clip.mp4` -> `clip.json`; a folder -> `manifest.json` in it."""
    clip = Path(clip)
    return clip / "manifest.json" if clip.is_dir() else clip.with_suffix(".json")


def write(manifest: dict[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write a manifest as JSON, all of it or nothing."""
    path = Path(path)
    with replaced(path) as temporary:
        temporary.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return path


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a manifest; ManifestError where the file is missing, is no JSON, or is not a manifest of this format."""
    try:
        manifest = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(f"{path}: cannot read the manifest: {error.strerror or error}") from error
    except ValueError as error:
        raise ManifestError(f"{path}: not a manifest: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise ManifestError(f"{path}: expected a gen_inbetween manifest of format {FORMAT}, found {found!r}")
    return manifest


def versions(more: Iterable[str] = ()) -> dict[str, str]:
    """Python and the packages a clip depends on, and `more`, those that are installed."""
    found = {package: installed_version(package) for package in (*PACKAGES, *more)}
    return {"python": platform.python_version()} | {package: number for package, number in found.items() if number}


@cache
def installed_version(package: str) -> str | None:
    """The package's version, read from its metadata once in a process; None: it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine() -> dict[str, Any]:
    """What computes: the system, the torch build, threads and GPUs. Bits may differ from machine to machine."""
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {"system": platform.platform(), "cuda": torch.version.cuda, "threads": torch.get_num_threads(), "gpus": gpus}


def version_drift(manifest: dict[str, Any]) -> list[str]:
    """What differs from the versions in the manifest: ["torch 2.13.0 -> 2.14.1", ...]."""
    here = versions()
    return [
        f"{package} {then} -> {here.get(package, 'not installed')}"
        for package, then in manifest["versions"].items()
        if here.get(package) != then
    ]


def now() -> str:
    """The time in UTC, to the second, as ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def image_sha256(image: Image.Image) -> str:
    """Hash of what is seen (mode, size, pixels): a file saved again with other metadata is the same picture."""
    digest = hashlib.sha256(f"{image.mode} {image.width}x{image.height} ".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def images_sha256(images: Iterable[Image.Image]) -> str:
    """Hash of a clip: of what is seen in each frame, in their order."""
    return hashlib.sha256(" ".join(image_sha256(image) for image in images).encode()).hexdigest()


def record(**parts: Any) -> dict[str, Any]:
    """A manifest of these parts, and of what every manifest says: when, by which versions, on what machine."""
    return {"format": FORMAT, "made": now(), **parts, "versions": versions(), "machine": machine()}


def keyframes_record(sources: Sequence[Frame], opened: Sequence[Image.Image]) -> dict[str, dict[str, str | None]]:
    """The two keyframes as a manifest names them: where their files are (None: given in memory), and their hashes."""
    return {
        name: {
            "path": str(Path(source).resolve()) if isinstance(source, str | os.PathLike) else None,
            "sha256": image_sha256(image),
        }
        for name, source, image in zip(("frame0", "frame1"), sources, opened, strict=True)
    }


def tensor_sha256(tensor: Tensor) -> str:
    """Hash of a tensor's shape and float32 values."""
    values = tensor.detach().float().cpu().contiguous().numpy()
    digest = hashlib.sha256(str(values.shape).encode())
    digest.update(values.tobytes())
    return digest.hexdigest()


def folder_sha256(folder: str | os.PathLike[str]) -> str:
    """Hash of a diffusers model folder: weights and configurations one level down (unet/, vae/, ...), names included.

    Contents are read once: hashes are kept by path, size and time of change in `cache_folder()`; SVD-XT is 4.6 GB.
    """
    files = sorted(path for pattern in ("*/*.safetensors", "*/*.json") for path in Path(folder).glob(pattern))
    if not files:
        raise ManifestError(f"{folder}: expected a diffusers model folder with weights in it, found none")
    digest = hashlib.sha256()
    for path, content in zip(files, _file_hashes(files), strict=True):
        digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def cache_folder() -> Path:
    """Where hashes are kept between runs: $XDG_CACHE_HOME/gen_inbetween, or ~/.cache/gen_inbetween."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gen_inbetween"


def _file_hashes(files: list[Path]) -> list[str]:
    store = cache_folder() / "sha256.json"
    try:
        known: dict[str, str] = json.loads(store.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    keys = [f"{path.resolve()} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files]
    missing = {key: path for key, path in zip(keys, files, strict=True) if key not in known}
    for key, path in missing.items():
        known[key] = file_sha256(path)
    if missing:
        try:
            store.parent.mkdir(parents=True, exist_ok=True)
            write(known, store)
        except OSError as error:  # a read-only home costs time at the next run, nothing else
            log.debug("hashes are not kept: %s", error)
    return [known[key] for key in keys]
