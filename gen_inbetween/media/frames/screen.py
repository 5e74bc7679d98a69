"""Film frames as a screen shows them: eight bits, square pixels, SDR."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

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
    """A film frame as a screen shows it: 8 bits, square pixels, over the background; HDR tone-mapped.

    Args:
        pixels: (H, W, 3 or 4), uint8 or uint16, in `colour`.
        sample_aspect: width : height of a pixel.
        background: RGB in 0..255; None keeps transparency.

    Returns:
        An RGB image; RGBA where there is alpha and no background.
    """
    if colour is not None and colour.hdr:
        pixels = tone_mapped(pixels, colour)
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


def square_pixels(pixels: Pixels, sample_aspect: Fraction | None) -> Pixels:
    """A film frame (H, W, 3 or 4) of any depth, resampled to square pixels; colours weigh by their alpha."""
    before = (pixels.shape[1], pixels.shape[0])
    size = square_size(before, sample_aspect)
    if size == before:
        return pixels
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    most = np.iinfo(pixels.dtype).max
    alpha, wide = pixels.shape[2] == 4, pixels.astype(np.float32)
    if alpha:
        wide[..., :3] *= wide[..., 3:] / most
    planes = (Image.fromarray(plane).resize(size, Image.Resampling.LANCZOS) for plane in np.moveaxis(wide, 2, 0).copy())
    resized = np.stack([np.asarray(plane) for plane in planes], 2)
    if alpha:
        resized[..., :3] /= np.maximum(resized[..., 3:] / most, 1 / most)
    return np.rint(resized.clip(0, most)).astype(pixels.dtype)


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
    mixed: Any = (pixels[..., :3] * alpha + ground * (whole - alpha) + whole // 2) // whole
    return mixed.astype(pixels.dtype)


def with_alpha(pixels: Pixels) -> Pixels:
    """An array (H, W, 3 or 4) as (H, W, 4): what has no alpha is opaque."""
    if pixels.shape[2] == 4:
        return pixels
    alpha = np.full((*pixels.shape[:2], 1), np.iinfo(pixels.dtype).max, pixels.dtype)
    whole: Any = np.concatenate([pixels, alpha], axis=2)
    return whole


def spread_colours(pixels: Pixels) -> Pixels:
    """An array (H, W, 4) whose clear pixels have the colours of what is visible around them.

    Codecs that store colour coarsely mix it over the rim of what is visible; with black beside it that would turn dark.
    """
    height, width = pixels.shape[:2]
    if not pixels[..., 3].any() or pixels[..., 3].all():
        return pixels
    whole = np.float32(np.iinfo(pixels.dtype).max)
    level = pixels.astype(np.float32) / whole
    level[..., :3] *= level[..., 3:]
    levels = [level]
    while max(level.shape[:2]) > 1:  # sums over 2 x 2
        level = np.pad(level, ((0, level.shape[0] % 2), (0, level.shape[1] % 2), (0, 0)))
        level = level[::2, ::2] + level[1::2, ::2] + level[::2, 1::2] + level[1::2, 1::2]
        levels.append(level)
    filled = levels[-1]
    for level in reversed(levels[:-1]):
        coarse = filled.repeat(2, 0).repeat(2, 1)[: level.shape[0], : level.shape[1]]
        filled = np.where(level[..., 3:] > 0, level, coarse)
    colours = np.rint(filled[..., :3] / np.maximum(filled[..., 3:], 1e-12) * whole).clip(0, whole)
    spread = pixels.copy()
    hidden = pixels[..., 3] == 0
    spread[hidden, :3] = colours[hidden].astype(pixels.dtype)
    return spread


def is_opaque(pixels: Pixels) -> bool:
    """Whether nothing shines through an array (H, W, 3 or 4)."""
    return pixels.shape[2] == 3 or bool((pixels[..., 3] == np.iinfo(pixels.dtype).max).all())


# Tone mapping, as in ITU-R BT.2390 section 5.4: what is darker than the knee stays, what is brighter is rolled off.

_WHITE_NITS, _PEAK_NITS = 203.0, 1000.0  # of the SDR picture's white (BT.2408), and the brightest that is told apart
_M1, _M2, _C1, _C2, _C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128  # of PQ, SMPTE ST 2084
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073  # of HLG, BT.2100
_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)  # of BT.2020
_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)  # BT.2087, linear light


def tone_mapped(pixels: Pixels, colour: FilmColour) -> NDArray[np.uint16]:
    """A frame in PQ or HLG as the SDR picture of it in BT.709: uint16, alpha as it was.

    Light is kept up to a knee and rolled off between it and 1000 cd/m2 by the largest of R, G and B, so that no hue
    turns; 203 cd/m2 is SDR's white. Colours outside of BT.709 are cut off.
    """
    wide = sixteen_bit(pixels)
    light = hdr_light(wide[..., :3], colour)
    largest = light.max(axis=2, keepdims=True)
    light *= np.interp(largest, *_roll_off()).astype(np.float32)
    light = in_bt709(light, colour)
    shown = np.rint(light.clip(0, 1) ** np.float32(1 / 2.4) * 65535).astype(np.uint16)  # BT.1886, turned round
    return shown if wide.shape[2] == 3 else np.concatenate([shown, wide[..., 3:]], axis=2)


def hdr_light(values: NDArray[np.uint16], colour: FilmColour) -> NDArray[np.float32]:
    """Light of PQ or HLG values (H, W, 3) in 0..65535, in units of SDR's white, 203 cd/m2."""
    return _pq_light()[values] if colour.transfer == "smpte2084" else _hlg_light(values)


def in_bt709(light: NDArray[np.float32], colour: FilmColour) -> NDArray[np.float32]:
    """Light (H, W, 3) in the colour's primaries, in those of BT.709: below 0 where they do not reach."""
    return light @ _TO_709.T if colour.primaries == "bt2020" else light


@cache
def _pq_light() -> NDArray[np.float32]:
    """Light of each of 65536 PQ values, in units of SDR's white."""
    return (_from_pq(np.linspace(0, 1, 65536)) / _WHITE_NITS).astype(np.float32)


def _hlg_light(values: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Light of HLG values (H, W, 3) on a display of 1000 cd/m2, in units of SDR's white."""
    signal = np.linspace(0, 1, 65536)
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - _C) / _A) + _B) / 12).astype(np.float32)[values]
    luma = np.maximum(scene @ _LUMA, 1e-6)[..., None]
    return scene * luma ** np.float32(0.2) * np.float32(_PEAK_NITS / _WHITE_NITS)


@cache
def _roll_off() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(light, factor on it), to be interpolated: the spline of BT.2390 over PQ values."""
    top, white = _to_pq(_PEAK_NITS), _to_pq(_WHITE_NITS) / _to_pq(_PEAK_NITS)
    knee = 1.5 * white - 0.5
    values = np.linspace(0, 1, 4096)
    t = ((values - knee) / (1 - knee)).clip(0, 1)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * white
    mapped = np.where(values < knee, values, spline)
    before, after = _from_pq(values * top), _from_pq(mapped * top)
    factor = np.divide(after, before, out=np.ones_like(before), where=before > 0)
    beyond = np.array([10000.0]) / _WHITE_NITS  # all that is brighter than the peak becomes white
    return np.append(before / _WHITE_NITS, beyond), np.append(factor, 1 / beyond)


def _to_pq(nits: float) -> float:
    power = (nits / 10000) ** _M1
    return float(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def _from_pq(values: NDArray[np.float64]) -> NDArray[np.float64]:
    power = values ** (1 / _M2)
    nits: NDArray[np.float64] = 10000 * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)
    return nits
