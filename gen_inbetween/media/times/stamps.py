"""Times of frames, told from the time stamps of packets.

A time stamp is trusted as far as it goes: stamps that several frames share are spread over the time until the next one,
and where packets have none the frames are counted. A grid is a frame rate only where most frames follow each other at
it: the unit of a container's clock (1/600 s, 1/90000 s) is none.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.media.frames.errors import VideoError
from gen_inbetween.media.packets import read_packets

log = logging.getLogger("gen_inbetween")

COARSEST = 0.25  # of the time between frames: a time stamp's unit beyond that says nothing about a grid
RESTART = 0.5  # seconds that stamps fall back where another recording begins
STEADY = 5  # packets that stay there: a single damaged stamp is none
COUNTING = frozenset({"avi"})  # containers that number packets as they are stored, and know no times of display


class Stamps(NamedTuple):
    """What the packets of a video stream say of its times."""

    ticks: NDArray[np.int64]  # of each frame, in order of display; some may be equal
    last_ticks: int  # how long the last frame is shown; 0: not said
    usual_ticks: int  # how long a frame is usually shown; 0: not said
    counted: bool  # frames are numbered as they come: packets without a time of display
    silent: bool  # the packets say no times at all, or one for all, so that `ticks` are numbers


def read_stamps(container: Any, stream: Any, path: Path, look: Callable[[Any], None] | None = None) -> Stamps:
    """The time stamps of all packets, nothing decoded; none of an empty stream. look: is shown every packet.

    Raises:
        VideoError: the stamps start anew within the file, so that they are no times.
    """
    shown, decoded, durations, packets = array("q"), array("q"), array("q"), 0
    for packet in read_packets(container, stream):
        packets += packet.size > 0
        if not packet.size or packet.is_discard:
            continue
        if look is not None:
            look(packet)
        durations.append(packet.duration or 0)
        if packet.pts is not None:
            shown.append(packet.pts)
        if packet.dts is not None:
            decoded.append(packet.dts)
    if packets < stream.frames:  # 0 where the container does not say how many there are
        log.warning("%s is damaged or cut off: it holds %d of %d frames", path, packets, stream.frames)
    check_one_recording(np.frombuffer(decoded, np.int64), stream.time_base, path)
    counted = container.format.name in COUNTING or len(shown) < len(durations)
    chosen = decoded if counted else shown
    silent = len(chosen) < len(durations) or len(set(chosen)) == 1 < len(durations)  # all alike: they say nothing
    ticks = np.arange(len(durations)) if silent else np.frombuffer(chosen, dtype=np.int64)
    usual = int(np.median(np.frombuffer(durations, np.int64))) if len(durations) else 0
    last = durations[int(np.argmax(ticks))] if len(durations) else 0
    if len(ticks) and packets == stream.frames and stream.duration and not counted:  # pictures may be out of order: ...
        last = max(0, (stream.start_time or 0) + stream.duration - int(ticks.max())) or last  # ... as the whole says
    return Stamps(np.sort(ticks).astype(np.int64), last, usual, counted or silent, silent)


def check_one_recording(decoded: NDArray[np.int64], tick: Fraction, path: Path) -> None:
    """Refuse stamps of decoding, which only rise within a recording, that fall back and stay there."""
    latest = np.maximum.accumulate(decoded)
    for index in np.flatnonzero(np.diff(decoded) * float(tick) < -RESTART) + 1:
        if decoded[index : index + STEADY].max() < latest[index - 1]:
            raise VideoError(
                f"{path}: the time stamps start anew {float((latest[index - 1] - latest[0]) * tick):.1f} s after the "
                "beginning: recordings joined end to end; write them in a row first, for example: "
                f"ffmpeg -i {path.name} -c copy {path.stem}.mkv"
            )


def spread_equal(ticks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Times that rise: frames of one time stamp share the time until the next evenly.

    >>> spread_equal(np.array([0, 3, 3, 6, 12, 12])).tolist()
    [0.0, 3.0, 4.5, 6.0, 12.0, 15.0]
    """
    values, counts = np.unique(ticks, return_counts=True)
    if counts.max(initial=1) == 1:
        return ticks.astype(np.float64)
    steps = np.diff(values)
    usual = float(np.median(steps / counts[:-1])) if len(steps) else 1.0
    lengths = np.append(steps, usual * counts[-1])
    places = np.concatenate([np.arange(count) / count for count in counts])
    return np.repeat(values, counts) + places * np.repeat(lengths, counts)


def constant_rate(
    ticks: NDArray[np.int64], tick: Fraction, rates: tuple[Fraction | None, ...]
) -> tuple[Fraction | None, NDArray[np.int64]]:
    """The constant rate on whose grid all time stamps lie, as well as they can be told, and their steps on it.

    Most steps are one of the grid: a phone's clock of 600 or 90000 ticks a second is no rate, though all stamps lie on
    it.
    """
    elapsed = (ticks - ticks[0]) * float(tick)
    for rate in rates:
        if not rate or tick * rate > COARSEST and tick * rate != 1:
            continue
        places = np.rint(elapsed * float(rate)).astype(np.int64)
        off = np.abs(elapsed - places / float(rate)).max()
        steps = np.diff(places)
        if off <= 1.01 * tick and (steps > 0).all() and (not len(steps) or np.median(steps) == 1):
            return _unrounded(Fraction(rate)), places
    return None, ticks


def _unrounded(rate: Fraction) -> Fraction:
    """NTSC's rate where a container's nanoseconds are that one rounded: Matroska's 19001/317 is 60000/1001."""
    ntsc = Fraction(1000 * round(rate * Fraction(1001, 1000)), 1001)
    return ntsc if ntsc and abs(rate - ntsc) < ntsc / 5_000_000 else rate
