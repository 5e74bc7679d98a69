"""Side data of decoded frames: display matrices, HDR metadata."""

from __future__ import annotations

from typing import Any

from av.sidedata.sidedata import SideDataContainer


def side_data_of(frame: Any) -> dict[str, bytes]:
    """The side data of a decoded PyAV frame, by their names in FFmpeg; the first of each name.

    Not by `frame.side_data`: the frame would hold it and be held by it, and so outlive its use until Python looks for
    such circles, which in a large program is seldom: hundreds of frames, each of megabytes.
    """
    found: dict[str, bytes] = {}
    for data in SideDataContainer(frame):  # type: ignore[call-arg]  # which PyAV's stub leaves out
        if hasattr(data.type, "name"):  # newer than this PyAV knows: a bare number
            found.setdefault(data.type.name, bytes(data))
    return found
