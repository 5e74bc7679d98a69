"""Opening a video source by its kind, and reading its frames.

source = open_source("walk.mp4")        # or walk.gif, or a folder of images
for frame in source.frames(stride=2):   # PIL images, one at a time
    ...
for frame, seconds in source.between(1.5, 4).frames():
    ...
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias, Union

from PIL import Image

from gen_inbetween.media.animation import ANIMATION_SUFFIXES, Animation
from gen_inbetween.media.container import Container, Reader
from gen_inbetween.media.folder import Folder
from gen_inbetween.media.reading.decoding import Interlaced
from gen_inbetween.media.reading.pipes import is_pipe, stored_input
from gen_inbetween.media.reading.sequences import is_pattern
from gen_inbetween.media.source import Source, VideoError
from gen_inbetween.media.times.rates import exact_rate
from gen_inbetween.runtime.files import address_of, refused_address

VideoPath: TypeAlias = Union[str, "os.PathLike[str]", Sequence["str | os.PathLike[str]"]]


class Video(NamedTuple):
    """Frames of one size, RGB or, where asked for, RGBA, and their rate; `fps` is None where none is stored."""

    frames: list[Image.Image]
    fps: float | None


def open_source(
    path: VideoPath,
    *,
    reader: Reader = "auto",
    folder_rate: float | str | None = None,
    interlaced: Interlaced = "deinterlace",
) -> Source:
    """The source at `path`, by its kind; the frames are read when they are asked for.

    Args:
        path: a video file, a GIF, WebP or PNG animation, a folder of images (in natural order: 2 before 10), a pattern
            that names some of them (f_%04d.png), a list of image files, or "-" for a film from standard input.
        reader: "auto" or "av", which are one; "decord", an optional package, where it is asked for (see `Container`).
        folder_rate: frames a second of a folder of images, which has no rate of its own; as `exact_rate` takes them.
        interlaced: "deinterlace" interlaced film, with a notice, or "keep" it as it is.

    Rotation and mirroring stored in a file are applied. `frames()` are pictures as a screen shows them: what is
    transparent turns white, HDR is tone-mapped, pixels are square; `between()` gives arrays in the film's own colour.

    Raises:
        VideoError: no such file, no images in the folder, a rate for what has its own.
    """
    rate = None if folder_rate is None else exact_rate(folder_rate, "folder_rate")
    if not isinstance(path, str | os.PathLike | list | tuple):
        raise VideoError(f"expected a path, or a list of image files, got {type(path).__name__}")
    if not isinstance(path, str | os.PathLike):
        if not path or not all(isinstance(file, str | os.PathLike) for file in path):
            kinds = ", ".join(sorted({type(file).__name__ for file in path})) or "an empty list"
            raise VideoError(f"expected a list of image files, got {kinds}: Clip(frames, fps) takes pictures")
        return Folder([Path(file) for file in path], rate)
    if is_pipe(path):
        path = stored_input()
    if address := address_of(path):
        raise VideoError(refused_address(address))
    path = Path(path)
    if is_pattern(path):
        return Folder(path, rate)
    if not path.exists():
        raise VideoError(f"no such file: {path}")
    if path.is_dir():
        return Folder(path, rate)
    if rate is not None:
        raise VideoError(f"{path} has its own rate; one is given for a folder of images only")
    return Animation(path) if path.suffix.lower() in ANIMATION_SUFFIXES else Container(path, reader, interlaced)


def read_frames(
    path: VideoPath,
    *,
    start: int = 0,
    stop: int | None = None,
    stride: int = 1,
    reader: Reader = "auto",
    alpha: bool = False,
) -> Video:
    """Read frames start, start + stride, ... below stop, as a slice would.

    Args:
        path, reader: as `open_source` has them.
        start, stop, stride: frame numbers of the file; `stop=None` reads to the end.
        alpha: RGBA frames where the file has transparency, rather than RGB ones over white.

    Returns:
        (frames, fps); fps is the file's, whatever the stride.

    Raises:
        VideoError: no such file, no video in it, damaged, no frame in the range.
    """
    frames, fps = stream_frames(path, start=start, stop=stop, stride=stride, reader=reader, alpha=alpha)
    return Video(list(frames), fps)


def stream_frames(
    path: VideoPath,
    *,
    start: int = 0,
    stop: int | None = None,
    stride: int = 1,
    reader: Reader = "auto",
    alpha: bool = False,
) -> tuple[Iterator[Image.Image], float | None]:
    """`read_frames` one frame at a time, in constant memory: (iterator, fps).

    What can be known beforehand is raised at once; damage further inside shows when the iterator gets there.
    """
    source = open_source(path, reader=reader)
    return source.frames(start, stop, stride, alpha), source.fps
