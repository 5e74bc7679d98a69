"""On-disk store of generated clips: paths, cache keys, reading and writing.

    output/clips/<label>-<key>/<pair>/seed<k>/00000.png ...  clip.json

`key` is the hash of what decides the method's pixels. clip.json repeats it in full, with the pair and the seed: a clip
whose record says anything else than what is asked for now is generated again. It also has the hash of every frame: a
clip of which one was replaced, removed, added or exchanged is set aside, and generated again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.evaluation.sealed import set_aside
from gen_inbetween.media.reading.sequences import IMAGE_SUFFIXES
from gen_inbetween.media.source import VIDEO_SUFFIXES, VideoError
from gen_inbetween.media.video import read_frames
from gen_inbetween.runtime import manifest
from gen_inbetween.runtime.files import replace_folder, replaced, write_json
from gen_inbetween.runtime.hashing import cached_file_sha256, json_sha256, short_hash

if TYPE_CHECKING:
    from gen_inbetween.evaluation.methods import Method
    from gen_inbetween.evaluation.pairs.pair import Pair

RECORD = "clip.json"


class ClipError(ValueError):
    """A clip that is not there or cannot be scored; the message says what was expected and what was found."""


class BrokenClipError(ClipError):
    """A generated clip whose record or frames are not as they were kept."""


@dataclass(frozen=True)
class GeneratedClip:
    """A new clip and what it cost."""

    frames: list[Image.Image]
    passes: int  # of the UNet
    seconds: float  # of the sampling call alone
    peak_memory: dict[str, Any] | None  # as `runtime.cost` measures it


@dataclass(frozen=True, eq=False)
class EvalClip:
    """One clip of an evaluation. What is computed from it is kept under its `identity`."""

    method: Method
    pair: Pair
    seed: int

    @cached_property
    def request(self) -> dict[str, Any]:
        """Everything that decides the clip, as JSON gives it back. ClipError: another tool's clip is missing."""
        return self.method.request(self.pair, self.seed)

    @cached_property
    def identity(self) -> str:
        """Hash of the request: the cache key of scores and features. ClipError as `request`."""
        return short_hash(self.request)

    @property
    def names(self) -> tuple[str, str, int]:
        """Method, pair and seed, as a message names them."""
        return self.method.label, self.pair.name, self.seed

    @property
    def folder(self) -> Path | None:
        """As `Method.folder`."""
        return self.method.folder(self.pair, self.seed)

    def frames(self) -> NDArray[np.uint8]:
        """(F, H, W, 3) RGB, both ends included. ClipError, PairError, VideoError: it cannot be read."""
        return self.method.frames(self.pair, self.seed)

    def record(self) -> dict[str, Any] | None:
        """clip.json of a generated clip, if it is the one asked for and its frames are those that were kept."""
        with suppress(BrokenClipError):
            return read_record(self.folder, self.request) if self.folder else None
        return None

    def content(self) -> str:
        """Hash of the frames of a generated clip; the identity of one that is told by it: the files are part of it."""
        if not self.method.generates:
            return self.identity
        record = self.record()
        return "" if record is None else json_sha256(record["frames"])

    def set_aside_if_broken(self) -> None:
        """Move a clip out of the way whose record is damaged or whose frames were changed; the log names it."""
        try:
            if self.folder:
                read_record(self.folder, self.request)
        except BrokenClipError as error:
            assert self.folder
            set_aside(self.folder, str(error))

    def exists(self) -> bool:
        """Whether the clip can be read; for a method that generates none this is found out by reading."""
        return not self.method.generates or self.record() is not None

    def file(self, folder: Path, suffix: str) -> Path:
        """Where something computed from the clip is kept below `folder`. ClipError as `request`."""
        return folder / self.method.key / self.pair.name / f"seed{self.seed}-{self.identity}{suffix}"


def write_clip(clip: EvalClip, generated: GeneratedClip) -> None:
    """Keep a clip: PNG frames and clip.json, all of it or nothing; in place of one that was asked for otherwise."""
    assert clip.folder is not None  # it was generated
    record = {name: getattr(generated, name) for name in ("passes", "seconds", "peak_memory")}
    record |= {"created_at": manifest.now(), "versions": manifest.versions(), "machine": manifest.machine()}
    with replaced(clip.folder, replace_folder) as temporary:
        temporary.mkdir()
        for index, frame in enumerate(generated.frames):
            frame.save(temporary / f"{index:05d}.png", compress_level=1)
        write_json(temporary / RECORD, {"request": clip.request, **record, "frames": hash_frames(temporary)})


def hash_frames(folder: Path) -> dict[str, str]:
    """The SHA-256 of every image file in a folder, by its name."""
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    return {path.name: cached_file_sha256(path) for path in images}


def read_record(folder: Path, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """clip.json in a folder, or None where there is none or it is of another clip than the one asked for.

    A record of an earlier version, without hashes of its frames, takes them up now.

    Raises:
        BrokenClipError: the record is damaged, or the frames are not those that were kept; the message says which.
    """
    try:
        record = json.loads((folder / RECORD).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BrokenClipError(f"{RECORD} cannot be read ({error})") from error
    if not isinstance(record, dict) or not isinstance(record.get("frames", {}), dict):
        raise BrokenClipError(f"{RECORD} is not as it was written")
    if record.get("request") != request:
        return None
    hashes = hash_frames(folder)
    if "frames" not in record:
        record["frames"] = hashes
        write_json(folder / RECORD, record)
    kept = record["frames"]
    changed = sorted(name for name in kept.keys() | hashes.keys() if kept.get(name) != hashes.get(name))
    if changed:
        what = "changed" if changed[0] in kept.keys() & hashes.keys() else "gone" if changed[0] in kept else "new"
        more = f", and {len(changed) - 1} more frames with it" if changed[1:] else ""
        raise BrokenClipError(f"{changed[0]} is {what}{more}")
    return record


def read_clip(path: Path) -> NDArray[np.uint8]:
    """The frames of a folder of images or of a video as (F, H, W, 3) uint8; VideoError names what cannot be read."""
    return np.stack([np.asarray(frame) for frame in read_frames(path).frames])


def find_clip(folder: Path, pair: Pair) -> Path:
    """Where another tool put a pair's clip: <folder>/<pair>/ or <folder>/<pair>.mp4 (.webm, .mkv, .mov, .avi, .gif).

    Raises:
        ClipError: there is neither.
    """
    candidates = [folder / pair.name, *(folder / f"{pair.name}{suffix}" for suffix in VIDEO_SUFFIXES)]
    path = next((candidate for candidate in candidates if candidate.exists()), None)
    if path is None:
        raise ClipError(f"missing in {folder}: expected the folder {pair.name}/ with its frames, or {pair.name}.mp4")
    return path


def read_checked_clip(path: Path, num_frames: int, width: int, height: int) -> NDArray[np.uint8]:
    """The clip of another tool, (num_frames, height, width, 3) uint8, ends included.

    Raises:
        ClipError: frames missing or too many, another size, an image or video that is damaged.
    """
    try:
        frames = read_clip(path)
    except VideoError as error:
        raise ClipError(str(error)) from error
    if len(frames) != num_frames:
        gaps = describe_missing_numbers(path, num_frames)
        raise ClipError(f"{path}: expected {num_frames} frames, got {len(frames)}{gaps}")
    if frames.shape[1:3] != (height, width):
        size = f"{frames.shape[2]}x{frames.shape[1]}"
        raise ClipError(f"{path}: expected {width}x{height} pixels, got {size}; set width and height, or resize them")
    return frames


def describe_missing_numbers(path: Path, num_frames: int) -> str:
    """ "; missing 00003, 00007" where the images of a folder are numbered from their first one, else ""."""
    if not path.is_dir():
        return ""
    stems = {file.stem for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES}
    if not all(stem.isdecimal() for stem in stems):
        return ""
    first, width = min(map(int, stems)), len(min(stems))
    absent = [f"{number:0{width}d}" for number in range(first, first + num_frames)]
    absent = [stem for stem in absent if stem not in stems]
    return f"; missing {', '.join(absent)}" if absent else ""
