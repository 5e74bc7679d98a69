"""Subtitles of a retimed video, copied or written as another text kind."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from gen_inbetween.media.packets import read_packets
from gen_inbetween.media.tracks.sound import Span
from gen_inbetween.runtime.files import file_url

_UNIT = Fraction(1, 1000)  # in which the times of subtitles are written


def copy_into(output: Any, path: Path, index: int, span: Span) -> tuple[Any, Iterator[Any]]:
    """A new stream of `output` for stream number `index` of a file, and its packets at their new times."""
    with av.open(file_url(path)) as container:
        stream = output.add_stream_from_template(container.streams[index])
    return stream, _packets(path, index, span, stream, encoder=None)


def encode_into(output: Any, path: Path, index: int, span: Span, codec: str) -> tuple[Any, Iterator[Any]]:
    """The same, of a text kind written as `codec`. ValueError: pictures, or nothing in it."""
    header = _header(path, index)
    stream = output.add_stream(codec)
    stream.codec_context.subtitle_header = header
    stream.time_base = _UNIT
    return stream, _packets(path, index, span, stream, encoder=stream.codec_context)


def _header(path: Path, index: int) -> bytes:
    """The styles of a text stream, as its decoder gives them once it has decoded something."""
    with av.open(file_url(path)) as container:
        source: Any = container.streams[index]
        for packet in read_packets(container, source):
            if packet.size and any(rect.type != b"bitmap" for rect in source.decode2(packet) or ()):
                return source.codec_context.subtitle_header
    raise ValueError("no text")


def _packets(path: Path, index: int, span: Span, stream: Any, encoder: Any) -> Iterator[Any]:
    with av.open(file_url(path)) as container:
        source: Any = container.streams[index]
        for packet in read_packets(container, source):
            if not packet.size or packet.pts is None:
                continue
            begin = float(packet.pts * source.time_base)
            end = begin + float((packet.duration or 0) * source.time_base)
            if begin >= span.end or end < span.begin or end == span.begin < begin:
                continue
            if encoder is not None:
                texts = source.decode2(packet)
                if not texts:
                    continue
                packet = encoder.encode_subtitle(texts)
            packet.time_base = _UNIT
            begin, end = ((max(span.begin, min(at, span.end)) - span.begin) * span.scale for at in (begin, end))
            packet.pts = packet.dts = round(begin / _UNIT)
            packet.duration = round(end / _UNIT) - packet.pts
            packet.stream = stream
            yield packet
