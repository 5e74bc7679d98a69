"""Backgrounds of synthetic clips: noise, or softened photographs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "brick", "gravel")  # files of scikit-image itself
HORIZON = 50 / 64  # of the height: where the ground begins in a side view


@cache
def photographs() -> tuple[NDArray[np.uint8], ...]:
    """Free photographs to use as textures, each (H, W, 3) uint8; from scikit-image (the `train` extra).

    Raises:
        ImportError: scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError as error:
        raise ImportError("the photographs come with scikit-image: pip install gen_inbetween[train]") from error
    images = (getattr(data, name)() for name in PHOTOGRAPHS)
    return tuple(np.repeat(image[..., None], 3, -1) if image.ndim == 2 else image[..., :3] for image in images)


def background(rng: np.random.Generator, size: int, textures: Sequence[NDArray[np.uint8]], side_view: bool) -> Array:
    """A texture of twice the frame's size, (2 S, 2 S, 3) in [0, 1], of little colour, so that the objects stand out."""
    wide = 2 * size
    if textures and rng.random() < 0.5:
        photo = textures[int(rng.integers(len(textures)))]
        soft = resize(crop(rng, photo / np.float32(255), wide), wide // 4, wide // 4)
        image = resize(soft, wide, wide)
        grey = image.mean(-1, keepdims=True)
        image = 0.2 + 0.6 * (grey + 0.3 * (image - grey))
    else:
        image = np.full((wide, wide, 3), rng.uniform(0.35, 0.65), np.float32)
        for cells, strength in ((3, 0.22), (8, 0.1), (20, 0.03)):
            blotches = rng.normal(0, 1, (cells, cells, 1)) + 0.25 * rng.normal(0, 1, (cells, cells, 3))
            image = image + strength * resize(blotches.astype(np.float32), wide, wide)
    if side_view:
        ground = np.arange(wide) >= HORIZON * size
        image[ground] = 0.55 * image[ground]
    return np.clip(image, 0.05, 0.9)


def crop(rng: np.random.Generator, image: Array, least: int) -> Array:
    side = int(min(image.shape[:2]) * rng.uniform(0.4, 1.0))
    side = max(side, min(least, *image.shape[:2]))
    top, left = (rng.integers(0, extent - side + 1) for extent in image.shape[:2])
    return image[top : top + side, left : left + side]


def resize(image: Array, height: int, width: int) -> Array:
    """Bilinear with corners aligned; photographs are first averaged over the area of a pixel."""
    reduce = max(1, min(image.shape[0] // height, image.shape[1] // width))
    trimmed = image[: image.shape[0] // reduce * reduce, : image.shape[1] // reduce * reduce]
    blocks = trimmed.reshape(trimmed.shape[0] // reduce, reduce, trimmed.shape[1] // reduce, reduce, -1).mean((1, 3))
    rows = np.linspace(0, blocks.shape[0] - 1, height, dtype=np.float32)
    columns = np.linspace(0, blocks.shape[1] - 1, width, dtype=np.float32)
    return sample(blocks, *np.meshgrid(columns, rows))


def sample(image: Array, x: Array, y: Array) -> Array:
    """Bilinear values of `image` (H, W, C) at points x, y in pixels, clamped to the border."""
    height, width = image.shape[:2]
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    dx, dy = (x - left)[..., None], (y - top)[..., None]
    upper = image[top, left] * (1 - dx) + image[top, left + 1] * dx
    lower = image[top + 1, left] * (1 - dx) + image[top + 1, left + 1] * dx
    return (upper * (1 - dy) + lower * dy).astype(np.float32)
