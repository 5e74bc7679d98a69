"""Reading frames from a video, an animation or a folder of images: one function, whichever reader does the work.

PyAV reads videos, Pillow animations (FFmpeg misjudges the rate of a GIF whose frame times differ). decord, where it is
installed, is several times faster at jumping about, and is chosen only for what it decodes to the same frames: 8-bit
H.264, HEVC, VP8 and VP9 in MP4, Matroska and WebM, of at least 64 x 64 pixels. (It fails on AV1; from MPEG program
streams, 10-bit H.264 and narrower videos its frames are wrong.)
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import av
import numpy as np
from PIL import Image, ImageSequence

from gen_inbetween.media.image import FrameError, open_frame
from gen_inbetween.media.video_writer import VideoError, write_video

__all__ = ["Reader", "Video", "VideoError", "read_frames", "stream_frames", "write_video"]

Reader = Literal["auto", "av", "decord"]

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm"})
ANIMATION_SUFFIXES = frozenset({".gif", ".webp", ".png", ".apng"})
_DECORD_EXACT_CODECS = frozenset({"h264", "hevc", "vp8", "vp9"})
_DECORD_EXACT_PIXELS = frozenset({"yuv420p", "yuvj420p"})
_DECORD_EXACT_CONTAINERS = frozenset({"mp4", "matroska", "webm"})
_DECORD_EXACT_SIDE = 64  # it takes bytes per padded row / width for the channels: 4 and more where rows are short


class Video(NamedTuple):
    """Frames of one size (RGB images) and their rate; `fps` is None where none is stored, as in a folder of images."""

    frames: list[Image.Image]
    fps: float | None


def read_frames(
    path: str | os.PathLike[str],
    *,
    start: int = 0,
    stop: int | None = None,
    stride: int = 1,
    reader: Reader = "auto",
) -> Video:
    """Read frames start, start + stride, ... below stop, as a slice would.

    Args:
        path: a video file, a GIF, WebP or PNG animation, or a folder of images (in natural order: 2 before 10).
        start, stop, stride: frame numbers of the file; `stop=None` reads to the end.
        reader: "av", "decord", or "auto": decord where it is installed and exact, otherwise PyAV; the same frames.

    Rotation stored in the file is applied; what is transparent turns white.

    Returns:
        (frames, fps); fps is the file's, whatever the stride.

    Raises:
        VideoError: no such file, no video in it, damaged, no frame in the range; decord wanted and missing or inexact.
    """
    frames, fps = stream_frames(path, start=start, stop=stop, stride=stride, reader=reader)
    return Video(list(frames), fps)


def stream_frames(
    path: str | os.PathLike[str],
    *,
    start: int = 0,
    stop: int | None = None,
    stride: int = 1,
    reader: Reader = "auto",
) -> tuple[Iterator[Image.Image], float | None]:
    """`read_frames` one frame at a time, in constant memory: (iterator, fps).

    What can be known beforehand is raised at once; damage further inside shows when the iterator gets there.
    """
    path = Path(path)
    if start < 0 or stride < 1 or (stop is not None and stop <= start):
        raise VideoError(f"expected 0 <= start < stop and stride >= 1; got {start=}, {stop=}, {stride=}")
    if reader not in get_args(Reader):
        raise VideoError(f"reader is one of {', '.join(get_args(Reader))}; got {reader!r}")
    if not path.exists():
        raise VideoError(f"no such file: {path}")
    frames: Callable[[Path, int, int | None, int], Iterator[Image.Image]]
    if path.is_dir():
        frames, fps = _folder_frames, None
    elif path.suffix.lower() in ANIMATION_SUFFIXES:
        frames, fps = _animation_frames, _animation_rate(path)
    else:
        fps, decord_exact = _probe(path)
        by_decord = _decord_frames if reader == "decord" else _decord_then_av
        frames = by_decord if _use_decord(path, decord_exact, reader) else _av_frames
    return _at_least_one(frames(path, start, stop, stride), path, start), fps


def _at_least_one(frames: Iterator[Image.Image], path: Path, start: int) -> Iterator[Image.Image]:
    """Decode the first frame now, so that a damaged file or an empty range is known before any work."""
    first = next(frames, None)
    if first is None:
        raise VideoError(f"{path} has no frame {start}; it is shorter than that: choose an earlier start")
    return itertools.chain([first], frames)


def _use_decord(path: Path, decord_exact: bool, reader: Reader) -> bool:
    if reader == "av" or (reader == "auto" and not decord_exact):
        return False
    installed = importlib.util.find_spec("decord") is not None
    if reader == "decord" and not installed:
        raise VideoError('reader="decord" needs decord: pip install "gen_inbetween[decord]", or use reader="av"')
    if reader == "decord" and not decord_exact:
        raise VideoError(f'decord does not decode {path} exactly (for its codec, container or size); use reader="av"')
    return installed


def open_stream(path: Path) -> tuple[Any, Any]:
    """The PyAV container and its video stream. VideoError: there is none, or no container that can be read."""
    try:
        container = av.open(str(path))
    except av.FFmpegError as error:
        empty = " (0 bytes)" if path.stat().st_size == 0 else ""
        raise VideoError(f"{path}{empty} is not a video that can be read, or is damaged: {error.strerror}") from error
    if container.format.name == "image2" or container.format.name.endswith("_pipe"):
        container.close()
        raise VideoError(f"{path} is a still image; expected a video, an animation or a folder of images")
    if not container.streams.video:
        container.close()
        raise VideoError(f"{path} holds no video stream")
    return container, container.streams.video[0]


def _probe(path: Path) -> tuple[float | None, bool]:
    """The rate, and whether decord decodes this to the same frames as PyAV."""
    container, stream = open_stream(path)
    with container:
        rate = stream.average_rate or stream.guessed_rate
        try:
            frame = next(container.decode(stream), None)
        except av.FFmpegError as error:
            raise VideoError(f"{path} cannot be decoded: {error.strerror}") from error
        if frame is None:
            raise VideoError(f"{path} holds a video stream without a single frame")
        exact = (
            stream.codec_context.name in _DECORD_EXACT_CODECS
            and stream.codec_context.pix_fmt in _DECORD_EXACT_PIXELS
            and not _DECORD_EXACT_CONTAINERS.isdisjoint(container.format.name.split(","))
            and min(frame.width, frame.height) >= _DECORD_EXACT_SIDE
        )
    return float(rate) if rate else None, exact


def _av_frames(path: Path, start: int, stop: int | None, stride: int) -> Iterator[Image.Image]:
    container, stream = open_stream(path)
    stream.thread_type = "AUTO"
    with container:
        try:
            for frame in itertools.islice(_decode_whole(container, stream, path), start, stop, stride):
                yield upright(frame)
        except av.FFmpegError as error:
            raise VideoError(f"{path} is damaged or cut off further inside: {error.strerror}") from error


def _decode_whole(container: Any, stream: Any, path: Path) -> Iterator[Any]:
    """Every frame; an error at the end if packets were missing, which FFmpeg's threads may pass over in silence."""
    packets = 0
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise VideoError(f"{path} is damaged or cut off further inside: packet {packets} is not whole")
        packets += packet.size > 0
        yield from packet.decode()
    if packets < stream.frames:  # 0 where the container does not say how many there are
        raise VideoError(f"{path} is damaged or cut off: it holds {packets} of {stream.frames} frames")


def upright(frame: Any) -> Image.Image:
    """A decoded frame as an RGB image, turned as the file says."""
    pixels = frame.to_ndarray(format="rgb24")
    return Image.fromarray(np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90))))


def _decord_frames(path: Path, start: int, stop: int | None, stride: int) -> Iterator[Image.Image]:
    decord = importlib.import_module("decord")
    try:
        video = decord.VideoReader(str(path), ctx=decord.cpu(0))
        for index in range(start, len(video) if stop is None else min(stop, len(video)), stride):
            pixels = video[index]
            yield Image.fromarray(pixels.asnumpy() if hasattr(pixels, "asnumpy") else np.asarray(pixels))
    except decord.DECORDError as error:
        raise VideoError(
            f'{path} is damaged or cut off: decord cannot read on (reader="av" may get further)'
        ) from error


def _decord_then_av(path: Path, start: int, stop: int | None, stride: int) -> Iterator[Image.Image]:
    """decord's frames, and PyAV's from where decord cannot read on, as it does in some videos without a fault."""
    given = 0
    try:
        for frame in _decord_frames(path, start, stop, stride):
            yield frame
            given += 1
    except VideoError:
        following = start + given * stride
        if stop is None or following < stop:
            yield from _av_frames(path, following, stop, stride)


def _animation_rate(path: Path) -> float | None:
    """Frames a second on average, as each frame states its own time."""
    durations = []
    with open_animation(path) as image:
        for frame in ImageSequence.Iterator(image):
            frame.load()  # Pillow knows how long a WebP frame shows only once it is decoded
            durations.append(frame.info.get("duration", 0))
    return 1000 * len(durations) / sum(durations) if sum(durations) else None


def _animation_frames(path: Path, start: int, stop: int | None, stride: int) -> Iterator[Image.Image]:
    with open_animation(path) as image:
        for frame in itertools.islice(ImageSequence.Iterator(image), start, stop, stride):
            yield open_frame(frame)


@contextmanager
def open_animation(path: Path) -> Iterator[Any]:
    """The animation as Pillow opens it. VideoError: it does not move, or is damaged."""
    try:
        with Image.open(path) as image:
            image.load()
            if not (getattr(image, "is_animated", False) or image.info.get("duration")):
                raise VideoError(f"{path} is a still image; expected a video, an animation or a folder of images")
            yield image
    except (OSError, SyntaxError, FrameError) as error:
        raise VideoError(f"{path} is not an animation that can be read, or is damaged: {error}") from error


def _folder_frames(folder: Path, start: int, stop: int | None, stride: int) -> Iterator[Image.Image]:
    paths = image_files(folder)
    if not paths:
        raise VideoError(f"{folder} holds no images; expected frames such as frame_00000.png")
    size: tuple[int, int] | None = None
    for path in paths[start:stop:stride]:
        try:
            frame = open_frame(path)
        except FrameError as error:
            raise VideoError(str(error)) from error
        size = size or frame.size
        if frame.size != size:
            raise VideoError(f"frames of one folder have one size; {path} is {frame.size}, those before it are {size}")
        yield frame


def image_files(folder: Path) -> list[Path]:
    """The images of a folder in natural order, 2 before 10; hidden files are none."""
    images = (file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.name[0] != ".")
    return sorted(images, key=_natural)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort key in which frame2 comes before frame10."""
    parts = re.split(r"(\d+)", path.name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part.lower()) for part in parts] + [(0, 0, path.name)]
