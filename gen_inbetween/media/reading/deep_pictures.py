"""Pictures of 16 bits and more: PNG, TIFF, OpenEXR.

FFmpeg reads them, since Pillow rounds them to 8 bits. An EXR holds light where the others hold code values; sRGB's
curve (IEC 61966-2-1) leads from one to the other, with white at 1.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import av
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gen_inbetween.media.frames.screen import Pixels

_PNG = b"\x89PNG\r\n\x1a\n"
_COLOURS = (2, 6)  # PNG's types of RGB and RGBA
_TIFF = (b"II*\0", b"MM\0*")
_EXR = b"\x76\x2f\x31\x01"
_HEADER = 65536  # bytes in which the header of an EXR is
_ALPHA = re.compile(rb"(?<=[\0.])A\0")  # the name of a channel, also in a layer
ALIGNED = 64 * 65536  # FFmpeg counts rows up to the next multiple of 64
_SAMPLES = 277  # the tag of TIFF that counts the values of a pixel


def read_deep(
    path: Path, most: int = 2**30, finish: Callable[[Any, NDArray[np.uint16]], Pixels] = lambda frame, pixels: pixels
) -> Pixels | None:
    """A picture as uint16 (H, W, 3), or (H, W, 4) with straight alpha; None where it is of another kind.

    Light of an EXR is given sRGB's curve; what is brighter than white is white.

    most: how many pixels it may have. finish: gets what FFmpeg decoded of a PNG or TIFF and its values, which are in
    the picture's own colours, and gives those that are returned.

    Raises:
        ValueError: it is of such a kind, and cannot be decoded, or has more.
    """
    with path.open("rb") as file:
        head = file.read(26)
    if head.startswith(_EXR):
        return _exr(path, most)
    if head.startswith(_PNG) and head[24] == 16 and head[25] in _COLOURS:
        return _integers(_decoded(path, "png", most), finish)
    if head.startswith(_TIFF):
        frame = _decoded(path, "tiff", most, lenient=True)
        if frame is not None and frame.format.name.startswith(("rgb48", "rgba64")):
            return _integers(frame, finish)
    return None


def deep_has_alpha(path: Path) -> bool:
    """Whether such a picture has alpha, as its header says; False where it is of another kind, or damaged."""
    with path.open("rb") as file:
        head = file.read(_HEADER)
        if head.startswith(_EXR):
            _, _, channels = head.partition(b"channels\0chlist\0")
            return _ALPHA.search(channels[: int.from_bytes(channels[:4], "little") + 4]) is not None
        if not head.startswith(_TIFF):
            return False
        order: Literal["little", "big"] = "little" if head.startswith(b"II") else "big"
        file.seek(int.from_bytes(head[4:8], order))
        count = int.from_bytes(file.read(2), order)
        entries = (file.read(12) for _ in range(count))
        samples = (entry[8:10] for entry in entries if int.from_bytes(entry[:2], order) == _SAMPLES)
        return int.from_bytes(next(samples, b""), order) == 4


def pixels_said(path: Path) -> int:
    """How many pixels such a picture has, as its header says; 0 where it does not."""
    with path.open("rb") as file:
        head = file.read(_HEADER)
    if head.startswith(_PNG):
        width, height = struct.unpack(">II", head[16:24].ljust(8, b"\0"))
        return int(width * height)
    _, found, window = head.partition(b"dataWindow\0box2i\0\x10\0\0\0") if head.startswith(_EXR) else (b"", b"", b"")
    if not found or len(window) < 16:
        return 0
    left, top, right, bottom = struct.unpack("<iiii", window[:16])
    return max(0, right - left + 1) * max(0, bottom - top + 1)


def _decoded(path: Path, codec: str, most: int, lenient: bool = False) -> Any:
    context: Any = av.CodecContext.create(codec, "r")
    context.options = {"max_pixels": str(most + ALIGNED)}
    try:
        frames = [*context.decode(av.Packet(path.read_bytes())), *context.decode(None)]
    except av.FFmpegError as error:
        if lenient:  # Pillow says what is wrong with it
            return None
        raise ValueError(f"{error.strerror}") from error
    if not frames and not lenient:
        raise ValueError("no picture in it")
    if frames and frames[0].width * frames[0].height > most:
        raise ValueError("too many pixels")
    return frames[0] if frames else None


def _integers(frame: Any, finish: Callable[[Any, NDArray[np.uint16]], Pixels]) -> Pixels:
    wide = "rgb48le" if len(frame.format.components) == 3 else "rgba64le"
    return finish(frame, frame.reformat(format=wide).to_ndarray())


def _exr(path: Path, most: int) -> Pixels:
    frame = _decoded(path, "exr", most)
    name = frame.format.name
    if name.startswith("gray"):
        light = np.repeat(frame.reformat(format="grayf32le").to_ndarray()[..., None], 3, axis=2)
    else:
        light = frame.reformat(format="gbrapf32le" if "a" in name.removeprefix("gbr")[:1] else "gbrpf32le").to_ndarray()
    alpha = np.nan_to_num(light[..., 3:]).clip(0, 1)
    colours = light[..., :3]
    if alpha.shape[2]:  # OpenEXR's colours are premultiplied
        colours = np.divide(colours, alpha, out=np.zeros_like(colours), where=alpha > 0)
    return np.concatenate([code_values(colours), np.rint(alpha * 65535).astype(np.uint16)], axis=2)


def linear_light(values: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Light, white at 1, of code values in 0..65535.

    >>> linear_light(np.array([0, 32768, 65535], np.uint16)).round(3).tolist()
    [0.0, 0.21400000154972076, 1.0]
    """
    share = values.astype(np.float32) / np.float32(65535)
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4).astype(np.float32)


def code_values(light: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The way back of `linear_light`; what is brighter than white is white, what is no number black."""
    light = np.nan_to_num(light, nan=0.0).clip(0, 1)
    share = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(share * 65535).astype(np.uint16)
