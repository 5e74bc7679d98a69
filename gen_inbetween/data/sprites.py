"""Objects of synthetic clips: rigid parts under affine maps.

Local coordinates of an object: x towards its nose, y to its right, pixels of a 64 x 64 frame.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Affine:
    """x -> matrix x + offset, one map a frame: matrix (F, 2, 2), offset (F, 2)."""

    matrix: Array
    offset: Array

    def __matmul__(self, inner: Affine) -> Affine:
        offset = np.einsum("fij,fj->fi", self.matrix, inner.offset) + self.offset
        return Affine(self.matrix @ inner.matrix, offset)

    def __call__(self, points: Array) -> Array:
        return np.einsum("fij,fj...->fi...", self.matrix, points) + self.offset.reshape(-1, 2, *[1] * (points.ndim - 2))

    def inverse(self) -> Affine:
        inverse = np.linalg.inv(self.matrix)
        return Affine(inverse, -np.einsum("fij,fj->fi", inverse, self.offset))


def pose(angle: Array, position: Array, *, mirror: bool = False, scale: float = 1.0) -> Affine:
    """Rotation by `angle` (F,) about the origin, then a move to `position` (F, 2); `mirror` flips y first."""
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2) * scale
    matrix = matrix * np.array([1.0, -1.0 if mirror else 1.0])
    return Affine(matrix.astype(np.float32), position.astype(np.float32))


# Shapes: functions from local points (F, 2, ...) to a signed distance, negative inside.
Shape = Callable[[Array], Array]


def ellipse(x: float, y: float, rx: float, ry: float) -> Shape:
    return lambda p: (np.hypot((p[:, 0] - x) / rx, (p[:, 1] - y) / ry) - 1) * min(rx, ry)


def polygon(*corners: tuple[float, float]) -> Shape:
    """A convex polygon, its corners in either order round."""
    points = np.array(corners, np.float32)
    edges = np.roll(points, -1, 0) - points
    turn = np.sign(edges[0, 0] * edges[1, 1] - edges[0, 1] * edges[1, 0])
    normals = np.stack([edges[:, 1], -edges[:, 0]], -1) * turn / np.linalg.norm(edges, axis=-1, keepdims=True)
    sides = (normals * points).sum(-1)

    def distance(p: Array) -> Array:
        return np.max([n[0] * p[:, 0] + n[1] * p[:, 1] - side for n, side in zip(normals, sides, strict=True)], axis=0)

    return distance


def box(left: float, top: float, right: float, bottom: float) -> Shape:
    return polygon((left, top), (right, top), (right, bottom), (left, bottom))


DARK = np.array([0.1, 0.1, 0.12], np.float32)
LIGHT = np.array([0.95, 0.95, 0.92], np.float32)


@dataclass(frozen=True)
class Part:
    shape: Shape
    colour: Array  # RGB in [0, 1]
    joint: Affine | None = None  # the part's own motion inside the object: a wheel, a leg, a tail


@dataclass(frozen=True)
class Palette:
    front: Array  # warm, RGB in [0, 1]
    rear: Array  # cool


def joint(angle: Array, x: float, y: float) -> Affine:
    return pose(angle, np.broadcast_to(np.array([x, y], np.float32), (len(angle), 2)))


# Kinds of object: `travelled` is the distance gone in each frame (F,), in pixels of the 64-pixel design.
def dart(colours: Palette, travelled: Array) -> list[Part]:
    return [
        Part(polygon((-11, -7), (-4, -3), (-4, 3), (-11, 7)), colours.rear * 0.75),
        Part(box(-10, -3, 3, 3), colours.rear),
        Part(polygon((12, 0), (1, -8), (1, 8)), colours.front),
    ]


def fish(colours: Palette, travelled: Array) -> list[Part]:
    wag = joint(0.5 * np.sin(travelled / 2.5), -8, 0)
    return [
        Part(polygon((1, 0), (-6, -6), (-6, 6)), colours.rear * 0.8, wag),
        Part(ellipse(-1, 0, 9, 6), colours.rear),
        Part(ellipse(5, 0, 6, 5.5), colours.front),
        Part(ellipse(7, -2.5, 1.2, 1.2), DARK),
        Part(ellipse(7, 2.5, 1.2, 1.2), DARK),
    ]


def car(colours: Palette, travelled: Array) -> list[Part]:
    wheels = [Part(box(x - 2.5, y - 1.5, x + 2.5, y + 1.5), DARK) for x in (-6, 6) for y in (-6, 6)]
    return [
        *wheels,
        Part(box(-11, -6, 1, 6), colours.rear),
        Part(box(1, -6, 11, 6), colours.front),
        Part(box(0, -4.5, 3.5, 4.5), DARK),
    ]


def walker(colours: Palette, travelled: Array) -> list[Part]:
    swing = 0.6 * np.sin(travelled / 4.0)
    leg = polygon((-2, 0), (2, 0), (1.7, 10), (-1.7, 10))
    return [
        Part(leg, colours.rear * 0.6, joint(swing, 0, 3)),
        Part(leg, colours.rear * 0.8, joint(-swing, 0, 3)),
        Part(ellipse(-1.5, -2, 5, 7.5), colours.rear),
        Part(ellipse(2.5, -2, 3, 6), colours.front),
        Part(ellipse(1.5, -11, 4.5, 4.5), colours.front),
        Part(polygon((9, -10.5), (5, -13), (5, -9)), colours.front),
        Part(ellipse(3, -12, 1, 1), DARK),
    ]


def cart(colours: Palette, travelled: Array) -> list[Part]:
    parts = [
        Part(box(-12, -7, 3, 4), colours.rear),
        Part(polygon((3, -7), (7, -7), (12, 0), (12, 4), (3, 4)), colours.front),
        Part(polygon((4.5, -5.5), (6.5, -5.5), (9, -1.5), (4.5, -1.5)), DARK),
    ]
    for x in (-6.5, 6.5):
        roll = joint(travelled / 4.5, x, 5)
        spokes = [Part(box(-4, -0.8, 4, 0.8), LIGHT, roll), Part(box(-0.8, -4, 0.8, 4), LIGHT, roll)]
        parts += [Part(ellipse(0, 0, 4.5, 4.5), DARK, roll), *spokes]
    return parts


def ball(colours: Palette, travelled: Array) -> list[Part]:
    roll = joint(travelled / 7.0, 0, 0)
    return [Part(ellipse(0, 0, 7, 7), colours.front, roll), Part(box(-6.5, -1.6, 6.5, 1.6), LIGHT, roll)]


KINDS: dict[str, Callable[[Palette, Array], list[Part]]] = {
    "dart": dart, "fish": fish, "car": car, "walker": walker, "cart": cart, "ball": ball,
}  # fmt: skip
SEEN_FROM_ABOVE = ("dart", "fish", "car")  # any heading; the others live in a side view, on a ground, left or right


def palette(rng: np.random.Generator) -> Palette:
    warm, cool = rng.uniform(-0.04, 0.15) % 1.0, rng.uniform(0.48, 0.72)
    front = colorsys.hsv_to_rgb(warm, rng.uniform(0.8, 1.0), rng.uniform(0.85, 1.0))
    rear = colorsys.hsv_to_rgb(cool, rng.uniform(0.75, 1.0), rng.uniform(0.6, 0.9))
    return Palette(np.array(front, np.float32), np.array(rear, np.float32))
