"""Permission to write: no input, no file of others, no running output.

Whatever writes asks here before its work: `check_output` for one file or one folder that is replaced as a whole,
`claim_folder` for a folder that a run fills. `reserved` keeps two runs from writing one output at a time.

An output may be replaced where it is ours: its label says so (`traces.labels`), it is a manifest, weights with our
header, or an empty file. What was made before there were labels is told by the manifest beside it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeAlias, TypeVar

from gen_inbetween.runtime.checks import plain_value
from gen_inbetween.runtime.files import (
    LONGEST,
    PREFIX,
    OutputError,
    check_writable,
    end_lock,
    parents_of,
    read_kept,
    real_place,
    replaced,
    short_name,
    take_lock,
    write_json,
    writing_in,
)
from gen_inbetween.runtime.traces.labels import read_label, takes_label, write_label
from gen_inbetween.runtime.trust.limits import LONGEST_JSON

ENDING = ".inbetween.json"  # of a manifest beside a clip
IN_FOLDER = "inbetween.json"  # the manifest in a folder of frames
EARLIER = "manifest.json"  # its name before
CLAIM = ".inbetween-folder.json"  # says that what a run fills is ours
PASSING = ("created_at", "seconds", "peak_memory", "file_sha256")  # parts of a manifest that differ from run to run
FILMS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif")  # no frames: clips of ours that somebody collected
HEADERS = ("gen_inbetween", "backward_motion")  # keys of the header of our safetensors begin so

STDOUT = "-"

Write = TypeVar("Write", bound=Callable[..., Any])
Manifest: TypeAlias = "dict[str, Any] | Callable[[], dict[str, Any]] | None"
Paths = Iterable["str | os.PathLike[str] | None"]


class BusyError(OutputError):
    """Another run writes an output now."""


_reserved: ContextVar[tuple[Path, ...]] = ContextVar("reserved", default=())


def path_beside(clip: str | os.PathLike[str]) -> Path:
    """Where the manifest of a saved clip stands: beside a file, in a folder of frames.

    >>> path_beside("clip.mp4").name
    'clip.mp4.inbetween.json'
    """
    clip = Path(clip)
    if clip.is_dir():
        return clip / IN_FOLDER
    name = clip.name if len(os.fsencode(clip.name + ENDING)) <= LONGEST else short_name(clip.name)
    return clip.with_name(name + ENDING)


def earlier_path_beside(clip: str | os.PathLike[str]) -> Path:
    """Where it stood before version 0.3, which others' files may as well.

    >>> earlier_path_beside("clip.mp4").name
    'clip.json'
    """
    clip = Path(clip)
    return clip / EARLIER if clip.is_dir() else clip.with_suffix(".json")


class Inputs:
    """Files and folders that are read, found again by whatever name; None among them is passed over."""

    def __init__(self, paths: Paths) -> None:
        self.places: dict[str, str] = {}  # where it is, without links -> as it was called
        self.files: dict[tuple[int, int], str] = {}  # which file it is: other names of it are hard links
        self.folders: dict[str, str] = {}  # what it is in, near or far
        for path in [os.fspath(path) for path in paths if path]:
            if "\0" in path:  # names no file
                continue
            place = os.path.realpath(path)
            self.places.setdefault(place, path)
            with suppress(OSError, ValueError):
                self.files.setdefault(file_number(path), path)
            while place != (place := os.path.dirname(place)):
                self.folders.setdefault(place, path)

    def at(self, path: str | os.PathLike[str]) -> str | None:
        """The input that stands at `path`."""
        with suppress(OSError):
            return self.files.get(file_number(path)) or self.places.get(os.path.realpath(path))
        return self.places.get(os.path.realpath(path))

    def inside(self, folder: str | os.PathLike[str]) -> str | None:
        """An input that stands in `folder`, or far inside of it."""
        return self.folders.get(os.path.realpath(folder))


def file_number(path: str | os.PathLike[str]) -> tuple[int, int]:
    """What tells a file from all others of this machine."""
    state = os.stat(path)
    return state.st_dev, state.st_ino


def check_output(
    path: str | os.PathLike[str], inputs: Inputs | Paths = (), *, overwrite: bool = False, manifest: bool = True
) -> None:
    """Raise OutputError unless `path` may be written: to be asked before the work, and again before writing.

    Args:
        path: a file, or a folder that is replaced as a whole.
        inputs: what is read for it, files and folders. They are safe whatever they are called: by links, hard links,
            other spellings, or inside of the folder that is written.
        overwrite: replace a file of somebody else, too; never an input.
        manifest: a manifest is written beside it, which is asked about as well.
    """
    if os.fspath(path) == STDOUT:
        return
    path = Path(path)
    check_writable(path)
    if os.path.exists(path) and not (path.is_file() or path.is_dir()):
        raise OutputError(f"cannot write {path}: it is a device or a pipe; expected the name of a file or a folder")
    given = inputs if isinstance(inputs, Inputs) else Inputs(inputs)
    for place in (path, path_beside(path)) if manifest else (path,):
        if given.at(place):
            raise OutputError(f"{place} is an input, and would be replaced: name another output")
        if place == path and path.is_dir() and (file := given.inside(path)):
            raise OutputError(f"{path} holds the input {file}, and would be replaced: name another output")
        if not overwrite and os.path.lexists(place) and not is_ours(place):
            what = "holds files that" if place.is_dir() else "is a file that"
            raise OutputError(
                f"{place} {what} gen_inbetween did not make, and would be replaced: name another output, or say "
                "--overwrite (overwrite=True)"
            )


def claim_folder(
    folder: str | os.PathLike[str],
    names: Iterable[str],
    inputs: Inputs | Paths = (),
    *,
    overwrite: bool = False,
    proof: str | None = None,
    ask: bool = False,
) -> None:
    """Take a folder for a run that fills it with files of its own, of any kind, and may go on with an earlier one.

    Args:
        folder: made where it is missing, and marked as ours.
        names: what the run writes at its top, files and folders; others there do no harm.
        inputs, overwrite: as in `check_output`.
        proof: a JSON file with the versions of packages, by which folders that were filled before there were claims
            are known.
        ask: only whether it could be taken; nothing is written.

    Raises:
        OutputError: one of these names is an input or stands there already in a folder that is not ours.
    """
    folder = Path(folder)
    given = inputs if isinstance(inputs, Inputs) else Inputs(inputs)
    names = list(names)
    check_writable(folder / CLAIM)
    for name in names:
        if given.at(folder / name) or given.inside(folder / name):
            raise OutputError(f"{folder / name} is an input or holds one: name another output folder")
    if (folder / CLAIM).exists():
        return
    overwrite = overwrite or (proof is not None and says_versions(read_kept(folder / proof)))
    there = [name for name in names if os.path.lexists(folder / name) and not is_ours(folder / name)]
    if there and not overwrite:
        raise OutputError(
            f"{folder} holds {there[0]}, which gen_inbetween did not make, and it would be replaced: name an empty or "
            "a fresh folder, or say --overwrite"
        )
    if ask:
        return
    with replaced(folder / CLAIM) as temporary:
        temporary.write_text(json.dumps({"made by": "gen_inbetween"}) + "\n", encoding="utf-8")


@contextmanager
def reserved(path: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other runs from writing `path` meanwhile; what is reserved already by this one stays so.

    BusyError: another run writes it now. OutputError: its folder cannot be written in.
    """
    place = Path(os.path.realpath(path))
    if place in _reserved.get() or os.fspath(path) == STDOUT:
        yield
        return
    check_writable(path)
    with ExitStack() as held:
        try:
            held.enter_context(parents_of(place))
            held.enter_context(writing_in(place.parent))
            file = place.with_name(f"{PREFIX}{hashlib.sha256(os.fsencode(place.name)).hexdigest()[:12]}.lock")
            lock = take_lock(file)
            if lock is None:
                raise BusyError(f"{path} is being written by another run: wait for its end, or name another output")
            held.callback(end_lock, file, lock)
            os.write(lock, os.fsencode(place.name))  # a full disk is found by it, before the work
        except OutputError:
            raise
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}; choose another folder") from error
        held.callback(_reserved.reset, _reserved.set((*_reserved.get(), place)))
        yield


def reserving(place_of: Callable[[str | os.PathLike[str]], Path]) -> Callable[[Write], Write]:
    """Make a function (source, out, ...) keep other runs from writing the place of `out` as long as it runs."""

    def decorate(write: Write) -> Write:
        @functools.wraps(write)
        def run(source: Any, out: str | os.PathLike[str], *args: Any, **options: Any) -> Any:
            with reserved(place_of(out)):
                return write(source, out, *args, **options)

        return run  # type: ignore[return-value]

    return decorate


def is_ours(path: Path) -> bool:
    """Whether what stands at `path` was written by this package and by nobody since, or holds nothing."""
    path = real_place(path)
    if path.is_dir():
        return is_ours_inside(path)
    try:
        if not path.is_file():
            return False
        if path.stat().st_size == 0 or read_label(path) is not None:
            return True
    except OSError:
        return False
    if path.suffix == ".json":
        return read_manifest(path) is not None
    if path.suffix == ".jsonl":
        return is_our_list(path)
    if path.suffix == ".safetensors" and any(key.startswith(HEADERS) for key in safetensors_header(path)):
        return True
    if not takes_label(path) and is_older(path, path_beside(path)):
        return True
    return read_manifest(earlier_path_beside(path)) is not None


def is_older(file: Path, manifest: Path) -> bool:
    """Whether a file that holds no label is as it was when its manifest was written, which is done last."""
    try:
        return file.stat().st_mtime_ns <= manifest.stat().st_mtime_ns
    except OSError:
        return False


def is_our_list(path: Path) -> bool:
    """Whether a file is a list of pairs of ours, whose first line says so."""
    try:
        with open(path, encoding="utf-8") as file:
            header = json.loads(file.readline(1_000_000))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and str(header.get("format", "")).startswith("gen_inbetween")


def is_ours_inside(folder: Path) -> bool:
    """Whether all that a folder holds is ours, or it is empty."""
    entries = list(folder.iterdir())
    manifests = {name for name in (IN_FOLDER, EARLIER) if read_manifest(folder / name) is not None}
    if any(entry.is_dir() or entry.suffix.lower() in FILMS for entry in entries):
        return False
    frames = [entry for entry in entries if entry.name not in manifests]
    if EARLIER in manifests:  # the frames of then have no labels
        return all(frame.name.startswith("frame_") for frame in frames)
    return all(
        read_label(frame) is not None
        or (IN_FOLDER in manifests and not takes_label(frame) and is_older(frame, folder / IN_FOLDER))
        for frame in frames
    )


def embed(manifest: Manifest, path: str | os.PathLike[str]) -> None:
    """Say inside of a new file, or folder of frames, that it is ours, and how it was made, where that is known.

    Args:
        manifest: how it was made, or a function that tells it now that it is.
        path: what stands under its temporary name still. In a folder all frames are labelled, and the first of them
            has the manifest, which also stands as JSON among them.
    """
    path, manifest = Path(path), manifest() if callable(manifest) else manifest
    told: dict[str, Any] = {"ensure_ascii": False, "separators": (",", ":"), "default": plain_value}
    text = "" if manifest is None else json.dumps(lasting(manifest), **told)
    if not path.is_dir():
        write_label(path, text)
        return
    for number, frame in enumerate(sorted(path.iterdir())):
        write_label(frame, "" if number else text)
    if manifest is not None:
        write_json(path / IN_FOLDER, manifest)


@contextmanager
def labelled(path: Path) -> Iterator[Path]:
    """`files.replaced` of a picture or a page that is to be known as ours."""
    with replaced(path) as temporary:
        yield temporary
        embed(None, temporary)


def lasting(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest without what differs from run to run, or tells of somebody's machine: when, how long, in which folder.

    >>> lasting({"format": 2, "created_at": "2026-11-28T10:00:00+00:00", "counts": {"cuts": 0, "resumed": 64}})
    {'format': 2, 'counts': {'cuts': 0}}
    """
    kept = {name: without_folders(part) for name, part in manifest.items() if name not in PASSING}
    if isinstance(kept.get("counts"), dict):
        kept["counts"] = {name: count for name, count in kept["counts"].items() if name != "resumed"}
    return kept


def without_folders(value: Any) -> Any:
    """A value of plain JSON with the names of files alone where whole paths stand, of this system or another.

    >>> without_folders({"frame0": {"path": "/home/ann/a.png"}, "model": "C:\\\\models\\\\svd", "curve": "linear"})
    {'frame0': {'path': 'a.png'}, 'model': 'svd', 'curve': 'linear'}
    """
    if isinstance(value, dict):
        return {name: without_folders(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_folders(part) for part in value]
    if not isinstance(value, str):
        return value
    kinds = (PurePosixPath, PureWindowsPath)
    return next((kind(value).name for kind in kinds if kind(value).is_absolute() and kind(value).name), value)


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest in a JSON file, whatever its format; None: it is none of ours."""
    content = read_kept(path)
    return content if is_manifest(content, path) else None


def is_manifest(content: dict[str, Any], path: Path) -> bool:
    """Whether a JSON object is a manifest: all say their format, and versions, asked by names that others use too."""
    if path.name.endswith(IN_FOLDER):  # the ending of those beside clips, too
        return "format" in content or "format_version" in content  # the second: of weights
    return "format" in content and says_versions(content)


def says_versions(content: dict[str, Any]) -> bool:
    """Whether a JSON object holds the versions of packages, as `manifest.versions` gives them."""
    versions = content.get("versions")
    return isinstance(versions, dict) and "python" in versions


def safetensors_header(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; {} where there is none."""
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, LONGEST_JSON)))
    except (OSError, ValueError, struct.error, RecursionError, MemoryError):
        return {}
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    return metadata if isinstance(metadata, dict) else {}
