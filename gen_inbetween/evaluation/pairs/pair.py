"""Pair: a true clip, whose ends are the keyframes, and its record.

Its `source` is a dictionary of one of three kinds; `sources.py` opens them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AliasChoices, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import NotRequired, TypedDict

from gen_inbetween.runtime.config import first_problem

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
EXACTLY = ConfigDict(extra="forbid")


class PairError(ValueError):
    """A list or a pair that cannot be used; the message names the file, the line or the frames, and what to do."""


class DrawnClip(TypedDict):
    """A clip of `synthetic.make_clip`, or, with `loop`, of `synthetic.make_loop`.

    `mean`: its mean grey level (0 to 255), which tells another generator's clip from the same clip rounded otherwise;
    `photographs`: hash of the textures, if the backgrounds may be photographs.
    """

    __pydantic_config__ = EXACTLY  # type: ignore[misc]
    seed: int
    num_frames: int
    size: int
    mean: NotRequired[float]
    photographs: NotRequired[str]
    loop: NotRequired[bool]


class SyntheticSource(TypedDict):
    __pydantic_config__ = EXACTLY  # type: ignore[misc]
    synthetic: DrawnClip


class VideoSource(TypedDict):
    """Frames start, start + stride, ... of a video file; `package`: the installable package that carries it."""

    __pydantic_config__ = EXACTLY  # type: ignore[misc]
    video: str  # relative to the root, with forward slashes
    package: str | None
    start: int
    stride: int
    file_sha256: NotRequired[str]


class FramesSource(TypedDict):
    __pydantic_config__ = EXACTLY  # type: ignore[misc]
    frames: list[str]  # image files relative to the root, with forward slashes
    file_sha256: NotRequired[list[str]]  # one per file


_SOURCES: dict[str, TypeAdapter[Any]] = {
    "synthetic": TypeAdapter(SyntheticSource),
    "video": TypeAdapter(VideoSource),
    "frames": TypeAdapter(FramesSource),
}


@dataclass(frozen=True)
class Pair:
    """One true clip and what is known of it; its first and last frame are keyframes, and others between them may be.

    Raises:
        PairError: a value that no pair can have, on construction.
    """

    __pydantic_config__ = EXACTLY

    name: str  # unique in its list, also where case does not count; safe as the name of a folder
    source: dict[str, Any]  # a SyntheticSource, VideoSource or FramesSource
    num_frames: int  # 3 or more, both keyframes counted
    fps: int  # at which the true clip plays at its own speed
    motion_bucket_id: int | None  # 0 to 255; None: the method's own default
    motion: float  # `windows.motion_amount` of the true clip: pixels (of 256 in height) a frame
    sha256: str  # of the decoded frames, `runtime.hashing.frames_sha256`
    license: Annotated[str, Field(validation_alias=AliasChoices("license", "licence"))] = ""  # the second in old lists
    keyframes: int = 2  # evenly spaced over the clip, its ends included

    @property
    def positions(self) -> tuple[int, ...]:
        """The frames of the keyframes."""
        gaps = self.keyframes - 1
        return tuple(round(number * (self.num_frames - 1) / gaps) for number in range(self.keyframes))

    def __post_init__(self) -> None:
        wrong = next(_faults(self), None)
        if wrong:
            raise PairError(f"pair {self.name!r}: {wrong}")


def _faults(pair: Pair) -> Iterator[str]:
    """What is impossible about a pair, in words, the first thing first."""
    if not _NAME.fullmatch(pair.name):
        yield "expected a name of up to 100 letters, digits, '.', '_' and '-' that begins with a letter or digit"
    if pair.num_frames < 3:
        yield f"expected num_frames >= 3, one frame between the keyframes; got {pair.num_frames}"
    if not 2 <= pair.keyframes <= (pair.num_frames + 1) // 2:
        most = (pair.num_frames + 1) // 2
        yield f"expected 2 to {most} keyframes, a frame between any two of them, got {pair.keyframes}"
    if pair.fps < 1:
        yield f"expected fps >= 1, got {pair.fps}"
    if pair.motion_bucket_id is not None and not 0 <= pair.motion_bucket_id <= 255:
        yield f"expected a motion_bucket_id from 0 to 255 or null, got {pair.motion_bucket_id}"
    if not 0 <= pair.motion < float("inf"):
        yield f"expected a motion of 0 or more pixels a frame, got {pair.motion}"
    if not _SHA256.fullmatch(pair.sha256):
        yield f"expected the sha256 as 64 hexadecimal digits, got {pair.sha256!r}"
    yield from _source_faults(pair.source, pair.num_frames)


def _source_faults(source: dict[str, Any], num_frames: int) -> Iterator[str]:
    kinds = [kind for kind in _SOURCES if kind in source]
    if len(kinds) != 1:
        yield f"expected a source with one of {', '.join(_SOURCES)}; got {sorted(source)}"
        return
    try:
        _SOURCES[kinds[0]].validate_python(source, strict=True)
    except ValidationError as error:
        yield f"source: {first_problem(error)}"
        return
    paths = source.get("frames", [source["video"]] if "video" in source else [])
    outside = [path for path in paths if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts]
    if outside:
        yield f"expected paths below the root, got {outside[0]!r}"
    counts = [len(source[key]) for key in ("frames", "file_sha256") if isinstance(source.get(key), list)]
    if "synthetic" in source:
        counts.append(source["synthetic"]["num_frames"])
    if any(count != num_frames for count in counts):
        yield f"num_frames is {num_frames}, but the source lists {min(counts)} to {max(counts)} frames or hashes"
    if "video" in source and (source["start"] < 0 or source["stride"] < 1):
        yield f"expected start >= 0 and stride >= 1, got {source['start']} and {source['stride']}"
