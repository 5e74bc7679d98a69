"""Decoding beside PyAV: transparency of VP8 and VP9, interlaced film."""

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
