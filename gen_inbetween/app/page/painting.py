"""What is painted on the page: masks, and curves drawn as a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.media.image import load_image

BRUSHES: dict[str, str] = {
    "orange": "#e8590c",
    "blue": "#1971c2",
    "green": "#2f9e44",
}  # of the first, second, third thing
OPAQUE = 100  # of 255: the soft edge of a stroke is not of it
KNOTS = 9  # of a drawn curve


class PaintingError(ValueError):
    """Nothing usable was painted: what was expected, what came, what to do."""


def picture_of(editor: Mapping[str, Any] | None) -> Image.Image | None:
    """The picture that was painted on, RGB, over white where it is transparent."""
    background = None if not editor else editor.get("background")
    return None if background is None else load_image(background)


def strokes_of(editor: Mapping[str, Any]) -> NDArray[np.uint8]:
    """(H, W, 4) what was painted, all layers together."""
    layers = [layer.convert("RGBA") for layer in editor.get("layers") or [] if layer is not None]
    if not layers:
        return np.zeros((1, 1, 4), np.uint8)
    painted = layers[0]
    for layer in layers[1:]:
        painted = Image.alpha_composite(painted, layer.resize(painted.size))
    return np.asarray(painted)


def painted_masks(editor: Mapping[str, Any]) -> dict[str, NDArray[np.bool_]]:
    """A mask (H, W) for each colour of brush that was used, of the picture's size.

    PaintingError: nothing is painted.
    """
    strokes, picture = strokes_of(editor), picture_of(editor)
    opaque = strokes[..., 3] > OPAQUE
    if not opaque.any():
        raise PaintingError(
            "nothing is painted: take the brush at the left of the first picture and paint over a thing, or type where "
            "it is under --click in the settings"
        )
    colours = np.array([[int(code[k : k + 2], 16) for k in (1, 3, 5)] for code in BRUSHES.values()], np.int32)
    distance = np.abs(strokes[..., None, :3].astype(np.int32) - colours).sum(-1)
    nearest = distance.argmin(-1)
    masks = {name: opaque & (nearest == number) for number, name in enumerate(BRUSHES)}
    size = None if picture is None else picture.size
    return {name: fitted(mask, size) for name, mask in masks.items() if mask.any()}


def fitted(mask: NDArray[np.bool_], size: tuple[int, int] | None) -> NDArray[np.bool_]:
    """A mask at the picture's size; browsers paint on smaller canvases at times."""
    if size is None or mask.shape == size[::-1]:
        return mask
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def dots_of(mask: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """The middle (x, y) of every dot of a mask, in pixels.

    >>> mask = np.zeros((20, 20), bool); mask[2:5, 10:13] = True
    >>> dots_of(mask)
    [(11.0, 3.0)]
    """
    from scipy.ndimage import center_of_mass, label

    labels, count = label(mask)
    return [(float(x), float(y)) for y, x in center_of_mass(mask, labels, range(1, count + 1))]


def typed_points(text: str) -> list[tuple[float, float]]:
    """Points "x,y" of things, one each, in the order of BRUSHES: for whoever has no mouse.

    >>> typed_points("30,40; 12.5,8")
    [(30.0, 40.0), (12.5, 8.0)]

    PaintingError: something else, or more than there are colours.
    """
    points = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        try:
            x, y = (float(number) for number in part.split(","))
        except ValueError as error:
            raise PaintingError(
                f"--click: expected x,y in pixels of the first picture, several with semicolons between; got {part!r}"
            ) from error
        points.append((x, y))
    if len(points) > len(BRUSHES):
        raise PaintingError(f"--click: {len(BRUSHES)} things at most, got {len(points)} points")
    return points


def drawn_curve(editor: Mapping[str, Any] | None) -> str:
    """Knots "0:0,0.5:0.8,1:1" of a line drawn from left to right; its height is how far the motion is.

    PaintingError: there is no line, or it covers less than half of the width.
    """
    opaque = strokes_of(editor or {})[..., 3] > OPAQUE
    columns = np.flatnonzero(opaque.any(0))
    height, width = opaque.shape
    if not len(columns) or columns[-1] - columns[0] < width / 2:
        raise PaintingError("draw a line from the left edge to the right edge: up is further along the motion")
    rows = np.arange(height)[:, None]
    means = (rows * opaque).sum(0)[columns] / opaque.sum(0)[columns]
    low, high = 0.05 * height, 0.95 * height  # a hand does not reach the border
    values = np.clip((high - means) / (high - low), 0, 1)
    places = (columns - columns[0]) / (columns[-1] - columns[0])
    times = np.linspace(0, 1, KNOTS)
    return ",".join(
        f"{time:g}:{value:.3g}" for time, value in zip(times, np.interp(times, places, values), strict=True)
    )
