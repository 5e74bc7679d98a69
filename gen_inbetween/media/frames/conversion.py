"""Conversion between decoded or encoded frames and R'G'B'[A] arrays.

    pixels_of(frame)                        (H, W, 3 or 4): uint8, or uint16 in 0..65535 for films of more than 8 bits
    av_frame(pixels, colour, pix_fmt)       the way back, for an encoder

FFmpeg's swscale, rounding accurately and with all of the chroma: its default darkens a film by 1.1 grey levels with
each pass, this one stays within 0.3 over ten. To and from the full range its rounding is off by half a step: there
the range is converted here.
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from gen_inbetween.media.frames.colour import MATRICES, PRIMARIES, RANGES, TRANSFERS, FilmColour, colour_of, is_rgb
from gen_inbetween.media.frames.screen import Pixels, sixteen_bit
from gen_inbetween.media.frames.side_data import orientation_of, turned_upright
from gen_inbetween.media.frames.siting import sited

_EXACT = (
    Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP | Interpolation.BITEXACT
)
# Of chroma: of the pairs of filters that do not blur, the one that drifts least over generations.
_READING, _WRITING = _EXACT | Interpolation.BICUBIC, _EXACT | Interpolation.AREA
_FORMATS = {(1, 3): "rgb24", (1, 4): "rgba", (2, 3): "rgb48le", (2, 4): "rgba64le"}  # (bytes, channels) of an array


def pixels_of(frame: Any) -> Pixels:
    """A decoded PyAV frame as an upright array (H, W, 3), or (H, W, 4) where it has straight alpha.

    uint8, or uint16 in 0..65535 where the frame has more than 8 bits; in the primaries and the transfer curve of the
    frame, converted by the matrix and the range it names (`colour.colour_of`).
    """
    colour = colour_of(frame)
    gray = frame.format.name.startswith("gray") and colour.chroma == "gray"
    pixels: Pixels = _gray(frame, colour) if gray else _converted(frame, colour)
    return turned_upright(pixels, orientation_of(frame))


def _converted(frame: Any, colour: FilmColour) -> Pixels:
    target = _FORMATS[1 + (colour.bits > 8), 3 + colour.alpha]
    rgb = colour.chroma == "rgb"
    if not rgb:
        frame.colorspace, frame.color_range = MATRICES[colour.matrix], RANGES[colour.range]
        if colour.range == "pc" and colour.chroma != "gray" and not colour.alpha:
            frame = _to_limited(frame, colour)
    shown = frame.reformat(format=target, interpolation=_READING, dst_color_range=RANGES["pc"])
    pixels: Any = shown.to_ndarray()
    return _to_whole_scale(pixels, rgb, colour) if colour.bits > 8 else pixels


def _to_limited(frame: Any, colour: FilmColour) -> Any:
    """A frame in full range as one of 16 bits in limited range, with all of the chroma."""
    deep, top = colour.bits > 8, 2.0**colour.bits - 1
    whole = frame.reformat(
        format=f"yuv444p{colour.bits}le" if deep else "yuv444p", interpolation=_READING, dst_color_range=RANGES["pc"]
    )
    values = np.stack(_planes(whole, np.uint16 if deep else np.uint8), 2).astype(np.float32)
    values[..., 0] = values[..., 0] / top * (219 * 256) + 16 * 256
    values[..., 1:] = (values[..., 1:] - (top + 1) / 2) / top * (224 * 256) + 128 * 256
    limited = av.VideoFrame.from_ndarray(np.rint(values).clip(0, 65535).astype(np.uint16), format="yuv444p16le")
    limited.colorspace, limited.color_range = MATRICES[colour.matrix], RANGES["tv"]
    return limited


def _to_full(frame: Any, bits: int) -> Any:
    """A frame "yuv444p16le" in limited range as one of `bits` bits in full range."""
    top, dtype = 2.0**bits - 1, np.uint8 if bits == 8 else np.uint16
    values = np.stack(_planes(frame, np.uint16), 2).astype(np.float32)
    values[..., 0] = (values[..., 0] - 16 * 256) / (219 * 256) * top
    values[..., 1:] = (values[..., 1:] - 128 * 256) / (224 * 256) * top + (top + 1) / 2
    full = av.VideoFrame(frame.width, frame.height, "yuv444p" if bits == 8 else f"yuv444p{bits}le")
    for index, plane in enumerate(_planes(full, dtype)):
        plane[:] = np.rint(values[..., index]).clip(0, top)
    full.colorspace, full.color_range = frame.colorspace, RANGES["pc"]
    return full


def _to_whole_scale(pixels: NDArray[np.uint16], rgb: bool, colour: FilmColour) -> NDArray[np.uint16]:
    """swscale's 16 bits with white at 65535: of Y'CbCr it puts white at 255 x 256, and alpha it shifts up only."""
    wide = pixels.astype(np.uint32)
    if not rgb:
        wide[..., :3] += (wide[..., :3] + 128) >> 8
    if colour.alpha and not rgb:
        wide[..., 3] += wide[..., 3] >> colour.bits
    return np.minimum(wide, 65535).astype(np.uint16)


def _planes(frame: Any, dtype: type) -> list[NDArray[Any]]:
    """The planes (H, W) of a frame, as arrays on its own memory."""
    size = np.dtype(dtype).itemsize
    return [
        np.ndarray((plane.height, plane.width), dtype, buffer=plane, strides=(plane.line_size, size))
        for plane in frame.planes
    ]


def _gray(frame: Any, colour: FilmColour) -> Pixels:
    """A grey frame, whose limited range swscale would not see."""
    values = frame.to_ndarray().astype(np.float64)
    scale = 2.0 ** (colour.bits - 8)
    low, high = (16 * scale, 235 * scale) if colour.range == "tv" else (0.0, 2.0**colour.bits - 1)
    white, dtype = (255, np.uint8) if colour.bits == 8 else (65535, np.uint16)
    gray: Pixels = np.rint(((values - low) / (high - low)).clip(0, 1) * white).astype(dtype)
    grays: Any = np.repeat(gray[..., None], 3, axis=2)
    return grays


def av_frame(pixels: Pixels, colour: FilmColour, pix_fmt: str, siting: str = "left") -> Any:
    """The PyAV frame of an array (H, W, 3 or 4), uint8 or uint16, in FFmpeg's pixel format `pix_fmt`.

    It is made by the colour's matrix and range and tagged with all of it. Alpha is kept where `pix_fmt` has it;
    where it has none, put the frame over a background before. siting: where its chroma lies (`siting.py`).
    """
    rgb = is_rgb(pix_fmt)
    if pixels.dtype == np.uint16 and not rgb:
        wide = pixels[..., :3].astype(np.uint32)
        colours = ((wide * 256 + 128) // 257).astype(np.uint16)
        pixels = colours if pixels.shape[2] == 3 else np.concatenate([colours, pixels[..., 3:]], axis=2)
    layout = av.VideoFormat(pix_fmt, 16, 16)
    if rgb and layout.components[0].bits > 8:  # of 8 bits swscale would make 255 x 256 there
        pixels = sixteen_bit(pixels)
    frame = sited(frame_of(pixels), siting)
    matrix = None if rgb else MATRICES[colour.matrix]
    filters = _WRITING
    if colour.range == "pc" and not rgb and len(layout.components) == 3:
        frame = frame.reformat(
            format="yuv444p16le", dst_colorspace=matrix, src_color_range=RANGES["pc"], dst_color_range=RANGES["tv"],
            interpolation=_WRITING,
        )  # fmt: skip
        frame, filters = sited(_to_full(frame, layout.components[0].bits), siting), _READING  # AREA rounds 8 bits up
    frame = frame.reformat(
        format=pix_fmt,
        dst_colorspace=matrix,
        src_color_range=RANGES["pc"],
        dst_color_range=RANGES["pc" if rgb else colour.range],
        interpolation=filters,
    )
    frame.colorspace = MATRICES["gbr" if rgb else colour.matrix]
    frame.color_range = RANGES["pc" if rgb else colour.range]
    frame.color_primaries, frame.color_trc = PRIMARIES[colour.primaries], TRANSFERS[colour.transfer]
    return frame


def frame_of(pixels: Any) -> Any:
    """The PyAV frame of R'G'B'[A] that holds the values of an array (H, W, 3 or 4), uint8 or uint16, as they are."""
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), _FORMATS[pixels.dtype.itemsize, pixels.shape[2]])


def padded(pixels: Pixels, pix_fmt: str) -> Pixels:
    """The array with its last column or row repeated, where `pix_fmt` stores chroma for two pixels at a time."""
    layout = av.VideoFormat(pix_fmt, 16, 16)
    wide, high = 16 // layout.chroma_width(16), 16 // layout.chroma_height(16)
    height, width = pixels.shape[:2]
    if not (height % high or width % wide):
        return pixels
    whole: Any = np.pad(pixels, ((0, -height % high), (0, -width % wide), (0, 0)), mode="edge")
    return whole


def resized(pixels: Pixels, width: int, height: int) -> Pixels:
    """An array (H, W, 3 or 4) at another size, by Lanczos."""
    flags = Interpolation.LANCZOS | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
    scaled: Pixels = frame_of(pixels).reformat(width=width, height=height, interpolation=flags).to_ndarray()
    return scaled


def fitted(pixels: Pixels, width: int, height: int) -> Pixels:
    """An array (H, W, 3 or 4) shown whole within width x height, between bars: black, or transparent with alpha."""
    scale = min(width / pixels.shape[1], height / pixels.shape[0])
    inner = round(pixels.shape[1] * scale), round(pixels.shape[0] * scale)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas: Pixels = np.zeros((height, width, pixels.shape[2]), pixels.dtype)
    canvas[top : top + inner[1], left : left + inner[0]] = resized(pixels, *inner)
    return canvas
