"""Clips on disk: how one is named, kept, found again and read, ours and those of other tools.

    output/clips/<label>-<key>/<pair>/seed<k>/00000.png ...  made.json

`key` is the hash of what decides the method's pixels. made.json repeats it in full, with the pair and the seed: a clip
whose record says anything else than what is asked for now is made again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.evaluation.pairs.pair import Pair
from gen_inbetween.media.video import IMAGE_SUFFIXES, read_frames
from gen_inbetween.media.video_writer import VideoError
from gen_inbetween.runtime import manifest
from gen_inbetween.runtime.files import replace_folder, replaced
from gen_inbetween.runtime.hashing import short_hash

RECORD = "made.json"
VIDEO_SUFFIXES = (".mp4", ".webm", ".mkv", ".mov", ".avi", ".gif")


class ClipError(ValueError):
    """A clip that is not there or cannot be scored; the message says what was expected and what was found."""


class Decided(Protocol):
    """What this file knows of a method."""

    @property
    def label(self) -> str: ...
    @property
    def decided_by(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Made:
    """A new clip and what it cost."""

    frames: list[Image.Image]
    passes: int
    seconds: float  # of the sampling call alone
    peak_memory: dict[str, Any] | None  # see `measuring.measured`


def key_of(method: Decided) -> str:
    """The name of a method's folders: its label, and a hash of what decides its pixels."""
    return f"{method.label}-{short_hash(method.decided_by)}"


def asked(method: Decided, pair: Pair, seed: int) -> dict[str, Any]:
    """Everything that decides one clip, as JSON gives it back."""
    known = {name: getattr(pair, name) for name in ("name", "sha256", "num_frames", "fps", "motion_bucket_id")}
    values: dict[str, Any] = json.loads(json.dumps({"method": method.decided_by, "pair": known, "seed": seed}))
    return values


def clip_folder(output: Path, method: Decided, pair: Pair, seed: int) -> Path:
    """Where a clip of ours stands, made or not."""
    return output / "clips" / key_of(method) / pair.name / f"seed{seed}"


def write_clip(folder: Path, made: Made, request: Mapping[str, Any]) -> None:
    """Keep a clip: PNG frames and made.json, all of it or nothing; in place of another that was asked for otherwise."""
    record = {key: value for key, value in asdict(made).items() if key != "frames"}
    record |= {"made": manifest.now(), "versions": manifest.versions(), "machine": manifest.machine()}
    with replaced(folder, replace_folder) as temporary:
        temporary.mkdir()
        for index, frame in enumerate(made.frames):
            frame.save(temporary / f"{index:05d}.png", compress_level=1)
        manifest.write({"asked": request, **record}, temporary / RECORD)


def read_record(folder: Path, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """made.json of a clip, or None where there is none or it is of another clip than the one asked for."""
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return record if record.get("asked") == request else None


def read_frames_of(path: Path) -> NDArray[np.uint8]:
    """The frames of a folder of images or of a video as (F, H, W, 3) uint8; VideoError names what cannot be read."""
    return np.stack([np.asarray(frame) for frame in read_frames(path).frames])


def outside_path(folder: Path, pair: Pair) -> Path:
    """Where another tool put a pair's clip: <folder>/<pair>/ or <folder>/<pair>.mp4 (.webm, .mkv, .mov, .avi, .gif).

    Raises:
        ClipError: there is neither.
    """
    places = [folder / pair.name, *(folder / f"{pair.name}{suffix}" for suffix in VIDEO_SUFFIXES)]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise ClipError(f"missing in {folder}: expected the folder {pair.name}/ with its frames, or {pair.name}.mp4")
    return found


def read_outside(path: Path, num_frames: int, width: int, height: int) -> NDArray[np.uint8]:
    """The clip of another tool, (num_frames, height, width, 3) uint8, ends included.

    Raises:
        ClipError: frames missing or too many, another size, an image or video that is damaged.
    """
    try:
        frames = read_frames_of(path)
    except VideoError as error:
        raise ClipError(str(error)) from error
    if len(frames) != num_frames:
        raise ClipError(f"{path}: expected {num_frames} frames, got {len(frames)}{missing_numbers(path, num_frames)}")
    if frames.shape[1:3] != (height, width):
        got = f"{frames.shape[2]}x{frames.shape[1]}"
        raise ClipError(f"{path}: expected {width}x{height} pixels, got {got}; set width and height, or resize them")
    return frames


def missing_numbers(path: Path, num_frames: int) -> str:
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
