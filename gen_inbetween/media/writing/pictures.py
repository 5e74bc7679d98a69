"""Writing of single pictures of a film.

PNG has 8 or 16 bits, TIFF 16, OpenEXR linear light; FFmpeg writes those that Pillow cannot. An EXR holds
light where the others hold code values: sRGB's curve is undone, so that 1.0 is white, and halves store it.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from gen_inbetween.media.frames.colour import FilmColour
from gen_inbetween.media.frames.conversion import frame_of
from gen_inbetween.media.frames.screen import (
    Pixels,
    hdr_light,
    image_of,
    in_bt709,
    sixteen_bit,
    square_pixels,
    tone_mapped,
)
from gen_inbetween.media.reading.deep_pictures import linear_light

_PNG_PIXELS = {3: "rgb48be", 4: "rgba64be"}  # by channels
_OPTIONS = {"tiff": {"compression_algo": "deflate"}, "exr": {"compression": "zip16", "format": "half"}}


def save_picture(
    pixels: Pixels, path: Path, *, deep: bool, colour: FilmColour, sample_aspect: Fraction | None = None
) -> None:
    """Write one frame (H, W, 3 or 4) in the format of the path's suffix: .png, .tif, .tiff or .exr.

    deep: 16 bits in a PNG; the others always have them.
    """
    suffix = path.suffix.lower()
    if suffix == ".png" and not deep:
        image_of(pixels, colour, sample_aspect, None).save(path)
        return
    wide = sixteen_bit(tone_mapped(pixels, colour) if colour.hdr and suffix != ".exr" else pixels)
    wide = sixteen_bit(square_pixels(wide, sample_aspect))
    encoder = {".png": "png", ".exr": "exr"}.get(suffix, "tiff")
    if encoder == "exr":
        frame = _planar_floats(wide, colour)
    else:
        frame = frame_of(wide)
    if encoder == "png":
        frame = frame.reformat(format=_PNG_PIXELS[wide.shape[2]])
    path.write_bytes(_encoded(frame, encoder))


def _planar_floats(wide: NDArray[np.uint16], colour: FilmColour) -> Any:
    light = np.empty(wide.shape, np.float32)
    light[..., :3] = (
        in_bt709(hdr_light(wide[..., :3], colour), colour) if colour.hdr else linear_light(wide[..., :3])
    )  # a reader that is not told takes the primaries of BT.709
    light[..., 3:] = wide[..., 3:] / np.float32(65535)
    if wide.shape[2] == 4:  # OpenEXR's colours are premultiplied
        light[..., :3] *= light[..., 3:]
    return av.VideoFrame.from_ndarray(light, format="gbrpf32le" if wide.shape[2] == 3 else "gbrapf32le")


def _encoded(frame: Any, encoder: str) -> bytes:
    context: Any = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
    context.time_base, context.options = Fraction(1, 25), _OPTIONS.get(encoder, {})
    frame.pts = 0
    packets = [*context.encode(frame), *context.encode(None)]
    return b"".join(map(bytes, packets))
