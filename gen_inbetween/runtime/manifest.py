"""Manifests: how a clip was made, as JSON beside it.

A manifest is a plain dict, built by `record`, written by `write`, read by `read`; `generation.replay` makes the clip
again and compares.
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
from gen_inbetween.runtime.lists import read_text

FORMAT = 2
PARTS = (  # what a manifest may say, in this order; each kind of work has its own of them
    "source",  # of a retimed clip or video: where it is, its hash or its frames' hashes, its own manifest
    "frames",  # the keyframes: paths and hashes
    "auto",  # why method auto took the method it took
    "model",
    "motion",
    "interpolator",
    "settings",
    "memory",  # what was done to save memory
    "approximations",  # what trades exactness for cost
    "callback",  # a callback of the caller's own saw each step, and may have changed it
    "interrupted",  # the steps were broken off
    "unet_passes",
    "interpolations",
    "counts",  # of a retimed video: frames, cuts, ...
    "pace_before",  # of a clip at constant speed: its motion from frame to frame before
    "seconds",
    "peak_memory",
    "latents_sha256",
    "frames_sha256",
    "replay",  # of a clip made again: whether it is the first, bit for bit
)
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
    """Read a manifest, one of format 1 as format 2 would say it.

    ManifestError: the file is missing, is no JSON, or is not a manifest of these formats.
    """
    try:
        manifest = json.loads(read_text(path))
    except OSError as error:
        raise ManifestError(f"{path}: cannot read the manifest: {error.strerror or error}") from error
    except ValueError as error:
        raise ManifestError(f"{path}: not a manifest: {error}") from error
    number = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
    if number not in (1, FORMAT):
        raise ManifestError(f"{path}: expected a gen_inbetween manifest of format 1 or {FORMAT}, found {number!r}")
    return upgrade(manifest) if number == 1 else manifest


RENAMED = {"made": "created_at", "licence": "license", "routing": "auto", "vram": "vram_gb"}  # since format 1
MEMORY_SETTINGS = ("kernel", "split_guidance", "decode", "decode_chunk_size")  # stood among the settings in format 1


def upgrade(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest of format 1 as format 2.

    >>> upgrade({"format": 1, "made": "2026-11-22T10:00:00+00:00", "settings": {"method": "flow", "vram": None}})
    {'format': 2, 'created_at': '2026-11-22T10:00:00+00:00', 'settings': {'method': 'interpolate', 'vram_gb': None}}
    """

    def rename(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {RENAMED.get(key, key): rename(item) for key, item in value.items()}

    upgraded: dict[str, Any] = {**rename(manifest), "format": FORMAT}
    settings = upgraded.get("settings", {})
    for part in (settings, upgraded.get("auto", {})):
        if part.get("method") == "flow":
            part["method"] = "interpolate"
    if "levers" in upgraded:
        levers = upgraded.pop("levers")
        memory = {name: settings.pop(name, None) for name in MEMORY_SETTINGS}
        chunking = levers.get("forward_chunking") or 0  # None was "whole"
        upgraded["memory"] = memory | levers | {"kernel": memory["kernel"] or "sdpa", "forward_chunking": chunking}
    return upgraded


def versions(more: Iterable[str] = ()) -> dict[str, str]:
    """Python and the packages a clip depends on, and `more`, those that are installed."""
    numbers = {package: installed_version(package) for package in (*PACKAGES, *more)}
    return {"python": platform.python_version()} | {package: number for package, number in numbers.items() if number}


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
    """A manifest of these parts, and of what every manifest says: when, by which versions, on what machine.

    TypeError: a part that is not one of PARTS.
    """
    if unknown := parts.keys() - set(PARTS):
        raise TypeError(f"no part of a manifest: {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}")
    ordered = {name: parts[name] for name in PARTS if name in parts}
    return {"format": FORMAT, "created_at": now(), **ordered, "versions": versions(), "machine": machine()}
