"""Sound of a retimed video: copied, or stretched at its own pitch.

Stretching is FFmpeg's atempo filter (waveform similarity overlap-add), in steps between 1/2 and 2, beyond which it
would skip samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeAlias

import av

from gen_inbetween.media.packets import read_packets
from gen_inbetween.runtime.files import file_url

Audio: TypeAlias = Literal["keep", "stretch", "drop"]

_BITS = 192_000  # a second, where sound has to be encoded anew
_RATE = 48_000  # samples a second at most: beyond 96,000 AAC takes none, and nobody hears the difference
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}  # where none is said
_ENCODERS = {"opus": "libopus", "mp3": "libmp3lame"}  # of codecs whose own one is poor or absent
_BEFORE_ZERO = frozenset({"mp4", "mov"})  # containers that hide packets before the beginning, and give them to decoders


@dataclass(frozen=True)
class Span:
    """The part of a file that is kept, in seconds on its own clock, and how many times as long it becomes."""

    begin: float
    end: float  # infinite: to the end of each track
    scale: float = 1.0


def can_be_copied(codec: str, output: Any) -> bool:
    """Whether packets of a codec go into the open container `output` so that players play them."""
    raw = codec.startswith("pcm_") and output.format.name == "mp4"  # which holds it since 2018, and few know
    return codec in output.supported_codecs and not raw


def copy_into(output: Any, path: Path, index: int, span: Span) -> tuple[Any, Iterator[Any]]:
    """A new stream of `output` for stream number `index` of a file, and its packets as they are, the earliest first."""
    with av.open(file_url(path)) as container:
        stream = output.add_stream_from_template(container.streams[index])
    return stream, _copied(path, index, span, stream, preroll=output.format.name in _BEFORE_ZERO)


def encode_into(output: Any, path: Path, index: int, span: Span, codec: str, layout: str) -> tuple[Any, Iterator[Any]]:
    """The same, stretched by span.scale at its own pitch, its channels mixed to `layout`, and encoded as `codec`."""
    with av.open(file_url(path)) as container:
        source: Any = container.streams[index]
        rate = _RATE if codec == "opus" else min(source.codec_context.sample_rate, _RATE)
        stream = output.add_stream(_ENCODERS.get(codec, codec), rate=rate, layout=layout)
        stream.bit_rate = _BITS
    return stream, _stretched(path, index, span, stream)


def _copied(path: Path, index: int, span: Span, stream: Any, preroll: bool) -> Iterator[Any]:
    """From the packet before the first one heard, where the container hides it: a decoder needs it."""
    with av.open(file_url(path)) as container:
        source: Any = container.streams[index]
        shift = round(Fraction(span.begin) / source.time_base)
        for packet in read_packets(container, source):
            if not packet.size or packet.pts is None:
                continue
            time, length = (float((value or 0) * source.time_base) for value in (packet.pts, packet.duration))
            if time + (2 if preroll else 0.5) * length <= span.begin:
                continue
            if time >= span.end:
                return
            packet.pts = packet.dts = packet.pts - shift if preroll else max(0, packet.pts - shift)
            packet.stream = stream
            yield packet


def _stretched(path: Path, index: int, span: Span, stream: Any) -> Iterator[Any]:
    if math.isinf(span.end):
        span = replace(span, end=_end_of(path, index))
    with av.open(file_url(path)) as container:
        source = container.streams[index]
        push, pull = _graph(source, span, stream)
        for packet in read_packets(container, source):
            for frame in _decoded(packet):
                push(frame)
                for out in pull():
                    yield from stream.encode(out)
            if packet.pts is not None and packet.pts * source.time_base >= span.end:
                break
        push(None)
        for out in pull():
            yield from stream.encode(out)
        yield from stream.encode(None)


def _end_of(path: Path, index: int) -> float:
    """When the last packet of a stream has been heard, in seconds on the file's clock."""
    with av.open(file_url(path)) as container:
        source: Any = container.streams[index]
        packets = (packet for packet in read_packets(container, source) if packet.size and packet.pts is not None)
        last = max((packet.pts + (packet.duration or 0) for packet in packets), default=0)
        return float(last * source.time_base)


def _graph(source: Any, span: Span, stream: Any) -> tuple[Any, Any]:
    """Cut out the range, fill holes with silence so that nothing after them comes early, change the tempo."""
    graph = av.filter.Graph()
    chain = [graph.add_abuffer(template=source)]
    for name, arguments in (
        ("atrim", f"start={span.begin:.6f}:end={span.end:.6f}"),
        ("asetpts", f"PTS-{span.begin:.6f}/TB"),
        ("aresample", "async=1:first_pts=0"),
        ("apad", "pad_dur=1"),  # atempo swallows the end of what it is given
        *(("atempo", f"{tempo:.9f}") for tempo in tempos(1 / span.scale) if span.scale != 1),
        ("atrim", f"end={(span.end - span.begin) * span.scale:.6f}"),
        ("aresample", f"{stream.codec_context.sample_rate}"),
        ("aformat", f"channel_layouts={stream.codec_context.layout.name}"),
        ("abuffersink", None),
    ):
        chain.append(graph.add(name, arguments))
    graph.link_nodes(*chain).configure()

    def pull() -> Iterator[Any]:
        while True:
            try:
                yield graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return

    return graph.push, pull


def layouts_of(path: Path, index: int) -> list[str]:
    """Names of channel layouts to encode a stream in, the best first: its own, the usual one of so many, stereo.

    Raw sound only counts its channels, and not every encoder takes surround channels at the sides.
    """
    with av.open(file_url(path)) as container:
        source: Any = container.streams[index]
        layout = source.codec_context.layout
    own = [] if layout.name.endswith("channels") else [layout.name]
    return list(dict.fromkeys([*own, _LAYOUTS.get(layout.nb_channels, "stereo"), "stereo"]))


def _decoded(packet: Any) -> list[Any]:
    try:
        return packet.decode()
    except av.FFmpegError:  # what is lost becomes silence
        return []


def tempos(factor: float) -> list[float]:
    """`factor` as a product of equal steps between 1/2 and 2.

    >>> tempos(4)
    [2.0, 2.0]
    >>> tempos(0.81)
    [0.81]
    """
    steps = max(1, math.ceil(abs(math.log2(factor)) - 1e-9))
    return [factor ** (1 / steps)] * steps
