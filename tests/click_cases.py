"""A picture of two things to click on."""

from __future__ import annotations

import numpy as np


def picture(height: int = 120, width: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """Noisy grass with a red disc of two shades and a blue square: uint8 (H, W, 3), and their masks (2, H, W)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] * (120 / height)
    disc, square = np.hypot(x - 45, y - 60) < 22, (abs(x - 115) < 16) & (abs(y - 50) < 16)
    colours = np.full((height, width, 3), (70, 110, 60), float)
    colours[disc] = (200, 40, 40)
    colours[disc & (y < 55)] = (160, 20, 60)
    colours[square] = (40, 60, 200)
    return (colours + rng.normal(0, 8, colours.shape)).clip(0, 255).astype(np.uint8), np.stack([disc, square])
