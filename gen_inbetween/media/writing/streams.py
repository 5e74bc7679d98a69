"""Encoding of frames into a video file or a pipe."""

from __future__ import annotations

import heapq
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

from gen_inbetween.media.frames.colour import FilmColour, usual_matrix, write_tags
from gen_inbetween.media.frames.conversion import av_frame, padded
from gen_inbetween.media.frames.screen import Pixels, with_alpha

if TYPE_CHECKING:
    from gen_inbetween.media.tracks.tracks import Tracks
    from gen_inbetween.media.writing.codecs import Encoding

_MUXER = {
    "mp4": {"movflags": "+faststart"},
    "mov": {"movflags": "+faststart"},
    "matroska": {"fflags": "+bitexact"},  # no random numbers, so that equal frames give equal files
    "webm": {"fflags": "+bitexact"},
    "yuv4mpegpipe": {"strict": "-1"},
}
_CLOCK = Fraction(1, 90_000)  # seconds: the unit of times at a varying rate
_STRICT = frozenset({"ffv1", "rawvideo"})  # encoders that call the rarer of their pixels experimental

os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 tells its settings on stderr unless it is to tell errors only


def muxer_options(format: str) -> dict[str, str]:
    """What the muxer of a container is told."""
    return dict(_MUXER.get(format, {}))


def encode_frames(
    frames: Iterator[Pixels],
    file: Any,
    rate: Fraction,
    encoding: Encoding,
    colour: FilmColour,
    sample_aspect: Fraction | None,
    starts: Sequence[float] | None = None,
    tracks: Tracks | None = None,
) -> None:
    """Encode frames, one at a time.

    Args:
        frames: (H, W, 3 or 4) of one size, at least one; without alpha where the encoding has none.
        file: what PyAV opens to write.
        colour: of the frames, and of the file's tags.
        starts: seconds at which frames begin and the last one ends, where the rate varies.
        tracks: what goes along with the frames.
    """
    ticks = _ticks(starts or ())
    lengths = {start: end - start for start, end in itertools.pairwise(ticks)}
    with av.open(file, "w", format=encoding.format, options=muxer_options(encoding.format)) as container:
        options = dict(encoding.options) | ({"strict": "-2"} if encoding.encoder in _STRICT else {})
        stream: Any = container.add_stream(encoding.encoder, rate=rate, options=options)
        stream.pix_fmt = encoding.pix_fmt
        if starts is not None:
            stream.time_base = stream.codec_context.time_base = _CLOCK
            stream.codec_context.max_b_frames = 0  # MP4 keeps the times between packets as they are decoded
        if encoding.tag and encoding.format in ("mp4", "mov"):
            stream.codec_context.codec_tag = encoding.tag
        if sample_aspect is not None:
            stream.codec_context.sample_aspect_ratio = sample_aspect

        def encoded() -> Iterator[Any]:
            look = colour
            for index, pixels in enumerate(frames):
                whole = padded(with_alpha(pixels) if encoding.alpha else pixels, encoding.pix_fmt)
                if index == 0:
                    stream.height, stream.width = whole.shape[:2]
                    if not encoding.tagged:
                        look = replace(look, matrix=usual_matrix(stream.width, stream.height), range="tv")
                    write_tags(stream.codec_context, look, encoding.pix_fmt)
                frame = av_frame(
                    whole, look, encoding.pix_fmt, "center" if encoding.format == "yuv4mpegpipe" else "left"
                )
                frame.pts, frame.time_base = (index, 1 / rate) if starts is None else (ticks[index], _CLOCK)
                yield from _timed(stream.encode(frame), lengths)
            yield from _timed(stream.encode(), lengths)

        feeds = tracks.add_to(container, stream) if tracks else []
        for packet in heapq.merge(encoded(), *feeds, key=decoding_time) if feeds else encoded():
            container.mux(packet)


def decoding_time(packet: Any) -> Any:
    """When a packet is decoded, in seconds: the order in which those of several streams are stored."""
    return packet.dts * packet.time_base


def _ticks(seconds: Sequence[float]) -> list[int]:
    """Times that rise as ticks of the clock that rise: frames nearer than a tick are a tick apart, as MP4 demands.

    >>> _ticks([0, 0.5, 0.500001, 0.500002, 1])
    [0, 45000, 45001, 45002, 90000]
    """
    ticks: list[int] = []
    for second in seconds:
        tick = round(second / _CLOCK)
        ticks.append(max(tick, ticks[-1] + 1) if ticks else tick)
    return ticks


def _timed(packets: list[Any], lengths: dict[int, int]) -> list[Any]:
    """The packets of frames at varying times, each as long as its frame is shown: encoders forget the last one's."""
    for packet in packets if lengths else ():
        packet.duration = lengths[packet.pts]
    return packets
