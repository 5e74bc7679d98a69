"""Packets of a possibly damaged video: time stamps and decodable frames."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

log = logging.getLogger("gen_inbetween")

COARSEST = 0.25  # of the time between frames: a time stamp's unit beyond that says nothing about a grid
STUBBORN = 100  # failures to read on, one after the other, after which the rest of a file is given up


def time_stamps(container: Any, stream: Any, path: Path) -> tuple[NDArray[np.int64], int]:
    """The time stamps of all packets in order of display, none in an empty stream, and how long the last is shown.

    The latter is 0 where the container does not say.
    """
    stamps, latest, shown, packets = array("q"), None, 0, 0
    for packet in read_packets(container, stream):
        packets += packet.size > 0
        if not packet.size or packet.is_discard:
            continue
        stamp = next((value for value in (packet.pts, packet.dts) if value is not None), len(stamps))
        stamps.append(stamp)
        if latest is None or stamp > latest:
            latest, shown = stamp, packet.duration or 0
    if not stamps:
        return np.empty(0, np.int64), 0
    if packets < stream.frames:  # 0 where the container does not say how many there are
        log.warning("%s is damaged or cut off: it holds %d of %d frames", path, packets, stream.frames)
    return np.unique(np.frombuffer(stamps, dtype=np.int64)), shown


def constant_rate(
    ticks: NDArray[np.int64], tick: Fraction, rates: tuple[Fraction | None, ...]
) -> tuple[Fraction | None, NDArray[np.int64]]:
    """The constant rate on whose grid all time stamps lie, as well as they can be told, and their steps on it."""
    elapsed = (ticks - ticks[0]) * float(tick)
    for rate in rates:
        if not rate or tick * rate > COARSEST and tick * rate != 1:
            continue
        steps = np.rint(elapsed * float(rate)).astype(np.int64)
        off = np.abs(elapsed - steps / float(rate)).max()
        if off <= 1.01 * tick and (np.diff(steps) > 0).all():
            return Fraction(rate), steps
    return None, ticks


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


def whole_frames(container: Any, stream: Any, lost: Callable[[], None]) -> Iterator[Any]:
    """Every frame that decodes as a whole; `lost` is called for each packet that gives none."""
    for packet in read_packets(container, stream):
        if not packet.size and packet.dts is not None:
            continue  # an empty packet in mid-file would end the decoding; only the one after the last shall
        try:
            frames = packet.decode()
        except av.FFmpegError:
            lost()
            continue
        for frame in frames:
            if frame.is_corrupt:  # made up in part by the decoder
                lost()
            else:
                yield frame
