"""A film in which a square moves a little, jumps, and moves a little again, that tests of doubt share."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from film_cases import write_film
from PIL import Image

RATE = 10
JUMP = 4  # the pair of frames 4 and 5, at 0.4 to 0.5 s
PLACES = (4, 6, 8, 10, 12, 62, 60, 58, 56, 54)
SQUARE = 20


def jumping() -> list[Image.Image]:
    y, x = np.mgrid[:64, :96]
    ground = np.stack([40 + x, 60 + y, 120 - x], -1).astype(np.uint8)
    frames = []
    for place in PLACES:
        pixels = ground.copy()
        pixels[20 : 20 + SQUARE, place : place + SQUARE] = (250, 240, 20)
        frames.append(Image.fromarray(pixels))
    return frames


def jumping_film(folder: Path, name: str = "jump.mp4") -> Path:
    return write_film(folder / name, jumping(), unit=Fraction(1, RATE), crf=1)
