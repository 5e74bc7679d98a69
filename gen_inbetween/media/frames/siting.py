"""Siting of chroma: where samples lie among the pixels they colour.

Video puts it on the left of two columns, as decoders say or mean where they say nothing. FFmpeg's swscale takes the
middle for frames that do not say, so that a film would shift its colours by half a pixel with each pass.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av

SILENT = frozenset(
    "vp8 vp9 libvpx libvpx-vp9 av1 libdav1d libaom-av1 prores dnxhd ffv1 ffvhuff huffyuv utvideo cfhd v210".split()
)  # codecs whose decoders do not say where chroma lies


def sited(frame: Any, place: str = "left") -> Any:
    """The same PyAV frame with its chroma at `place`: "left", "center" or "topleft"."""
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 1000)
    )
    graph.link_nodes(source, graph.add("setparams", f"chroma_location={place}"), graph.add("buffersink")).configure()
    kept = frame.pts, frame.time_base, frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc
    graph.vpush(frame)
    placed = graph.vpull()
    placed.pts = kept[0]
    if kept[1]:
        placed.time_base = kept[1]
    placed.colorspace, placed.color_range, placed.color_primaries, placed.color_trc = kept[2:]
    return placed
