"""Decoding beside PyAV: transparency of VP8 and VP9, interlaced film, changes of size.

A broadcast, a joined stream or a screen that is shared may change its size from one key frame to the next. Of key
frames whose header is new one is decoded; all others are only looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import av

from gen_inbetween.media.frames.errors import VideoError
from gen_inbetween.media.frames.pixels import most_pixels, too_many_pixels
from gen_inbetween.media.reading.deep_pictures import ALIGNED

Interlaced: TypeAlias = Literal["deinterlace", "keep"]

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own ones decode colour alone
_DEINTERLACER = "mode=send_frame:parity=auto:deint=interlaced"  # one frame for each; what is not interlaced stays
_LOOKED_AT = 4096  # bytes of a packet in which its header stands
_MOST = 16  # key frames that are decoded


def limit_decoder(name: object, context: Any) -> Any:
    """A decoder of FFmpeg's, told to refuse larger frames. VideoError: its header asks for one already."""
    if problem := too_many_pixels(name, context.width * context.height):
        raise VideoError(problem)
    context.options = {**context.options, "max_pixels": str(most_pixels() + ALIGNED)}
    return context


def alpha_decoder(stream: Any) -> Any | None:
    """A decoder that gives the transparency of a stream which its own decoder would leave out; None: none is needed."""
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    said = {key.lower(): value for key, value in stream.metadata.items()}  # a tag in capitals, of some files
    if name is None or said.get("alpha_mode") != "1" or name not in av.codecs_available:
        return None
    return limit_decoder("the film", av.CodecContext.create(name, "r"))


def deinterlaced(frames: Iterator[Any], note: Callable[[], None]) -> Iterator[Any]:
    """The same frames, whole: of interlaced ones each field's missing lines are filled (FFmpeg's bwdif).

    Frames before the first interlaced one pass as they are; `note` is called with it. Time stamps stay, and so does the
    number of frames.
    """
    for frame in frames:
        if frame.interlaced_frame:
            note()
            yield from _filtered(frame, frames)
            return
        yield frame


def _filtered(first: Any, others: Iterator[Any]) -> Iterator[Any]:
    """The first frame and the others through the filter; one of another size or format begins a filter of its own."""
    following: Any | None = first
    while following is not None:
        head, following = following, None
        graph = _graph(head)
        graph.vpush(head)
        for frame in others:
            if (frame.width, frame.height, frame.format.name) != (head.width, head.height, head.format.name):
                following = frame
                break
            graph.vpush(frame)
            yield from _pulled(graph, head.time_base)
        graph.vpush(None)
        yield from _pulled(graph, head.time_base)


def _graph(frame: Any) -> Any:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(source, graph.add("bwdif", _DEINTERLACER), graph.add("buffersink")).configure()
    return graph


def _pulled(graph: Any, time_base: Any) -> Iterator[Any]:
    while True:
        try:
            frame = graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
        if frame.pts is not None and frame.time_base != time_base:  # the filter counts in half ticks
            frame.pts, frame.time_base = round(frame.pts * frame.time_base / time_base), time_base
        yield frame


class SizeWatch:
    """The sizes (width, height) of frames as they are stored, of all packets that are shown to it."""

    def __init__(self, codec: str) -> None:
        self.codec = codec
        self.sizes: list[tuple[int, int]] = []  # each once, in the order they come in
        self._headers: set[bytes] = set()

    def look(self, packet: Any) -> None:
        """Take note of a packet."""
        if not packet.is_keyframe or not packet.size or len(self._headers) >= _MOST:
            return
        header = header_of(self.codec, bytes(memoryview(packet)[:_LOOKED_AT]))
        if header is None or header in self._headers:
            return
        self._headers.add(header)
        decoder: Any = limit_decoder("the film", av.CodecContext.create(self.codec, "r"))
        try:
            frames = [*decoder.decode(packet), *decoder.decode(None)]
        except av.FFmpegError:
            return
        self.sizes += [size for frame in frames[:1] if (size := (frame.width, frame.height)) not in self.sizes]


def header_of(codec: str, start: bytes) -> bytes | None:
    """The part of a key frame's first bytes that says its size; None where the stream has no such thing."""
    if codec in ("h264", "hevc"):
        return _parameter_set(start, hevc=codec == "hevc")
    if codec in ("mpeg1video", "mpeg2video"):
        at = start.find(b"\0\0\1\xb3")
        return start[at + 4 : at + 7] if at >= 0 else None
    if codec == "vp8":
        return start[6:10] if start[3:6] == b"\x9d\x01\x2a" else None
    if codec == "vp9":
        at = start[:8].find(b"\x49\x83\x42")
        return start[at + 3 : at + 8] if at >= 0 else None
    return None


def _parameter_set(start: bytes, hevc: bool) -> bytes | None:
    """The sequence parameter set of H.264 or HEVC where it stands in the stream, between start codes."""
    for unit in start.split(b"\0\0\1")[1:]:
        if unit and ((unit[0] >> 1 & 63) == 33 if hevc else (unit[0] & 31) == 7):
            return unit
    return None
