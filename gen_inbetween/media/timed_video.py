"""Reading frames with the times they are shown at, from videos of constant and variable rate, damaged ones among them.

Times are seconds from the first chosen frame. Where a container rounds its time stamps (Matroska: to milliseconds) and
they lie on the grid of a constant rate, the grid is meant: 33 ms, 67 ms, 100 ms are 1/30, 2/30, 3/30 s.
What cannot be decoded is left out, counted and reported; the frames around it keep their times.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from gen_inbetween.media.packets import constant_rate, time_stamps, whole_frames
from gen_inbetween.media.video import (
    ANIMATION_SUFFIXES,
    image_files,
    open_animation,
    open_stream,
    stream_frames,
    upright,
)
from gen_inbetween.media.video_writer import VideoError

log = logging.getLogger("gen_inbetween")

Seconds: TypeAlias = NDArray[np.float64]

FOLDER_RATE = 24  # frames a second of a folder of images, unless said otherwise
_UNTIMED_MS = 100  # what browsers make of an animation's frame that says 0 ms
_COUNTING = frozenset({"avi"})  # containers that number packets as they are stored, and know no times of display
_UNSAID, _BT709 = 2, 1  # FFmpeg's numbers of colour matrices
_SD = (1280, 576)  # pixels: from that width on, or above that height, players take an unsaid matrix for BT.709 (mpv)
_HDR = frozenset({16, 18})  # FFmpeg's numbers of the transfer curves PQ and HLG


@dataclass
class TimedVideo:
    """The chosen frames of a video and when they are shown; `frames()` decodes them one at a time."""

    path: Path
    times: Seconds  # of each frame, the first at 0, rising; 8 bytes a frame is all that is kept of it
    duration: float  # seconds from the first frame's beginning to the last one's end
    rate: Fraction  # frames a second; where it varies, on average
    variable: bool
    origin: float  # the first frame's time on the file's own clock, which its sound keeps as well
    sample_aspect: Fraction | None  # width : height of a pixel, where it is said
    read: Callable[[TimedVideo], Iterator[tuple[Image.Image, float]]]
    damaged: int = 0  # packets that gave no whole frame, counted while reading

    def lose(self) -> None:
        """Count a packet that gave no whole frame."""
        self.damaged += 1

    def frames(self) -> Iterator[tuple[Image.Image, float]]:
        """(RGB image, seconds) of every frame that can be decoded; says at the end what could not be."""
        self.damaged = 0
        try:
            yield from self.read(self)
        finally:  # also where the reader has enough before the end
            if self.damaged:
                said = "%s is damaged: packets that could not be decoded, or only in part: %d; %s"
                left = "their frames are left out, and those built on them may show traces"
                log.warning(said, self.path, self.damaged, left)


def open_timed(
    path: str | os.PathLike[str],
    *,
    start: float | None = None,
    stop: float | None = None,
    folder_rate: float | None = None,
) -> TimedVideo:
    """Look through a source, without decoding a video, for the times of its frames.

    Args:
        path: a video, a GIF, WebP or PNG animation, or a folder of images.
        start, stop: seconds from the first frame; the frames that begin in start <= time < stop are chosen, and shown
            whole.
        folder_rate: frames a second of a folder of images, which has no rate of its own.

    Raises:
        VideoError: nothing to read there, no frame in that range, a rate for what has its own.
    """
    path = Path(path)
    low, high = start or 0.0, float("inf") if stop is None else stop
    if not 0 <= low < high:  # written so that NaN fails too
        raise VideoError(f"expected 0 <= start < stop in seconds; got start={start}, stop={stop}")
    if not path.exists():
        raise VideoError(f"no such file: {path}")
    if not path.is_dir() and folder_rate is not None:
        raise VideoError(f"{path} has its own rate; one is given for a folder of images only")
    if path.is_dir():
        return _open_folder(path, low, high, folder_rate)
    if path.suffix.lower() in ANIMATION_SUFFIXES:
        return _open_animation(path, low, high)
    return _open_video(path, low, high)


def _chosen(path: Path, times: Seconds, low: float, high: float) -> slice:
    """Which of `times`, every frame's and the end of the last, are in the range. VideoError: none."""
    first, last = np.searchsorted(times[:-1], (low - 1e-9, high - 1e-9))  # 1.2 s is meant, whatever 36 / 30 comes to
    if first == last:
        raise VideoError(f"{path} has no frame from {low:g} to {high:g} s; it lasts {times[-1]:.3f} s")
    return slice(int(first), int(last))


def _open_folder(path: Path, low: float, high: float, rate: float | None) -> TimedVideo:
    if rate is None:
        log.info("%s is a folder of images, which has no rate: %d frames a second are assumed", path, FOLDER_RATE)
    exact = Fraction(rate or FOLDER_RATE).limit_denominator(1001)
    if not 0.1 <= exact <= 1000:
        raise VideoError(f"frames a second are between 0.1 and 1000; got {rate}")
    files = image_files(path)
    if not files:
        raise VideoError(f"{path} holds no images; expected frames such as frame_00000.png")
    times = np.arange(len(files) + 1) / float(exact)
    return _by_number(path, times, exact, False, _chosen(path, times, low, high))


def _open_animation(path: Path, low: float, high: float) -> TimedVideo:
    shown = []
    with open_animation(path) as image:
        for frame in ImageSequence.Iterator(image):
            frame.load()  # Pillow knows how long a WebP frame shows only once it is decoded
            shown.append(frame.info.get("duration", 0) or _UNTIMED_MS)
    times = np.concatenate([[0], np.cumsum(shown)]) / 1000
    rate = Fraction(len(shown) / times[-1]).limit_denominator(1001)
    return _by_number(path, times, rate, len(set(shown)) > 1, _chosen(path, times, low, high))


def _by_number(path: Path, times: Seconds, rate: Fraction, variable: bool, chosen: slice) -> TimedVideo:
    """What `stream_frames` reads, which gives every frame or fails: frames and times go side by side."""

    def read(video: TimedVideo) -> Iterator[tuple[Image.Image, float]]:
        frames, _ = stream_frames(path, start=chosen.start, stop=chosen.stop)
        yield from zip(frames, video.times.tolist(), strict=True)

    origin = float(times[chosen.start])
    duration = float(times[chosen.stop]) - origin
    return TimedVideo(path, times[chosen] - origin, duration, rate, variable, origin, None, read)


def _open_video(path: Path, low: float, high: float) -> TimedVideo:
    container, stream = open_stream(path)
    with container:
        ticks, last_shown = time_stamps(container, stream, path)
        tick = stream.time_base
        rate, places = constant_rate(ticks, tick, (stream.average_rate, stream.base_rate, stream.guessed_rate))
        counted = container.format.name in _COUNTING
        aspect = stream.sample_aspect_ratio
        if stream.codec_context.color_trc in _HDR:
            log.warning("%s is HDR; it is written as 8-bit BT.709 without tone mapping, and will look pale", path)
    if rate is None:
        starts = (ticks - ticks[0]) * float(tick)
        last = float(last_shown * tick) or (float(np.median(np.diff(starts))) if len(starts) > 1 else 1 / FOLDER_RATE)
    else:
        starts, last = places / float(rate), float(1 / rate)
        if missing := int(places[-1]) + 1 - len(places):
            log.info("%s: of a steady %g fps, %d frames are not there; they are interpolated", path, rate, missing)
    times = np.append(starts, starts[-1] + last)
    chosen = _chosen(path, times, low, high)
    first, duration = float(times[chosen.start]), float(times[chosen.stop] - times[chosen.start])
    mean = rate or Fraction((chosen.stop - chosen.start) / duration).limit_denominator(1001)

    def read(video: TimedVideo) -> Iterator[tuple[Image.Image, float]]:
        return _decode(video, ticks, times[:-1], chosen, counted)

    origin = float(ticks[0] * tick) + first
    return TimedVideo(path, times[chosen] - first, duration, mean, rate is None, origin, aspect or None, read)


def _decode(
    video: TimedVideo, ticks: NDArray[np.int64], times: Seconds, chosen: slice, counted: bool
) -> Iterator[tuple[Image.Image, float]]:
    """The chosen frames. One thread decodes: with more, what is made of damage differs from run to run."""
    container, stream = open_stream(video.path)
    stream.thread_type = "NONE"
    shown = -1
    with container:
        for number, frame in enumerate(whole_frames(container, stream, video.lose)):
            by_number = counted or frame.pts is None
            place = number if by_number else min(int(np.searchsorted(ticks, frame.pts)), len(ticks) - 1)
            if place >= chosen.stop:
                return
            if place <= shown:  # a time stamp that is not after the one before it
                video.lose()
                continue
            shown = place
            if place >= chosen.start:
                if frame.colorspace == _UNSAID and (frame.width >= _SD[0] or frame.height > _SD[1]):
                    frame.colorspace = _BT709
                yield upright(frame), float(times[place] - times[chosen.start])
