"""Sound of a retimed video: copied, or stretched at its own pitch.

Stretching is FFmpeg's atempo filter (waveform similarity overlap-add), in steps between 1/2 and 2, beyond which it
would skip samples.
"""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeAlias

import av

from gen_inbetween.media.packets import read_packets
from gen_inbetween.media.source import VideoError
from gen_inbetween.runtime.files import file_url

log = logging.getLogger("gen_inbetween")

Audio: TypeAlias = Literal["keep", "stretch", "drop"]

_BITS = 192_000  # a second of AAC, where sound has to be encoded anew
_RATE = 48_000  # samples a second at most: beyond 96,000 AAC takes none, and nobody hears the difference
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}  # where none is said


def codecs_of(path: Path) -> list[str]:
    """The codec of each audio stream of a file; none for a folder or what is no video."""
    if path.is_dir():
        return []
    try:
        with av.open(file_url(path)) as container:
            return [stream.codec_context.name for stream in container.streams.audio]
    except av.FFmpegError:
        return []


class Sound:
    """The audio streams of `path` from `begin` on for `duration` seconds of the file's clock, `scale` times as long.

    `scale` 1 copies the packets as they are, unless MP4 cannot hold them or, as PCM, hardly any player plays them from
    there; anything else is stretched and encoded as AAC. Memory does not grow with the length.

    Raises:
        VideoError: sound that can be neither copied nor encoded.
    """

    def __init__(self, path: Path, begin: float, duration: float, scale: float = 1.0) -> None:
        self.path, self.begin, self.end, self.scale = path, begin, begin + duration, scale
        try:
            with av.open(io.BytesIO(), "w", format="mp4") as rehearsal:
                self.add_to(rehearsal)
                rehearsal.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(f"the sound of {path} does not go into MP4 ({error}): drop it") from error
        if scale == 1 and (encoded := [name for name in codecs_of(path) if not _can_be_copied(name, rehearsal)]):
            log.info("%s sound is not copied into MP4 but encoded anew, as AAC", ", ".join(encoded))

    def add_to(self, output: Any) -> list[Iterator[Any]]:
        """Add a stream to the open container `output` for each of ours; its packets, the earliest first, follow."""
        return [self._feed(output, index) for index in range(len(codecs_of(self.path)))]

    def _feed(self, output: Any, index: int) -> Iterator[Any]:
        with av.open(file_url(self.path)) as container:
            source = container.streams.audio[index]
            name = source.codec_context.name
            if self.scale == 1 and _can_be_copied(name, output):
                return self._copied(index, output.add_stream_from_template(source))
            stream = output.add_stream("aac", rate=min(source.codec_context.sample_rate, _RATE), layout=_layout(source))
            stream.bit_rate = _BITS
            return self._stretched(index, stream)

    def _copied(self, index: int, stream: Any) -> Iterator[Any]:
        """From the packet before the first one heard: a decoder needs it, and players pass over it in silence."""
        with av.open(file_url(self.path)) as container:
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
                packet.stream = stream
                yield packet

    def _stretched(self, index: int, stream: Any) -> Iterator[Any]:
        with av.open(file_url(self.path)) as container:
            source = container.streams.audio[index]
            push, pull = self._graph(source)
            for packet in read_packets(container, source):
                for frame in _decoded(packet):
                    push(frame)
                    for out in pull():
                        yield from stream.encode(out)
                if packet.pts is not None and packet.pts * source.time_base >= self.end:
                    break
            push(None)
            for out in pull():
                yield from stream.encode(out)
            yield from stream.encode(None)

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
            ("aformat", f"channel_layouts={_layout(source)}"),
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


def _can_be_copied(codec: str, output: Any) -> bool:
    return codec in output.supported_codecs and not codec.startswith("pcm_")


def _layout(source: Any) -> str:
    """The name of the channels' layout; raw sound only counts its channels."""
    layout = source.codec_context.layout
    return _LAYOUTS.get(layout.nb_channels, layout.name) if layout.name.endswith("channels") else layout.name


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
