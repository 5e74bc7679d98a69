"""The sound of a retimed video: copied packet by packet, or stretched in time with its pitch kept.

Stretching is FFmpeg's atempo filter (waveform similarity overlap-add), in steps between 1/2 and 2, beyond which it
would skip samples.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeAlias

import av

from .packets import read_packets

log = logging.getLogger("gen_inbetween")

Audio: TypeAlias = Literal["keep", "stretch", "drop"]

_BITS = 192_000  # a second of AAC, where sound has to be encoded anew


def count_audio_streams(path: Path) -> int:
    """How many audio streams a file holds; 0 for a folder or what is no video."""
    if path.is_dir():
        return 0
    try:
        with av.open(str(path)) as container:
            return len(container.streams.audio)
    except av.FFmpegError:
        return 0


class Sound:
    """The audio streams of `path` from `begin` on for `duration` seconds of the file's clock, `scale` times as long.

    `scale` 1 copies the packets as they are, where MP4 can hold their codec; anything else is stretched and encoded as
    AAC. Memory does not grow with the length.
    """

    def __init__(self, path: Path, begin: float, duration: float, scale: float = 1.0) -> None:
        self.path, self.begin, self.end, self.scale = path, begin, begin + duration, scale

    def add_to(self, output: Any) -> list[Iterator[Any]]:
        """Add a stream to the open container `output` for each of ours; its packets, the earliest first, follow."""
        return [self._feed(output, index) for index in range(count_audio_streams(self.path))]

    def _feed(self, output: Any, index: int) -> Iterator[Any]:
        with av.open(str(self.path)) as container:
            source = container.streams.audio[index]
            name = source.codec_context.name
            if self.scale == 1 and name in output.supported_codecs:
                return self._copied(index, output.add_stream_from_template(source))
            if self.scale == 1:
                log.info("MP4 cannot hold %s sound; it is encoded anew as AAC", name)
            rate, layout = source.codec_context.sample_rate, source.codec_context.layout
            made = output.add_stream("aac", rate=rate, layout=layout)
            made.bit_rate = _BITS
            return self._stretched(index, made)

    def _copied(self, index: int, made: Any) -> Iterator[Any]:
        """From the packet before the first one heard: a decoder needs it, and players pass over it in silence."""
        with av.open(str(self.path)) as container:
            source: Any = container.streams.audio[index]
            shift = round(Fraction(self.begin) / source.time_base)
            for packet in read_packets(container, source):
                if not packet.size or packet.pts is None:
                    continue
                time = packet.pts * float(source.time_base)
                if time + 2 * (packet.duration or 0) * float(source.time_base) <= self.begin:
                    continue
                if time >= self.end:
                    return
                packet.pts = packet.dts = packet.pts - shift
                packet.stream = made
                yield packet

    def _stretched(self, index: int, made: Any) -> Iterator[Any]:
        with av.open(str(self.path)) as container:
            source = container.streams.audio[index]
            push, pull = self._graph(source)
            for packet in read_packets(container, source):
                for frame in _decoded(packet):
                    push(frame)
                    for out in pull():
                        yield from made.encode(out)
                if packet.pts is not None and packet.pts * source.time_base >= self.end:
                    break
            push(None)
            for out in pull():
                yield from made.encode(out)
            yield from made.encode(None)

    def _graph(self, source: Any) -> tuple[Any, Any]:
        """Cut out the range, fill holes with silence so that nothing after them comes early, change the tempo."""
        graph = av.filter.Graph()
        chain = [graph.add_abuffer(template=source)]
        for name, arguments in (
            ("atrim", f"start={self.begin:.6f}:end={self.end:.6f}"),
            ("asetpts", f"PTS-{self.begin:.6f}/TB"),
            ("aresample", "async=1:first_pts=0"),
            ("apad", "pad_dur=1"),  # atempo swallows the end of what it is given
            *(("atempo", f"{tempo:.9f}") for tempo in tempos(1 / self.scale)),
            ("atrim", f"end={(self.end - self.begin) * self.scale:.6f}"),
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


def _decoded(packet: Any) -> list[Any]:
    try:
        return packet.decode()
    except av.FFmpegError:  # what is lost becomes silence
        return []


def tempos(factor: float) -> list[float]:
    """`factor` as a product of equal steps between 1/2 and 2."""
    steps = max(1, math.ceil(abs(math.log2(factor)) - 1e-9))
    return [factor ** (1 / steps)] * steps
