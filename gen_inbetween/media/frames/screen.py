"""Film frames as a screen shows them: eight bits, square pixels, a background."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from gen_inbetween.media.frames.colour import FilmColour

Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]  # (H, W, 3), or (H, W, 4) with straight alpha
Colour: TypeAlias = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)


def image_of(
    pixels: Pixels,
    colour: FilmColour | None = None,
    sample_aspect: Fraction | None = None,
    background: Colour | None = WHITE,
) -> Image.Image:
    """A film frame as a screen shows it: 8 bits, square pixels, over the background.

    Args:
        pixels: (H, W, 3 or 4), uint8 or uint16, in `colour`.
        sample_aspect: width : height of a pixel.
        background: RGB in 0..255; None keeps transparency.

    Returns:
        An RGB image; RGBA where there is alpha and no background.
    """
    image = Image.fromarray(eight_bit(pixels if background is None else over(pixels, background)))
    size = square_size(image.size, sample_aspect)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def square_size(size: tuple[int, int], sample_aspect: Fraction | None) -> tuple[int, int]:
    """The size (width, height) at square pixels: the side that is too short grows, so that nothing is lost.

    >>> square_size((96, 64), Fraction(2)), square_size((96, 64), Fraction(1, 2)), square_size((96, 64), None)
    ((192, 64), (96, 128), (96, 64))
    """
    if sample_aspect is None or sample_aspect == 1:
        return size
    width, height = size
    return (round(width * sample_aspect), height) if sample_aspect > 1 else (width, round(height / sample_aspect))


def eight_bit(pixels: Pixels) -> NDArray[np.uint8]:
    """An array rounded to uint8.

    >>> eight_bit(np.array([[[0, 65535, 129]]], np.uint16)).tolist()
    [[[0, 255, 1]]]
    """
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def sixteen_bit(pixels: Pixels) -> NDArray[np.uint16]:
    """An array as uint16 in 0..65535.

    >>> sixteen_bit(np.array([[[0, 255, 1]]], np.uint8)).tolist()
    [[[0, 65535, 257]]]
    """
    wide = pixels.astype(np.uint16, copy=False)
    return wide * np.uint16(257) if pixels.dtype == np.uint8 else wide


def over(pixels: Pixels, background: Colour) -> Pixels:
    """An array (H, W, 3 or 4) with straight alpha as (H, W, 3) over a colour in 0..255, mixed in stored values.

    >>> over(np.array([[[9, 9, 9, 0], [9, 9, 9, 255]]], np.uint8), (255, 0, 0)).tolist()
    [[[255, 0, 0], [9, 9, 9]]]
    """
    if pixels.shape[2] == 3:
        return pixels
    whole = np.iinfo(pixels.dtype).max
    alpha = pixels[..., 3:].astype(np.uint64)
    ground = np.array(background, np.uint64) * (whole // 255)
    mixed = (pixels[..., :3] * alpha + ground * (whole - alpha) + whole // 2) // whole
    return mixed.astype(pixels.dtype)


def with_alpha(pixels: Pixels) -> Pixels:
    """An array (H, W, 3 or 4) as (H, W, 4): what has no alpha is opaque."""
    if pixels.shape[2] == 4:
        return pixels
    alpha = np.full((*pixels.shape[:2], 1), np.iinfo(pixels.dtype).max, pixels.dtype)
    return np.concatenate([pixels, alpha], axis=2)


def is_opaque(pixels: Pixels) -> bool:
    """Whether nothing shines through an array (H, W, 3 or 4)."""
    return pixels.shape[2] == 3 or bool((pixels[..., 3] == np.iinfo(pixels.dtype).max).all())
