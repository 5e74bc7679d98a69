"""Colour matching of generated frames: mean and deviation in linear light.

    y = (x - mean_made) gain + mean_true        gain = deviation_true / deviation_made, for each channel

The frames that are kept on either side of a gap come out of the model, too, a little off in colour as all it makes.
What brings these back to the true ones brings the gap to them; from one side to the other the two maps are blended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Values = NDArray[np.float64]
GAINS = (0.5, 2.0)  # further apart the two are no longer one picture in two colours


@dataclass(frozen=True)
class ColourMap:
    """y = gain x + offset of linear light, for each of R, G and B."""

    gain: Values
    offset: Values

    def towards(self, other: ColourMap, share: float) -> ColourMap:
        """This one at share 0, the other at 1."""
        gain, offset = ((1 - share) * a + share * b for a, b in ((self.gain, other.gain), (self.offset, other.offset)))
        return ColourMap(gain, offset)

    def __call__(self, image: Image.Image) -> Image.Image:
        """The image in these colours."""
        pixels = encode(decode(image) * self.gain + self.offset)
        return Image.fromarray((pixels * 255).round().astype(np.uint8))

    def record(self) -> dict[str, Any]:
        """As a manifest has it."""
        return {"gain": self.gain.round(4).tolist(), "offset": self.offset.round(4).tolist()}


def match_colours(made: Sequence[Image.Image], true: Sequence[Image.Image]) -> ColourMap:
    """The map that gives the frames that were made the mean and deviation of the true ones.

    A channel without deviation keeps a gain of 1.
    """
    a, b = (np.concatenate([decode(image).reshape(-1, 3) for image in images]) for images in (made, true))
    deviation = a.std(0)
    gain = np.where(deviation > 1e-6, b.std(0) / np.maximum(deviation, 1e-6), 1.0).clip(*GAINS)
    return ColourMap(gain, b.mean(0) - gain * a.mean(0))


def decode(image: Image.Image) -> Values:
    """An sRGB picture as linear light, (height, width, 3) in [0, 1] (IEC 61966-2-1)."""
    signal = np.asarray(image, np.float64) / 255
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


def encode(light: Values) -> Values:
    """Linear light as sRGB in [0, 1]; beyond it is cut off.

    >>> encode(np.array([0.0, 0.5, 1.2])).round(3).tolist()
    [0.0, 0.735, 1.0]
    """
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
