"""Side data of frames: HDR metadata, and how a frame is turned.

SMPTE ST 2086 names the display on which an HDR10 film was graded, CTA-861.3 its brightest pixel (MaxCLL) and frame
(MaxFALL); both hold for the whole film and can be written again. Dolby Vision, HDR10+ and HDR Vivid describe each frame
for itself: frames that are drawn between others have none.

A display matrix maps a stored place (p, q) to where it is shown: x = a p + c q, y = b p + d q. Of it the eight
orientations by right angles are taken, as of an EXIF tag.
"""

from __future__ import annotations

import ctypes
import gc
import struct
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from av.dictionary import Dictionary
from av.sidedata.sidedata import SideDataContainer, Type

UPRIGHT = (False, False, False)
_CHROMATICITY, _LUMINANCE = 50_000, 10_000  # steps of 0.00002 of CIE 1931, and of 0.0001 cd/m2, as ST 2086 counts
_DYNAMIC = {
    "DOVI_RPU_BUFFER": "Dolby Vision", "DOVI_METADATA": "Dolby Vision", "DYNAMIC_HDR_PLUS": "HDR10+",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
}  # fmt: skip


def _newer_kind(kinds: type[Enum], value: object) -> Enum:
    """Side data that FFmpeg knows and PyAV does not, such as EXIF and the views of a spatial film: one more kind.

    PyAV raises where a frame has any, whichever kind is asked for.
    """
    kind = object.__new__(kinds)
    kind._name_, kind._value_ = f"kind {value}", value
    return kind


Type._missing_ = classmethod(_newer_kind)  # type: ignore[method-assign, assignment]


@dataclass(frozen=True)
class Light:
    """What an HDR10 film says of its light, in the steps of ST 2086; None: it does not."""

    display: tuple[int, ...] | None = None  # x, y of red, green, blue and white; least and greatest luminance
    content: tuple[int, int] | None = None  # MaxCLL and MaxFALL, cd/m2

    def x265(self) -> str:
        """As parameters of x265."""
        said = []
        if self.display:
            rx, ry, gx, gy, bx, by, wx, wy, least, most = self.display
            said.append(f"master-display=G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})L({most},{least})")
        if self.content:
            said.append("max-cll={},{}".format(*self.content))
        return ":".join(["hdr10=1", *said])

    def svt(self) -> str:
        """As parameters of SVT-AV1, which counts in ones."""
        said = []
        if self.display:
            rx, ry, gx, gy, bx, by, wx, wy = (f"{number / _CHROMATICITY:.5f}" for number in self.display[:8])
            least, most = (f"{number / _LUMINANCE:.4f}" for number in self.display[8:])
            said.append(f"mastering-display=G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})L({most},{least})")
        if self.content:
            said.append("content-light={},{}".format(*self.content))
        return ":".join(said)


def light_of(frame: Any) -> Light | None:
    """The static metadata of a decoded PyAV frame; None: it has none."""
    data = side_data_of(frame)
    display, content = data.get("MASTERING_DISPLAY_METADATA"), data.get("CONTENT_LIGHT_LEVEL")
    light = Light(_display(display) if display else None, struct.unpack_from("=2I", content) if content else None)
    return light if light != Light() else None


def dynamic_metadata(frame: Any) -> list[str]:
    """The kinds of metadata that a decoded PyAV frame has for itself: Dolby Vision and the like."""
    return list(dict.fromkeys(_DYNAMIC[name] for name in side_data_of(frame) if name in _DYNAMIC))


def _display(data: bytes) -> tuple[int, ...] | None:
    """FFmpeg's AVMasteringDisplayMetadata: ten fractions, and whether chromaticities and luminances are said."""
    numbers = struct.unpack_from("=22i", data)
    if not (numbers[20] and numbers[21]) or 0 in numbers[1:20:2]:
        return None
    steps = [_CHROMATICITY] * 8 + [_LUMINANCE] * 2
    return tuple(round(step * numbers[2 * index] / numbers[2 * index + 1]) for index, step in enumerate(steps))


def orientation_of(frame: Any) -> tuple[bool, bool, bool]:
    """(transpose, mirror left and right, mirror top and bottom), in this order, of a decoded PyAV frame."""
    data = side_data_of(frame).get("DISPLAYMATRIX")
    if data is None:
        return UPRIGHT
    a, b, _, c, d = struct.unpack("=5i", data[:20])
    turned = abs(b) + abs(c) > abs(a) + abs(d)
    return (True, c < 0, b < 0) if turned else (False, a < 0, d < 0)


def turned_upright(pixels: np.ndarray, orientation: tuple[bool, bool, bool]) -> np.ndarray:
    """An array (H, W, ...) as it is to be seen; (W, H, ...) where it is transposed."""
    transpose, mirror, flip = orientation
    if transpose:
        pixels = pixels.swapaxes(0, 1)
    if mirror:
        pixels = pixels[:, ::-1]
    if flip:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def side_data_of(frame: Any) -> dict[str, bytes]:
    """The side data of a decoded PyAV frame, by their names in FFmpeg; the first of each name.

    Not by `frame.side_data`: the frame would hold it and be held by it, and so outlive its use until Python looks for
    such circles, which in a large program is seldom: hundreds of frames, each of megabytes.
    """
    found: dict[str, bytes] = {}
    for data in SideDataContainer(frame):  # type: ignore[call-arg]  # which PyAV's stub leaves out
        _never_free_words(data)
        found.setdefault(data.type.name, bytes(data))
    return found


def _never_free_words(data: Any) -> None:
    """Keep the words of side data (a colour profile has a name) for good: the frame frees them, PyAV once more."""
    for held in gc.get_referents(data):
        if isinstance(held, Dictionary) and len(held):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(held))
