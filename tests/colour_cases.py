"""Films of known colour, orientation and transparency that tests share."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from gen_inbetween.media.frames.colour import FilmColour, write_tags
from gen_inbetween.media.frames.conversion import av_frame

RED = (220, 40, 40)
SD = FilmColour("smpte170m", "smpte170m", "smpte170m")  # what is taken for a small film without tags


def patches(width: int = 64, height: int = 48, shift: int = 0, alpha: bool = False) -> np.ndarray:
    """Soft ground with a red, a green and a white patch, each elsewhere in the frame; with alpha, on nothing."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([40 + x * 100 // width, 60 + y * 100 // height, 150 - x * 60 // width], -1).astype(np.uint8)
    pixels[8:24, 8 + shift : 24 + shift] = RED
    pixels[28:44, 32:44] = (30, 200, 60)
    pixels[4:12, 44:60] = 250
    if not alpha:
        return pixels
    opaque = np.zeros((height, width, 1), np.uint8)
    opaque[8:24, 8 + shift : 24 + shift] = 255
    pixels[opaque[..., 0] == 0] = (0, 255, 0)  # hidden, and not to be seen
    return np.concatenate([pixels, opaque], 2)


def write(
    path: Path,
    frames: Sequence[np.ndarray],
    pix_fmt: str = "yuv420p",
    codec: str = "libx264",
    colour: FilmColour | None = None,
    *,
    like: FilmColour = SD,
    rotation: int = 0,
    mirrored: bool = False,
    aspect: Fraction | None = None,
    siting: str = "left",
    rate: int = 10,
    **options: object,
) -> Path:
    """A film of arrays; colour: what its tags say, None for no tags; like: what it is converted by then."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options={key: str(value) for key, value in options.items()})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], pix_fmt
        if colour is not None:
            write_tags(stream.codec_context, colour, pix_fmt)
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation or mirrored:
            stream.set_display_rotation(rotation, hflip=mirrored)
        for number, pixels in enumerate(frames):
            frame = av_frame(pixels, colour or like, pix_fmt, siting)
            if colour is None:
                frame.colorspace = frame.color_primaries = frame.color_trc = 2
                frame.color_range = 0
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def tags(path: Path) -> tuple[int, int, int, int]:
    """(matrix, primaries, transfer, range) of a film as FFmpeg numbers them."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range


def pix_fmt(path: Path) -> str:
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).format.name
