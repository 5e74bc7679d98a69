"""Manifests: JSON beside a clip that says how it was made.

Every setting, seed, version and hash is in it, so that `generation.replay` can make the clip again and compare. A
manifest is a plain dict, written by `write` and read by `read`.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

from gen_inbetween.runtime.files import write_json

FORMAT = 1
PACKAGES = ("gen_inbetween", "torch", "diffusers", "transformers", "accelerate", "safetensors", "numpy", "pillow", "av")


class ManifestError(ValueError):
    """A manifest that cannot be read, or that no longer describes what is on this machine."""


def path_beside(clip: str | os.PathLike[str]) -> Path:
    """Where the manifest of a saved clip stands: beside a file, in a folder of frames.

    >>> path_beside("clip.mp4").name
    'clip.json'
    """
    clip = Path(clip)
    return clip / "manifest.json" if clip.is_dir() else clip.with_suffix(".json")


def write(manifest: dict[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write a manifest as JSON, all of it or nothing."""
    return write_json(path, manifest)


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


def record(**parts: Any) -> dict[str, Any]:
    """A manifest of these parts, and of what every manifest says: when, by which versions, on what machine."""
    return {"format": FORMAT, "made": now(), **parts, "versions": versions(), "machine": machine()}
