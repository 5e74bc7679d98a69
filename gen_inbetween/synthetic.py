"""Clips whose motion has a direction in time, drawn from a seed, with the exact truth beside them.

Generative inbetweening is about the arrow of time: a clip sampled backwards from its last keyframe must still run
forwards. The clips made here show that arrow: things travel nose-first (their front is painted in a warm colour, their
rear in a cool one), wheels roll the way their cart drives, walkers lean and step the way they look, balls lose height
with every bounce. Everything is a rigid part that moves by an affine map, so positions, headings, visible masks and
optical flow are exact, not estimated.

Coordinates: pixels, x to the right, y down, (0, 0) the centre of the top left pixel; angles in radians from x towards y.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

DESIGN_SIZE = 64  # shapes and speeds below are in pixels of a 64 x 64 frame and scale with the size asked for
BUCKETS_PER_SPEED = 64.0  # motion_bucket_id of one pixel (of 64) a frame; SVD's default 127 is then two pixels a frame
FRAME_RATES = (6, 7, 8, 10, 12)
GRAVITY = 55.0  # pixels (of 64) per second squared: slow enough to be seen at seven frames a second


@dataclass(frozen=True)
class SyntheticClip:
    """A clip and its truth. F frames, K objects, S the size in pixels."""

    frames: NDArray[np.uint8]  # (F, S, S, 3)
    positions: Array  # (F, K, 2) object centres, pixels
    headings: Array  # (F, K) where the nose points, radians; NaN for balls, which have no nose
    masks: NDArray[np.bool_]  # (F, K, S, S) the pixels in which the object is in front
    flow: Array  # (F - 1, 2, S, S) pixels moved from frame f to f + 1 by what is seen in frame f
    colours: Array  # (K, 2, 3) warm front and cool rear, RGB in [0, 1]
    kinds: tuple[str, ...]
    fps: int
    motion_bucket_id: int

    @property
    def speed(self) -> float:
        """Mean speed of the objects, pixels a frame."""
        return float(np.linalg.norm(np.diff(self.positions, axis=0), axis=-1).mean())


def motion_bucket(speed: float, size: int) -> int:
    """SVD's motion bucket (0 to 255) for a mean speed in pixels a frame, in a frame of `size` pixels."""
    return int(np.clip(round(speed * DESIGN_SIZE / size * BUCKETS_PER_SPEED), 0, 255))


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


@dataclass(frozen=True)
class Part:
    shape: Shape
    colour: Sequence[float]
    joint: Affine | None = None  # the part's own motion inside the object: a wheel, a leg, a tail


@dataclass(frozen=True)
class Palette:
    front: Array  # warm, RGB in [0, 1]
    rear: Array  # cool
    dark: tuple[float, float, float] = (0.1, 0.1, 0.12)
    light: tuple[float, float, float] = (0.95, 0.95, 0.92)


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
        Part(ellipse(7, -2.5, 1.2, 1.2), colours.dark),
        Part(ellipse(7, 2.5, 1.2, 1.2), colours.dark),
    ]


def car(colours: Palette, travelled: Array) -> list[Part]:
    wheels = [Part(box(x - 2.5, y - 1.5, x + 2.5, y + 1.5), colours.dark) for x in (-6, 6) for y in (-6, 6)]
    return [
        *wheels,
        Part(box(-11, -6, 1, 6), colours.rear),
        Part(box(1, -6, 11, 6), colours.front),
        Part(box(0, -4.5, 3.5, 4.5), colours.dark),
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
        Part(ellipse(3, -12, 1, 1), colours.dark),
    ]


def cart(colours: Palette, travelled: Array) -> list[Part]:
    parts = [
        Part(box(-12, -7, 3, 4), colours.rear),
        Part(polygon((3, -7), (7, -7), (12, 0), (12, 4), (3, 4)), colours.front),
        Part(polygon((4.5, -5.5), (6.5, -5.5), (9, -1.5), (4.5, -1.5)), colours.dark),
    ]
    for x in (-6.5, 6.5):
        roll = joint(travelled / 4.5, x, 5)
        spokes = [Part(box(-4, -0.8, 4, 0.8), colours.light, roll), Part(box(-0.8, -4, 0.8, 4), colours.light, roll)]
        parts += [Part(ellipse(0, 0, 4.5, 4.5), colours.dark, roll), *spokes]
    return parts


def ball(colours: Palette, travelled: Array) -> list[Part]:
    roll = joint(travelled / 7.0, 0, 0)
    return [Part(ellipse(0, 0, 7, 7), colours.front, roll), Part(box(-6.5, -1.6, 6.5, 1.6), colours.light, roll)]


KINDS: dict[str, Callable[[Palette, Array], list[Part]]] = {
    "dart": dart, "fish": fish, "car": car, "walker": walker, "cart": cart, "ball": ball,
}  # fmt: skip
SEEN_FROM_ABOVE = ("dart", "fish", "car")  # any heading; the others live in a side view, on a ground, left or right


@dataclass
class Track:
    """One object's path in design pixels: centre (F, 2), heading (F,) or NaN, distance travelled (F,)."""

    kind: str
    centre: Array
    heading: Array
    travelled: Array
    parts: list[Part] = field(default_factory=list)


def steer(rng: np.random.Generator, kind: str, middle: Array, num_frames: int, speed: float, fps: int) -> Track:
    """The path of one object that is near `middle` half-way through the clip, moving `speed` pixels a frame."""
    time = np.arange(num_frames) - (num_frames - 1) / 2
    pace = speed * (1 + rng.uniform(-0.3, 0.3) * time / max(num_frames - 1, 1))
    travelled = np.concatenate([[0.0], np.cumsum((pace[1:] + pace[:-1]) / 2)])
    if kind == "ball":
        return bounce(rng, middle, travelled, fps)
    if kind in SEEN_FROM_ABOVE:
        heading = rng.uniform(-np.pi, np.pi) + rng.normal(0, 0.05) * time
    else:
        heading = np.full(num_frames, rng.choice([0.0, np.pi]))
    between = (heading[1:] + heading[:-1]) / 2
    steps = np.diff(travelled)[:, None] * np.stack([np.cos(between), np.sin(between)], -1)
    path = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, 0)])
    return Track(kind, path - path[num_frames // 2] + middle, heading, travelled + rng.uniform(0, 30))


def bounce(rng: np.random.Generator, middle: Array, travelled: Array, fps: int) -> Track:
    """A ball falls onto the ground (y = 50) and loses part of its height with each bounce."""
    ground, fall = 50.0, GRAVITY / fps**2
    height, rise = rng.uniform(14, 34), rng.uniform(-0.5, 0.5)
    heights = []
    for _ in travelled:
        heights.append(height)
        left = 1.0  # of the frame's time; a bounce happens within it
        touch = (rise + np.sqrt(rise**2 + 2 * fall * height)) / fall
        if touch < left:
            height, rise, left = 0.0, 0.75 * (fall * touch - rise), left - touch
        height, rise = max(height + rise * left - fall * left**2 / 2, 0.0), rise - fall * left
        if height == 0.0:
            rise = 0.0  # too slow to leave the ground again
    side = rng.choice([-1.0, 1.0])
    x = middle[0] + side * 0.6 * (travelled - travelled[len(travelled) // 2])
    centre = np.stack([x, ground - 7 - np.array(heights)], -1)
    return Track("ball", centre, np.full(len(x), np.nan), side * 0.6 * travelled + rng.uniform(0, 30))


def background(rng: np.random.Generator, size: int, textures: Sequence[NDArray[np.uint8]], side_view: bool) -> Array:
    """A texture of twice the frame's size, (2 S, 2 S, 3) in [0, 1], of little colour, so that the objects stand out."""
    wide = 2 * size
    if textures and rng.random() < 0.5:
        photo = textures[rng.integers(len(textures))]
        image = resize(crop(rng, photo[..., :3] / np.float32(255), wide), wide, wide)
        grey = image.mean(-1, keepdims=True)
        image = 0.2 + 0.6 * (grey + 0.3 * (image - grey))
    else:
        image = np.full((wide, wide, 3), rng.uniform(0.35, 0.65), np.float32)
        for cells, strength in ((3, 0.22), (8, 0.1), (20, 0.04)):
            blotches = rng.normal(0, 1, (cells, cells, 1)) + 0.25 * rng.normal(0, 1, (cells, cells, 3))
            image = image + strength * resize(blotches.astype(np.float32), wide, wide)
    if side_view:
        horizon = np.arange(wide) * DESIGN_SIZE / size >= 50
        image[horizon] = 0.55 * image[horizon]
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


def palette(rng: np.random.Generator) -> Palette:
    warm, cool = rng.uniform(-0.04, 0.15) % 1.0, rng.uniform(0.48, 0.72)
    front = colorsys.hsv_to_rgb(warm, rng.uniform(0.8, 1.0), rng.uniform(0.85, 1.0))
    rear = colorsys.hsv_to_rgb(cool, rng.uniform(0.75, 1.0), rng.uniform(0.6, 0.9))
    return Palette(np.array(front, np.float32), np.array(rear, np.float32))


def make_clip(
    seed: int,
    *,
    num_frames: int = 14,
    size: int = 64,
    kind: str | None = None,
    num_objects: int | None = None,
    speed: float | None = None,
    textures: Sequence[NDArray[np.uint8]] = (),
) -> SyntheticClip:
    """Draw clip number `seed`.

    Args:
        seed: any integer from 0; the same seed and arguments give the same clip.
        num_frames: two or more. size: height and width in pixels, 16 or more.
        kind: one of KINDS, or None to draw one. num_objects: one or more, None draws one (70 %) or two.
        speed: mean speed in pixels (of a 64-pixel frame) a frame, None draws 0.5 to 3.5. Balls also fall.
        textures: photographs, (H, W, 3 or more) uint8, for half of the backgrounds.

    Raises:
        ValueError: for a kind that does not exist, or counts that are too small.
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"expected kind to be one of {', '.join(KINDS)}, got {kind!r}")
    if num_frames < 2 or size < 16 or (num_objects is not None and num_objects < 1):
        raise ValueError(
            "expected num_frames >= 2, size >= 16 and num_objects >= 1, "
            f"got num_frames={num_frames}, size={size}, num_objects={num_objects}"
        )
    rng = np.random.default_rng(seed)
    kind = kind or str(rng.choice(list(KINDS)))
    num_objects = num_objects or (1 if rng.random() < 0.7 else 2)
    side_view = kind not in SEEN_FROM_ABOVE
    pool = [name for name in KINDS if (name not in SEEN_FROM_ABOVE) == side_view]
    kinds = [kind, *rng.choice(pool, num_objects - 1)]
    pace = speed if speed is not None else rng.uniform(0.5, 3.5)
    fps = int(rng.choice(FRAME_RATES))

    palettes = [palette(rng) for _ in kinds]
    tracks = []
    for index, (name, colours) in enumerate(zip(kinds, palettes, strict=True)):
        across = (index + 0.5) / num_objects * DESIGN_SIZE
        middle = np.array([across, 38.0 if side_view else 32.0]) + rng.uniform(-8, 8, 2) * (1, 0 if side_view else 1)
        track = steer(rng, str(name), middle, num_frames, pace, fps)
        track.parts = KINDS[track.kind](colours, track.travelled)
        tracks.append(track)
    texture = background(rng, size, textures, side_view)
    drift = rng.uniform(-0.35, 0.35, 2) * (1, not side_view) * (rng.random() < 0.5)
    return render(tracks, palettes, texture, drift, size, fps)


def render(
    tracks: list[Track], palettes: list[Palette], texture: Array, drift: Array, size: int, fps: int
) -> SyntheticClip:
    """Paint the objects over the drifting background, back to front; `drift` is the camera's, design pixels a frame."""
    num_frames, scale = len(tracks[0].centre), size / DESIGN_SIZE
    y, x = np.mgrid[:size, :size].astype(np.float32)
    pixels = np.broadcast_to(np.stack([x, y]), (num_frames, 2, size, size))
    shift = np.arange(num_frames)[:, None] * drift[None] * scale
    camera = np.abs(drift) * (num_frames - 1) * scale  # the texture is wider than the frame; side views keep y = 0 on top
    start = np.where(drift < 0, camera, 0.0)
    canvas = np.stack([sample(texture, x + start[0] + s[0], y + start[1] + s[1]) for s in shift])
    seen = np.full((num_frames, size, size), -1)
    flow = np.broadcast_to((-drift * scale).astype(np.float32)[None, :, None, None], (num_frames - 1, 2, size, size)).copy()
    half = (scale - 1) / 2  # pixel centres: design coordinate c is pixel c * scale + half
    centres = []
    for index, track in enumerate(tracks):
        centre = (track.centre - np.arange(num_frames)[:, None] * drift) * scale + half
        centres.append(centre)
        angle = np.nan_to_num(track.heading)
        mirror = track.kind not in SEEN_FROM_ABOVE and bool(np.cos(angle[0]) < 0)
        body = pose(angle, centre, mirror=mirror, scale=scale)
        for part in track.parts:
            place = body if part.joint is None else body @ part.joint
            local = place.inverse()(pixels)
            cover = np.clip(0.5 - part.shape(local) * scale, 0, 1)
            canvas += cover[..., None] * (np.asarray(part.colour, np.float32) - canvas)
            front = cover > 0.5
            seen[front] = index
            ahead = Affine(place.matrix[1:], place.offset[1:])(local[:-1]) - pixels[:-1]
            flow = np.where(front[:-1, None], ahead, flow)
    positions = np.stack(centres, 1).astype(np.float32)
    clip_speed = float(np.linalg.norm(np.diff(positions, axis=0), axis=-1).mean())
    return SyntheticClip(
        frames=np.round(canvas * 255).clip(0, 255).astype(np.uint8),
        positions=positions,
        headings=np.stack([track.heading for track in tracks], 1).astype(np.float32),
        masks=np.stack([seen == index for index in range(len(tracks))], 1),
        flow=flow.astype(np.float32),
        colours=np.stack([np.stack([p.front, p.rear]) for p in palettes]),
        kinds=tuple(track.kind for track in tracks),
        fps=fps,
        motion_bucket_id=motion_bucket(clip_speed, size),
    )
