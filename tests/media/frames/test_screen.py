"""Frames as a screen shows them: tone mapping, backgrounds, square pixels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from gen_inbetween.media.frames.colour import FilmColour
from gen_inbetween.media.frames.screen import (
    hdr_light,
    image_of,
    in_bt709,
    is_opaque,
    over,
    spread_colours,
    tone_mapped,
    with_alpha,
)

PQ = FilmColour("bt2020nc", "bt2020", "smpte2084", bits=10)
HLG = FilmColour("bt2020nc", "bt2020", "arib-std-b67", bits=10)


def grey(signal: float) -> np.ndarray:
    return np.full((1, 1, 3), round(signal * 65535), np.uint16)


def shown(signal: float, colour: FilmColour) -> float:
    pixels = tone_mapped(grey(signal), colour)[0, 0] / 65535
    assert np.ptp(pixels) < 1e-3  # grey stays grey
    return float(pixels[0])


def test_hdr_is_not_pale_and_not_cut_off() -> None:
    # 26, 100, 203 and 1000 cd/m2 in PQ, BT.2408's grey card, and its white of an SDR picture
    assert abs(shown(0.38, PQ) - (26.2 / 203) ** (1 / 2.4)) < 0.02  # darker than the knee: as bright as it was
    assert 0.85 < shown(0.5806, PQ) < 0.95
    assert shown(0.5806, PQ) < shown(0.65, PQ) < shown(0.7518, PQ) == 1.0 == shown(1.0, PQ)
    assert shown(0, PQ) == shown(0, HLG) == 0
    assert abs(shown(0.38, HLG) - shown(0.38, PQ)) < 0.02  # both standards put a grey card at 38 %
    assert 0.85 < shown(0.75, HLG) < 0.95 and shown(1.0, HLG) == 1.0


def test_colours_of_hdr_are_those_of_a_screen() -> None:
    red = np.array([[[0.45, 0.30, 0.25]]]) * 65535
    pixels = tone_mapped(red.round().astype(np.uint16), PQ)[0, 0] / 65535
    assert pixels[0] > 1.8 * pixels[1] > 1.8 * pixels[2]  # BT.2020's red is far redder than its numbers look
    alpha = with_alpha(grey(0.5))
    alpha[..., 3] = 1234
    assert tone_mapped(alpha, PQ)[0, 0, 3] == 1234
    assert image_of(grey(0.5806), PQ).getpixel((0, 0)) == image_of(tone_mapped(grey(0.5806), PQ)).getpixel((0, 0))


def test_a_background_lies_under_what_is_transparent() -> None:
    pixels = np.array([[[0, 255, 0, 0], [0, 0, 0, 51], [9, 8, 7, 255]]], np.uint8)
    assert over(pixels, (255, 255, 255)).tolist() == [[[255, 255, 255], [204, 204, 204], [9, 8, 7]]]
    deep = over(pixels.astype(np.uint16) * 257, (255, 0, 0))
    assert deep.tolist() == [[[65535, 0, 0], [204 * 257, 0, 0], [9 * 257, 8 * 257, 7 * 257]]]
    assert not is_opaque(pixels) and is_opaque(pixels[:, 2:]) and is_opaque(pixels[..., :3])
    assert image_of(pixels, background=None).mode == "RGBA"


def test_pixels_become_square() -> None:
    frame = np.zeros((10, 20, 3), np.uint8)
    assert image_of(frame, sample_aspect=Fraction(4, 3)).size == (27, 10)
    assert image_of(frame, sample_aspect=Fraction(8, 9)).size == (20, 11)


def test_hidden_pixels_take_the_colours_beside_them() -> None:
    pixels = np.zeros((9, 11, 4), np.uint8)
    pixels[2:4, 2:4] = (200, 10, 30, 255)
    pixels[7, 9] = (0, 0, 90, 40)
    spread = spread_colours(pixels)
    assert np.array_equal(spread[..., 3], pixels[..., 3])
    seen = pixels[..., 3] > 0
    assert np.array_equal(spread[seen], pixels[seen])
    assert np.abs(spread[1, 2, :3].astype(int) - (200, 10, 30)).max() <= 1
    assert spread[..., :3].any(2).all()
    assert spread_colours(pixels.astype(np.uint16) * 257)[1, 2, 0] == 200 * 257
    assert spread_colours(np.zeros((4, 4, 4), np.uint8)).max() == 0


def test_light_of_hdr_in_the_primaries_of_bt709() -> None:
    light = in_bt709(hdr_light(np.repeat(grey(0.5806), 4, 1), PQ), PQ)
    assert np.abs(light - 1).max() < 0.01  # 203 cd/m2 is SDR's white, and grey stays grey
    red = np.array([[[0.5, 0.0, 0.0]]]) * 65535
    light = in_bt709(hdr_light(red.astype(np.uint16), PQ), PQ)[0, 0]
    assert light[0] > 0 > light[1]
