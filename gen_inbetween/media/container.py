"""Video source: a video file, read by PyAV.

Frames are converted in one place (`frames/conversion.py`), by what the file says of its colour. decord, an optional
reader, converts its frames itself (`reading/decord_frames.py`) and reads only where it is asked for.

Where a container rounds its time stamps (Matroska: to milliseconds) and they lie on the grid of a constant rate, the
grid is meant: 33 ms, 67 ms, 100 ms are 1/30, 2/30, 3/30 s.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

from gen_inbetween.media.frames.colour import FilmColour, colour_of
from gen_inbetween.media.frames.conversion import fitted, pixels_of
from gen_inbetween.media.frames.screen import WHITE, Pixels, eight_bit, over, sixteen_bit, with_alpha
from gen_inbetween.media.frames.side_data import dynamic_metadata, light_of, orientation_of, turned_upright
from gen_inbetween.media.frames.siting import SILENT, sited
from gen_inbetween.media.packets import whole_frames
from gen_inbetween.media.reading.decoding import Interlaced, SizeWatch, alpha_decoder, deinterlaced, limit_decoder
from gen_inbetween.media.reading.decord_frames import check_decord, decord_frames
from gen_inbetween.media.source import DEFAULT_RATE, Source, Timeline, VideoError
from gen_inbetween.media.times.pauses import find_holds
from gen_inbetween.media.times.stamps import Stamps, constant_rate, read_stamps, spread_equal
from gen_inbetween.runtime.files import file_url

log = logging.getLogger("gen_inbetween")

Reader = Literal["auto", "av", "decord"]

PICTURES = frozenset({"png", "mjpeg", "bmp", "gif", "tiff", "webp"})  # codecs of cover art, beside another one's film


class _First(NamedTuple):
    """What the first frame says of all."""

    fps: float | None
    colour: FilmColour
    sample_aspect: Fraction | None  # of the upright frame; None: square, or not said
    size: tuple[int, int]  # width and height of the upright frame
    codec: str
    interlaced: bool


@dataclass(frozen=True)
class _Description:
    """What the packets and the header of a video stream say of it."""

    stamps: Stamps
    tick: Fraction  # seconds
    rates: tuple[Fraction | None, ...]  # frames a second, as the file and FFmpeg have it


class Container(Source):
    """A video file in a container such as MP4, Matroska or WebM.

    Args:
        reader: "auto" or "av": PyAV. "decord" where it is asked for: frames that it has converted itself, a grey level
            or two off; `between()` reads by PyAV, which knows their times.
        interlaced: "deinterlace" interlaced frames, with a notice, or "keep" them as they are.

    A size that changes inside the file is fitted to the first one's.

    Raises:
        VideoError: no such reader, or way with interlaced frames. At the first look: no video in the file, or damaged;
            decord wanted, and missing or wrong for this file.
    """

    def __init__(self, path: Path, reader: Reader = "auto", interlaced: Interlaced = "deinterlace") -> None:
        if interlaced not in get_args(Interlaced):
            raise VideoError(f"interlaced is one of {', '.join(get_args(Interlaced))}; got {interlaced!r}")
        if reader not in get_args(Reader):
            raise VideoError(f"reader is one of {', '.join(get_args(Reader))}; got {reader!r}")
        self.path, self.reader, self.interlaced = path, reader, interlaced
        self._resizing_said = self._deinterlacing_said = False

    @property
    def fps(self) -> float | None:
        return self._first.fps

    @property
    def colour(self) -> FilmColour:
        return self._first.colour

    @property
    def sample_aspect(self) -> Fraction | None:
        return self._first.sample_aspect

    @cached_property
    def _first(self) -> _First:
        container, stream = open_stream(self.path)
        with container:
            # The average of a stream without times is a guess of FFmpeg's before it has looked.
            rate = (stream.average_rate if stream.start_time is not None else None) or stream.guessed_rate
            lost: list[None] = []
            decoded = whole_frames(container, stream, lambda: lost.append(None), alpha_decoder(stream))
            if (frame := next(decoded, None)) is None:
                fault = "cannot be decoded" if lost else "holds a video stream without a single frame"
                raise VideoError(f"{self.path} {fault}")
            if self.reader == "decord":
                check_decord(self.path, container, stream, frame)
            aspect = stream.sample_aspect_ratio or Fraction(1)
            if orientation_of(frame)[0]:
                aspect = 1 / aspect
            height, width = turned_upright(np.empty((frame.height, frame.width, 0)), orientation_of(frame)).shape[:2]
            self._note_dynamic(dynamic_metadata(frame))
            return _First(
                float(rate) if rate else None,
                replace(colour_of(frame), light=light_of(frame)),
                aspect if aspect != 1 else None,
                (width, height),
                stream.codec_context.name,
                frame.interlaced_frame,
            )

    def read(self, start: int, stop: int | None, stride: int) -> Iterator[Pixels]:
        if self.reader == "decord" and self._first:  # the first look tells whether it may
            return decord_frames(self.path, start, stop, stride)
        return self._read_by_av(start, stop, stride)

    def _read_by_av(self, start: int, stop: int | None, stride: int) -> Iterator[Pixels]:
        container, stream = open_stream(self.path)
        stream.thread_type = "AUTO"
        with container:
            try:
                frames = self._whole(_decode_whole(container, stream, self.path))
                for frame in itertools.islice(frames, start, stop, stride):
                    yield self._pixels(frame)
            except av.FFmpegError as error:
                raise VideoError(f"{self.path} is damaged or cut off further inside: {error.strerror}") from error

    def _whole(self, frames: Iterator[Any]) -> Iterator[Any]:
        """Decoded frames, deinterlaced where that is wanted."""
        if self.interlaced == "keep":
            return frames
        return deinterlaced(frames, self._note_interlaced)

    def _note_dynamic(self, kinds: list[str]) -> None:
        if kinds:
            message = "%s: %s describes each frame for itself, which new frames cannot have: it is left out"
            log.info(message, self.path, " and ".join(kinds))

    def _note_interlaced(self) -> None:
        """Say once that frames are deinterlaced; before the first is read, where the first is interlaced."""
        if not self._deinterlacing_said:
            log.info(
                '%s is interlaced; it is deinterlaced (bwdif), a frame of two fields; "keep" leaves it so', self.path
            )
            self._deinterlacing_said = True

    def _pixels(self, frame: Any) -> Pixels:
        """A decoded frame in the size, the depth and the channels of the first."""
        if self._first.codec in SILENT:
            frame = sited(frame)
        pixels, colour, size = pixels_of(frame), self.colour, self._first.size
        if colour.alpha != (pixels.shape[2] == 4):
            pixels = with_alpha(pixels) if colour.alpha else over(pixels, WHITE)
        pixels = sixteen_bit(pixels) if colour.bits > 8 else eight_bit(pixels)
        if (pixels.shape[1], pixels.shape[0]) == size:
            return pixels
        self._note_sizes([size, (pixels.shape[1], pixels.shape[0])])
        return fitted(pixels, *size)

    def _note_sizes(self, sizes: Sequence[tuple[int, int]]) -> None:
        if len(sizes) > 1 and not self._resizing_said:
            listed = ", then ".join(f"{width}x{height}" for width, height in sizes)
            log.warning("%s changes its size inside (%s): all frames are fitted to the first", self.path, listed)
            self._resizing_said = True

    @cached_property
    def _description(self) -> _Description:
        """From the packets alone; nothing is decoded."""
        container, stream = open_stream(self.path)
        with container:
            watch = SizeWatch(stream.codec_context.name)
            stamps = read_stamps(container, stream, self.path, watch.look)
            if not len(stamps.ticks):
                raise VideoError(f"{self.path} holds a video stream without a single frame")
            self._note_sizes(watch.sizes)
            rates = stream.average_rate, stream.base_rate, stream.guessed_rate
            return _Description(stamps, stream.time_base, rates)

    def read_timeline(self) -> Timeline:
        stamps, tick = self._description.stamps, self._description.tick
        if self._first.interlaced and self.interlaced != "keep":
            self._note_interlaced()
        rate, ticks = self._rate_and_ticks()
        if rate is None:
            rising = spread_equal(ticks)
            starts = (rising - rising[0]) * float(tick)
            usual = float(np.median(np.diff(starts))) if len(starts) > 1 else 1 / DEFAULT_RATE
            # One tick of a fine clock is what muxers write that know no duration.
            last = float(stamps.last_ticks * tick) if stamps.last_ticks > 1 else usual
        else:
            starts, last = ticks / float(rate), float(1 / rate)
        times = np.append(starts, starts[-1] + last)
        self._note(times, rate)
        origin = 0.0 if stamps.silent else float(stamps.ticks[0] * tick)
        return Timeline(times, rate, rate is None, origin)

    def _rate_and_ticks(self) -> tuple[Fraction | None, NDArray[np.int64]]:
        """The constant rate and the steps of the frames on it; None and the time stamps where there is none."""
        stamps, tick, rates = self._description.stamps, self._description.tick, self._description.rates
        if not stamps.silent:
            return constant_rate(stamps.ticks, tick, rates)
        rate = 1 / (stamps.usual_ticks * tick) if stamps.usual_ticks else rates[-1] or Fraction(DEFAULT_RATE)
        log.info(
            "%s has no times of its frames: all %d follow each other at %.6g fps", self.path, len(stamps.ticks), rate
        )
        return rate, stamps.ticks

    def _note(self, times: NDArray[np.float64], rate: Fraction | None) -> None:
        """Say what is unusual about the times of the frames (n) and the last one's end."""
        ticks, holds = self._description.stamps.ticks, find_holds(times)
        if shared := len(ticks) - len(np.unique(ticks)):
            log.info("%s: %d frames bear the time stamp of the one before; they are spread evenly", self.path, shared)
        if rate is not None and not self._description.stamps.silent:
            steps = np.rint(np.diff(times) * float(rate))[:-1]
            if missing := int((steps - 1)[~holds[:-1]].sum()):
                message = "%s: of a steady %.6g fps, %d frames are not there; they are interpolated"
                log.info(message, self.path, rate, missing)

    def read_timed(self, chosen: slice, lose: Callable[[], None]) -> Iterator[tuple[Pixels, int]]:
        """As the base class says. One thread decodes: with more, what is made of damage differs from run to run."""
        ticks, counted = self._description.stamps.ticks, self._description.stamps.counted
        shared = bool((np.diff(ticks) == 0).any())  # stamps of several frames: which one it is only its turn tells
        container, stream = open_stream(self.path)
        stream.thread_type = "NONE"
        latest, lost = -1, 0

        def lose_packet() -> None:
            nonlocal lost
            lost += 1
            lose()

        with container:
            frames = self._whole(whole_frames(container, stream, lose_packet, alpha_decoder(stream)))
            for index, frame in enumerate(frames):
                if counted or frame.pts is None:
                    number = index
                elif shared:
                    number = min(index + lost, len(ticks) - 1)
                else:
                    number = min(int(np.searchsorted(ticks, frame.pts)), len(ticks) - 1)
                if number >= chosen.stop:
                    return
                if number <= latest:  # a time stamp that is not after the one before it
                    lose()
                    continue
                latest = number
                if number >= chosen.start:
                    yield self._pixels(frame), number


def open_stream(path: Path) -> tuple[Any, Any]:
    """The PyAV container and its video stream. VideoError: there is none, or no container that can be read."""
    try:
        container = av.open(file_url(path))
    except av.FFmpegError as error:
        empty = " (0 bytes)" if path.stat().st_size == 0 else ""
        raise VideoError(f"{path}{empty} is not a video that can be read, or is damaged: {error.strerror}") from error
    if container.format.name == "image2" or container.format.name.endswith("_pipe"):
        container.close()
        raise VideoError(f"{path} is a still image; expected a video, an animation or a folder of images")
    stream = _film(container.streams.video)
    if stream is None:
        only = ", only a picture: cover art" if container.streams.video else ""
        container.close()
        raise VideoError(f"{path} holds no video stream{only}")
    try:
        limit_decoder(path, stream.codec_context)
    except VideoError:
        container.close()
        raise
    return container, stream


def _film(streams: Sequence[Any]) -> Any | None:
    """The first video stream that is no cover art, which some containers mark so and others store as a picture."""
    unmarked = [stream for stream in streams if not stream.disposition & Disposition.attached_pic]
    moving = [stream for stream in unmarked if stream.codec_context and stream.codec_context.name not in PICTURES]
    return next(iter(moving or [stream for stream in unmarked if stream.codec_context]), None)


def _decode_whole(container: Any, stream: Any, path: Path) -> Iterator[Any]:
    """Every frame; an error at the end if packets were missing, which FFmpeg's threads may pass over in silence."""
    packets, decoder = 0, alpha_decoder(stream)
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise VideoError(f"{path} is damaged or cut off further inside: packet {packets} is not whole")
        packets += packet.size > 0
        yield from packet.decode() if decoder is None else decoder.decode(packet)
    if packets < stream.frames:  # 0 where the container does not say how many there are
        raise VideoError(f"{path} is damaged or cut off: it holds {packets} of {stream.frames} frames")
