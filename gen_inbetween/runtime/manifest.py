"""Manifests: how a clip was made, inside of it and beside it.

A manifest is a plain dict, built by `record`, put into the file by `outputs.embed`, written beside it by `write`, and
read by `read`; `generation.replay` makes the clip again and compares. Inside of the file stands what is the same
whenever the clip is made again (`outputs.lasting`), so that the same run gives the same bytes.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable
from datetime import datetime, timezone
from functools import cache
from numbers import Number
from pathlib import Path
from typing import Any

from gen_inbetween.runtime.checks import plain_value
from gen_inbetween.runtime.files import write_json
from gen_inbetween.runtime.hashing import file_sha256
from gen_inbetween.runtime.lists import read_text
from gen_inbetween.runtime.outputs import (
    check_output,
    earlier_path_beside,
    lasting,
    path_beside,
    read_manifest,
    without_folders,
)
from gen_inbetween.runtime.traces.labels import read_label
from gen_inbetween.runtime.trust.limits import LONGEST_JSON, shorten

FORMAT = 2
FILES = ("model", "motion", "interpolator", "still", "draft")  # settings that may name files a clip is made from
OBJECTS = ("settings", "frames", "auto", "model", "motion", "interpolator", "memory", "levers", "versions", "join")
PARTS = (  # what a manifest may say, in this order; each kind of work has its own of them
    "source",  # of a retimed clip or video: where it is, its hash or its frames' hashes, its own manifest
    "join",  # of a bridge, loop or retake: what was asked for, where the gap is, its colours and pace
    "frames",  # the keyframes: paths and hashes; where they stand, if there are more than two
    "auto",  # why method auto took the method it took
    "model",
    "motion",
    "interpolator",
    "style",  # of a stylised clip: what was learnt from, how long, how well
    "settings",
    "request",  # of a clip of a batch: what its line asked for
    "memory",  # what was done to save memory
    "approximations",  # what trades exactness for cost
    "motion_bucket",  # where it was to be found: what was tried, and how far the two motions were apart
    "best_of",  # of several seeds: which was kept, and what was found in each
    "callback",  # a callback of the caller's own saw each step, and may have changed it
    "interrupted",  # the steps were broken off
    "unet_passes",
    "interpolations",
    "counts",  # of a retimed video: frames, cuts, ...
    "quality",  # of a retimed or edited film: where its motion is doubtful, cuts, repeats, a curve
    "pace_before",  # of a clip at constant speed: its motion from frame to frame before
    "seconds",
    "peak_memory",
    "latents_sha256",
    "frames_sha256",
    "file_sha256",  # of the file, in the manifest beside it: no file can hold its own hash
    "replay",  # of a clip made again: whether it is the first, bit for bit
)
PACKAGES = ("gen_inbetween", "torch", "diffusers", "transformers", "accelerate", "safetensors", "numpy", "pillow", "av")


class ManifestError(ValueError):
    """A manifest that cannot be read, or that no longer describes what is on this machine."""


def write(manifest: dict[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write a manifest as JSON, all of it or nothing."""
    return write_json(path, manifest)


def inputs_of(manifest: dict[str, Any] | None, clip: str | os.PathLike[str] | None = None) -> list[str]:
    """The files and folders that a manifest names as what the clip was made from, which no output may replace.

    clip: the clip, or its JSON file, beside which a replay finds those that are no longer at their places.
    """
    named = [(manifest or {}).get(part) for part in ("frames", "source")]
    settings = (manifest or {}).get("settings")
    chosen = settings if isinstance(settings, dict) else {}
    files = [chosen.get(name) for name in FILES]
    paths = [*paths_in(named), *(file for file in files if isinstance(file, str) and os.path.exists(file))]
    return paths if clip is None else [*paths, *(place for path in paths if (place := find_file(path, clip)))]


def paths_in(value: Any) -> list[str]:
    """What stands under "path" anywhere in a value."""
    if isinstance(value, dict):
        here = [value["path"]] if isinstance(value.get("path"), str) else []
        return here + [path for item in value.values() for path in paths_in(item)]
    return [path for item in value for path in paths_in(item)] if isinstance(value, list) else []


def find_file(named: str, clip: str | os.PathLike[str]) -> str | None:
    """Where a file is that a manifest names: at its path, or, as a manifest inside of a clip says its name, beside it.

    clip: the clip, or its JSON file. None: in neither place.
    """
    places = (named, os.path.join(os.path.dirname(os.path.abspath(clip)), without_folders(named)))
    return next((place for place in places if os.path.exists(place)), None)


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a manifest: of a JSON file, or of a clip, which has it inside or beside it; one of format 1 as format 2.

    ManifestError: there is none; it is no JSON, or not a manifest of these formats.
    """
    path = Path(path)
    if path.suffix.lower() == ".json" or not path.exists():
        return check(read_json(path), path)
    manifest = of_clip(path)
    if manifest is None:
        raise ManifestError(f"{path}: no manifest in it or beside it (as {path_beside(path).name})")
    return manifest


def of_clip(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The manifest of a clip, None where it has none.

    The one inside of it counts; the one beside it, which says more, where it is the same but for that. What was made
    before there were labels has one beside it only, by its earlier name.

    ManifestError: there is one that cannot be read.
    """
    path = Path(path)
    inside = embedded(path)
    beside = path_beside(path)
    if inside is None and beside.is_file():
        return check(read_json(beside), beside)
    if inside is not None and lasting(outside := read_manifest(beside) or {}) == lasting(inside):
        return outside
    earlier = earlier_path_beside(path)
    if inside is None and earlier.is_file() and not (path.is_file() and read_label(path) is not None):
        return check(read_json(earlier), earlier)
    return inside


def embedded(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The manifest inside of a clip, or of the first frame of a folder; None: there is none."""
    path = Path(path)
    if path.is_dir():
        frames = sorted(frame for frame in path.iterdir() if frame.name[0] != "." and frame.suffix != ".json")
        return embedded(frames[0]) if frames and frames[0].is_file() else None
    text = read_label(path)
    if not text:
        return None
    try:
        return check(json.loads(text), path)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{path}: the manifest in it cannot be read: {error}") from error


def complete(path: str | os.PathLike[str]) -> bool:
    """Write the manifest beside a clip again from the one inside of it, where it is missing or of another clip.

    A run that was killed between the two leaves it so. Returns whether there was anything to write.
    """
    path = Path(path)
    inside, beside = embedded(path), path_beside(path)
    if inside is None:
        return False
    outside = read_manifest(beside)
    if outside is not None and lasting(outside) == lasting(inside):
        return False
    made = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).isoformat(timespec="seconds")
    check_output(beside, manifest=False)
    write_beside({"format": inside["format"], "created_at": made} | inside, path)
    return True


def write_beside(manifest: dict[str, Any], clip: Path) -> Path:
    """Write the manifest beside a clip's file, with the hash of the file."""
    return write({**manifest, "file_sha256": file_sha256(clip)}, path_beside(clip))


def is_as_written(manifest: dict[str, Any], clip: Path) -> bool:
    """Whether a clip's file has the hash that its manifest keeps of it; a folder, and an older manifest, have none."""
    sha256 = manifest.get("file_sha256")
    return sha256 is None or not clip.is_file() or file_sha256(clip) == sha256


def read_json(path: Path) -> Any:
    """The value in a JSON file; ManifestError: there is none."""
    try:
        return json.loads(read_text(path, LONGEST_JSON))
    except OSError as error:
        raise ManifestError(f"{path}: cannot read the manifest: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{path}: not a manifest: {error}") from error


def check(manifest: Any, path: Path) -> dict[str, Any]:
    """A manifest in the present format; ManifestError: it is of none that is known."""
    number = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
    if type(number) is not int or number not in (1, FORMAT):
        found = shorten(repr(number))
        raise ManifestError(f"{path}: expected a gen_inbetween manifest of format 1 or {FORMAT}, found {found}")
    for part in OBJECTS:
        if not isinstance(manifest.get(part, {}), dict | None):
            raise ManifestError(f"{path}: expected {part} as an object, found {type(manifest[part]).__name__}")
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
    settings = upgraded.get("settings") or {}
    for part in (settings, upgraded.get("auto") or {}):
        if part.get("method") == "flow":
            part["method"] = "interpolate"
    if "levers" in upgraded:
        levers = upgraded.pop("levers") or {}
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
    ordered = {name: plainly(parts[name]) for name in PARTS if name in parts}
    return {"format": FORMAT, "created_at": now(), **ordered, "versions": versions(), "machine": machine()}


def plainly(value: Any) -> Any:
    """`value` with Python's own numbers in place of numpy's, at any depth: a manifest is to be written."""
    if isinstance(value, dict):
        return {name: plainly(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(plainly, value)) if type(value) in (list, tuple) else value
    return value if isinstance(value, bool) or not isinstance(value, Number) else plain_value(value)
