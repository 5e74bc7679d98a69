"""Changes of size inside a film, told from key frames.

A broadcast, a joined stream or a screen that is shared may change its size from one key frame to the next. Of key
frames whose header is new one is decoded; all others are only looked at.
"""

from __future__ import annotations

from typing import Any

import av

from gen_inbetween.media.reading.decoding import limit_decoder

_LOOKED_AT = 4096  # bytes of a packet in which its header stands
_MOST = 16  # key frames that are decoded


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
