"""Optional reader: frames by decord, quick at jumping about.

decord hands out frames that it has converted to R'G'B' itself, rounded less exactly than `frames/conversion.py` does:
most are off by a grey level or two. So it reads where it is asked for and nowhere else.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gen_inbetween.media.frames.colour import usual_matrix
from gen_inbetween.media.frames.errors import VideoError
from gen_inbetween.media.frames.screen import Pixels
from gen_inbetween.media.frames.side_data import orientation_of

_CODECS = frozenset({"h264", "hevc", "vp8", "vp9"})
_PIXELS = frozenset({"yuv420p", "yuvj420p"})  # of 10-bit H.264 its frames are wrong
_CONTAINERS = frozenset({"mp4", "matroska", "webm"})  # of MPEG program streams too
_SIDE = 64  # it takes bytes per padded row / width for the channels: 4 and more where rows are short
_UNSAID = 2  # FFmpeg's number of a colour matrix that is not named; decord takes BT.601 for it


def check_decord(path: Path, container: Any, stream: Any, frame: Any) -> None:
    """VideoError: decord is not installed, or reads wrong frames of this file; `frame` is its first one."""
    if importlib.util.find_spec("decord") is None:
        raise VideoError('reader="decord" needs decord: pip install "gen_inbetween[decord]", or use reader="av"')
    unsaid_hd = frame.colorspace == _UNSAID and usual_matrix(frame.width, frame.height) == "bt709"
    faults = {
        f"the codec {stream.codec_context.name}": stream.codec_context.name not in _CODECS,
        f"the pixel format {frame.format.name}": frame.format.name not in _PIXELS,
        f"the container {container.format.name}": _CONTAINERS.isdisjoint(container.format.name.split(",")),
        f"frames below {_SIDE} pixels": min(frame.width, frame.height) < _SIDE,
        "several video streams": len(container.streams.video) > 1,
        "mirrored frames": sum(orientation_of(frame)) % 2 == 1,
        "interlaced frames": frame.interlaced_frame,
        "high definition without a colour tag": unsaid_hd,
    }
    if wrong := [fault for fault, applies in faults.items() if applies]:
        raise VideoError(f'{path}: decord reads wrong frames of {" and ".join(wrong)}; use reader="av"')


def decord_frames(path: Path, start: int, stop: int | None, stride: int) -> Iterator[Pixels]:
    """Frames start, start + stride, ... below stop, (H, W, 3) uint8. VideoError: decord cannot read on."""
    decord = importlib.import_module("decord")
    try:
        video = decord.VideoReader(str(path), ctx=decord.cpu(0))
        for index in range(start, len(video) if stop is None else min(stop, len(video)), stride):
            yield video[index].asnumpy()
    except decord.DECORDError as error:
        message = f'{path} is damaged or cut off: decord cannot read on (reader="av" may get further)'
        raise VideoError(message) from error
