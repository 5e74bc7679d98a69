"""Packets and decodable frames of a possibly damaged video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import av

STUBBORN = 100  # failures to read on, one after the other, after which the rest of a file is given up


def read_packets(container: Any, stream: Any) -> Iterator[Any]:
    """Every packet that can be read, damaged ones too; FFmpeg goes on behind a damaged place by itself."""
    failures = 0
    while failures < STUBBORN:
        try:
            for packet in container.demux(stream):
                failures = 0
                yield packet
            return
        except av.FFmpegError:
            failures += 1


def whole_frames(container: Any, stream: Any, lost: Callable[[], None], decoder: Any | None = None) -> Iterator[Any]:
    """Every frame that decodes as a whole; `lost` is called for each packet that gives none.

    decoder: a codec context to decode with; None takes the stream's own.
    """
    for packet in read_packets(container, stream):
        if not packet.size and packet.dts is not None:
            continue  # an empty packet in mid-file would end the decoding; only the one after the last shall
        try:
            frames = packet.decode() if decoder is None else decoder.decode(packet)
        except av.FFmpegError:
            lost()
            continue
        for frame in frames:
            if frame.is_corrupt:  # made up in part by the decoder
                lost()
            else:
                yield frame
