"""Richer synthetic clips: textures, cameras, occluders, exact ground truth.

Beside the plain world of `synthetic.py`: outlined, shaded and textured objects of several sizes, up to four at once;
walkers with knees and arms, wheels, balls that cast a shadow; posts and walls in front; flat drawn landscapes and sharp
photographs behind, with a stream that flows through some; a camera that stands still (more often than not), pans, zooms
or turns. Everything is still a rigid part under an affine map, so positions, masks and flow stay exact. Shadows move
over surfaces that stand still: flow tells the surface.

Coordinates and truth as in `synthetic.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.data.sprites import (
    DARK,
    KINDS,
    SEEN_FROM_ABOVE,
    Affine,
    Array,
    Palette,
    Part,
    box,
    ellipse,
    joint,
    palette,
    polygon,
    pose,
)
from gen_inbetween.data.synthetic import DESIGN_SIZE, FRAME_RATES, SyntheticClip, Track, motion_bucket, steer
from gen_inbetween.data.textures import HORIZON, crop, resize, sample

EDGE = 1.4  # pixels (of 64) over which an edge fades: two thirds of the plain world's
OUTLINE = 0.8  # pixels (of 64) of a dark line around an object
STREAM = 20  # tag of the random stream, so that a seed here shares no draws with the same seed of the plain world
CAMERAS = {"still": 0.6, "pan": 0.2, "zoom": 0.1, "turn": 0.1}  # and their shares


def strider(colours: Palette, travelled: Array) -> list[Part]:
    """A walker with knees and swinging arms: legs apart by half a step, the shin lags behind the thigh."""
    phase = travelled / 4.0
    parts: list[Part] = []

    def limb(swing: Array, bend: Array, top: float, length: float, width: float, colour: Array) -> list[Part]:
        upper = joint(swing, 0, top)
        lower = upper @ joint(bend, 0, length)
        shape = polygon((-width, -0.5), (width, -0.5), (0.8 * width, length), (-0.8 * width, length))
        return [Part(shape, colour, upper), Part(shape, colour, lower)]

    def stride(shift: float) -> tuple[Array, Array]:
        return 0.6 * np.sin(phase + shift), 0.7 * np.clip(np.sin(phase + shift + 2.0), 0, 1)

    for shift, shade in ((np.pi, 0.55), (0.0, 0.8)):
        parts += limb(*stride(shift), 3.0, 5.5, 1.8, colours.rear * shade)
    far_arm = limb(0.5 * np.sin(phase), np.full_like(phase, -0.5), -6.0, 4.0, 1.2, colours.rear * 0.6)
    near_arm = limb(-0.5 * np.sin(phase), np.full_like(phase, -0.5), -6.0, 4.0, 1.2, colours.front * 0.8)
    body = [
        Part(ellipse(-1.0, -2, 4, 7.5), colours.rear),
        Part(ellipse(2.0, -2, 2.6, 6), colours.front),
        Part(ellipse(1.2, -12, 4.2, 4.2), colours.front),
        Part(polygon((8, -11.5), (4.5, -13.5), (4.5, -10)), colours.front),
        Part(ellipse(2.8, -13, 0.9, 0.9), DARK),
    ]
    return [*far_arm, *parts, *body, *near_arm]


def wheel(colours: Palette, travelled: Array) -> list[Part]:
    """A lone wheel with a tyre, seen from the side; it rolls as far as it travels."""
    roll = joint(travelled / 9.0, 0, 0)
    spokes = [Part(box(-7, -0.9, 7, 0.9), DARK, roll), Part(box(-0.9, -7, 0.9, 7), DARK, roll)]
    half = Part(polygon((-6.5, 0), (-4.5, -4.5), (0, -6.5), (4.5, -4.5), (6.5, 0)), colours.rear, roll)
    return [Part(ellipse(0, 0, 9, 9), DARK, roll), Part(ellipse(0, 0, 7, 7), colours.front, roll), half, *spokes]


WORLD_KINDS: dict[str, Callable[[Palette, Array], list[Part]]] = {**KINDS, "strider": strider, "wheel": wheel}
FOOTING = {"walker": 13.0, "cart": 9.5, "strider": 14.0, "wheel": 9.0}  # pixels (of 64) from centre to ground


@dataclass(frozen=True)
class Skin:
    """How an object's paint varies over it: brightness by local place, so that it moves with the object."""

    pattern: str  # plain, stripes, dots
    wavelength: float  # pixels of 64
    strength: float
    shade: float  # brighter (upper or right) side against the darker one
    angle: float

    def brightness(self, local: Array) -> Array:
        """Factor for local points (F, 2, ...), around 1."""
        along = np.cos(self.angle) * local[:, 0] + np.sin(self.angle) * local[:, 1]
        across = -np.sin(self.angle) * local[:, 0] + np.cos(self.angle) * local[:, 1]
        wave = 2 * np.pi / self.wavelength
        pattern = {
            "plain": lambda: np.zeros_like(along),
            "stripes": lambda: np.sin(wave * along),
            "dots": lambda: np.sin(wave * along) * np.sin(wave * across),
        }[self.pattern]()
        return 1 + self.strength * pattern - self.shade * np.clip(local[:, 1] / 12, -1, 1)


@dataclass
class Actor:
    """One object: its path, its parts in local coordinates, its size and paint."""

    track: Track
    size: float
    skin: Skin
    outlined: bool

    def body(self) -> Affine:
        """Local to world, one map a frame."""
        angle = np.nan_to_num(self.track.heading)
        mirror = self.track.kind not in SEEN_FROM_ABOVE and bool(np.cos(angle[0]) < 0)
        return pose(angle, self.track.centre, mirror=mirror, scale=self.size)


def make_world_clip(
    seed: int,
    *,
    num_frames: int = 14,
    size: int = 64,
    photograph: bool | None = None,
    textures: Sequence[NDArray[np.uint8]] = (),
) -> SyntheticClip:
    """Draw clip number `seed` of the rich world.

    Args:
        seed: any integer from 0; the same seed and arguments give the same clip. Held-out clips start at
            `synthetic.HELD_OUT_SEED`.
        num_frames: two or more. size: height and width in pixels, 16 or more.
        photograph: True for a camera moving over a photograph and nothing else (no objects: K = 0), False for a scene
            with objects; None draws the former in 15 % of the clips. True needs `textures`.
        textures: photographs, (H, W, 3) uint8, for such clips and for two fifths of the other backgrounds.

    Raises:
        ValueError: counts that are too small, or a photograph asked for without textures.
    """
    if num_frames < 2 or size < 16:
        raise ValueError(f"expected num_frames >= 2 and size >= 16, got num_frames={num_frames}, size={size}")
    if photograph and not textures:
        raise ValueError("expected textures for a clip of a photograph, got none: see textures.photographs")
    rng = np.random.default_rng([seed, STREAM])
    lone = (bool(textures) and rng.random() < 0.15) if photograph is None else photograph
    fps = int(rng.choice(FRAME_RATES))
    if lone:
        camera = draw_camera(rng, str(rng.choice(["pan", "pan", "zoom", "turn"])), num_frames, pace=3.0)
        return render_world([], [], photo_backdrop(rng, size, textures, 1.0), None, camera, [], size, fps)
    side_view = bool(rng.random() < 0.6)
    camera = draw_camera(rng, str(rng.choice(list(CAMERAS), p=list(CAMERAS.values()))), num_frames)
    palettes, actors = draw_actors(rng, side_view, num_frames, fps)
    backdrop = draw_backdrop(rng, size, textures, side_view)
    stream = draw_stream(rng, size) if rng.random() < 0.12 else None
    blocks = draw_blocks(rng, side_view) if rng.random() < 0.25 else []
    return render_world(actors, palettes, backdrop, stream, camera, blocks, size, fps)


def draw_actors(
    rng: np.random.Generator, side_view: bool, num_frames: int, fps: int
) -> tuple[list[Palette], list[Actor]]:
    """One to four objects of one view, back to front, spread over the frame."""
    pool = [name for name in WORLD_KINDS if (name not in SEEN_FROM_ABOVE) == side_view]
    count = int(rng.choice([1, 2, 3, 4], p=[0.45, 0.3, 0.15, 0.1]))
    pace = rng.uniform(0.5, 3.5)
    palettes, actors = [], []
    for across in rng.permutation(count):
        colours, kind = palette(rng), str(rng.choice(pool))
        size = float(rng.uniform(0.75, 1.25) * (1.0 if count < 3 else 0.8))
        middle = np.array([(across + 0.5) / count * DESIGN_SIZE, 32.0]) + rng.uniform(-8, 8, 2)
        track = steer(rng, kind, middle, num_frames, pace, fps)
        if kind in SEEN_FROM_ABOVE:
            track = turn_track(rng, track)
        elif kind in FOOTING:
            track.centre[:, 1] = HORIZON * DESIGN_SIZE - FOOTING[kind] * size + rng.uniform(0, 6)
        if kind == "wheel":  # it has no nose: it rolls the way it goes, and is not mirrored
            track.travelled = track.travelled * np.cos(track.heading[0])
            track.heading = np.full_like(track.heading, np.nan)
        track.parts = WORLD_KINDS[kind](colours, track.travelled / size)
        skin = Skin(
            str(rng.choice(["plain", "stripes", "dots"])), rng.uniform(5, 10), rng.uniform(0.08, 0.2),
            rng.uniform(0, 0.15), rng.uniform(0, np.pi),
        )  # fmt: skip
        palettes.append(colours)
        actors.append(Actor(track, size, skin, bool(rng.random() < 0.6)))
    return palettes, actors


def turn_track(rng: np.random.Generator, track: Track) -> Track:
    """The same object on a curve: its heading turns evenly, its way is walked along it."""
    frames = np.arange(len(track.centre)) - (len(track.centre) - 1) / 2
    heading = track.heading[0] + rng.normal(0, 0.09) * frames
    between = (heading[1:] + heading[:-1]) / 2
    steps = np.diff(track.travelled)[:, None] * np.stack([np.cos(between), np.sin(between)], -1)
    path = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, 0)])
    middle = len(path) // 2
    return Track(track.kind, path - path[middle] + track.centre[middle], heading, track.travelled)


def draw_camera(rng: np.random.Generator, kind: str, num_frames: int, pace: float = 1.0) -> Affine:
    """World to frame, both in design pixels, one map a frame; the middle of the frame is fixed under zoom and turn.

    `pace` times at most 0.6 pixels, 1 % or 0.015 radians a frame.
    """
    frames = np.arange(num_frames) - (num_frames - 1) / 2
    shift: Array = np.zeros((num_frames, 2))
    growth: Array = np.ones(num_frames)
    angle: Array = np.zeros(num_frames)
    if kind == "pan":
        shift = frames[:, None] * rng.uniform(-0.6, 0.6, 2) * pace
    elif kind == "zoom":
        growth = np.exp(frames * rng.uniform(-0.01, 0.01) * pace)
    elif kind == "turn":
        angle = frames * rng.uniform(-0.015, 0.015) * pace
    middle = np.full((num_frames, 2), (DESIGN_SIZE - 1) / 2)
    turned = pose(angle, np.zeros((num_frames, 2)))
    matrix = turned.matrix * growth[:, None, None].astype(np.float32)
    offset = middle + shift - np.einsum("fij,fj->fi", matrix, middle)
    return Affine(matrix.astype(np.float32), offset.astype(np.float32))


def photo_backdrop(rng: np.random.Generator, size: int, textures: Sequence[NDArray[np.uint8]], colour: float) -> Array:
    """A crop of a photograph, (2 S, 2 S, 3) in [0, 1]; `colour` 0 is grey, 1 as it was taken."""
    photo = textures[int(rng.integers(len(textures)))]
    image = resize(crop(rng, photo / np.float32(255), 2 * size), 2 * size, 2 * size)
    image = image[:, ::-1] if rng.random() < 0.5 else image
    grey = image.mean(-1, keepdims=True)
    return np.clip(0.1 + 0.8 * (grey + colour * (image - grey)), 0, 1).astype(np.float32)


def draw_backdrop(rng: np.random.Generator, size: int, textures: Sequence[NDArray[np.uint8]], side_view: bool) -> Array:
    """(2 S, 2 S, 3) in [0, 1], of little colour: a photograph, a flat drawn landscape or tiles, or blotches."""
    choice, wide = rng.random(), 2 * size
    if textures and choice < 0.4:
        image = photo_backdrop(rng, size, textures, 0.3)
    elif choice < 0.75:
        image = flat_landscape(rng, wide) if side_view else tiles(rng, wide)
    else:
        image = np.full((wide, wide, 3), rng.uniform(0.35, 0.65), np.float32)
        for cells, strength in ((3, 0.2), (8, 0.1), (24, 0.05)):
            blotches = rng.normal(0, 1, (cells, cells, 1)) + 0.25 * rng.normal(0, 1, (cells, cells, 3))
            image = image + strength * resize(blotches.astype(np.float32), wide, wide)
    if side_view:
        image[int(size / 2 + HORIZON * size) :] *= 0.6
    return np.clip(image, 0.05, 0.95).astype(np.float32)


def muted(rng: np.random.Generator, low: float, high: float) -> Array:
    """A nearly grey colour of some brightness, (3,)."""
    return (rng.uniform(low, high) + rng.normal(0, 0.04, 3)).astype(np.float32)


def flat_landscape(rng: np.random.Generator, wide: int) -> Array:
    """A drawn landscape: sky, a pale sun, two or three lines of hills, each in one flat tone."""
    y, x = np.mgrid[:wide, :wide] / wide
    image = np.broadcast_to(muted(rng, 0.65, 0.85), (wide, wide, 3)).copy()
    sun, radius = rng.uniform(0.25, 0.5, 2), rng.uniform(0.03, 0.07)
    blend(image, (np.hypot(x - sun[0], y - sun[1]) - radius) * wide, np.float32(0.93))
    for level in np.sort(rng.uniform(0.35, 0.6, int(rng.integers(2, 4)))):
        waves = rng.uniform(1, 4, 2), rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.01, 0.05, 2)
        line = level + sum(a * np.sin(2 * np.pi * k * x + p) for k, p, a in zip(*waves, strict=True))
        blend(image, (line - y) * wide, muted(rng, 0.35, 0.75))
    return image


def tiles(rng: np.random.Generator, wide: int) -> Array:
    """A floor seen from above: two flat tones in squares or stripes, at some angle."""
    y, x = np.mgrid[:wide, :wide] / wide
    angle, period = rng.uniform(0, np.pi), rng.uniform(0.08, 0.25)
    along = (np.cos(angle) * x + np.sin(angle) * y) / period
    across = (-np.sin(angle) * x + np.cos(angle) * y) / period
    wave = np.sin(2 * np.pi * along) * (np.sin(2 * np.pi * across) if rng.random() < 0.5 else 1.0)
    share = np.clip(0.5 + wave * period * wide / 6, 0, 1)[..., None]
    first, second = muted(rng, 0.35, 0.6), muted(rng, 0.45, 0.75)
    return (first + share * (second - first)).astype(np.float32)


def blend(image: Array, distance: Array, colour: Array | np.float32) -> None:
    """Paint `colour` onto an image (H, W, 3) where a signed distance (H, W), in its pixels, is negative."""
    cover = np.clip(0.5 - distance, 0, 1)[..., None].astype(np.float32)
    image += cover * (colour - image)


@dataclass(frozen=True)
class Stream:
    """A horizontal band of the world through which a texture flows; top, bottom, speed a frame in design pixels."""

    top: float
    bottom: float
    speed: float
    texture: Array  # (h, w, 3), periodic along x, one texel a frame pixel


def draw_stream(rng: np.random.Generator, size: int) -> Stream:
    top = rng.uniform(5, 40)
    knots = rng.normal(0, 1, (8, 12, 1)).astype(np.float32)
    wave = resize(np.concatenate([knots, knots[:, :1]], 1), 2 * size, 3 * size)
    texture = np.clip(muted(rng, 0.4, 0.65) + 0.12 * wave, 0.05, 0.95).astype(np.float32)
    return Stream(top, top + rng.uniform(6, 16), float(rng.uniform(0.4, 2.0) * rng.choice([-1, 1])), texture)


def draw_blocks(rng: np.random.Generator, side_view: bool) -> list[Part]:
    """One or two still things in front of everything: posts of a fence, or slabs, in world coordinates."""
    blocks = []
    for _ in range(int(rng.integers(1, 3))):
        x, width = rng.uniform(8, 56), rng.uniform(3, 8)
        top = rng.uniform(10, 35)
        bottom = HORIZON * DESIGN_SIZE + 8 if side_view else top + rng.uniform(8, 25)
        blocks.append(Part(box(x - width, top, x + width, bottom), muted(rng, 0.25, 0.6)))
    return blocks


def render_world(
    actors: list[Actor],
    palettes: list[Palette],
    backdrop: Array,
    stream: Stream | None,
    camera: Affine,
    blocks: list[Part],
    size: int,
    fps: int,
) -> SyntheticClip:
    """Paint a scene back to front: backdrop, stream, shadows, objects, blocks."""
    num_frames, scale = len(camera.matrix), size / DESIGN_SIZE
    half = (scale - 1) / 2  # pixel centres: design coordinate c is pixel c * scale + half
    still = np.zeros(num_frames)
    to_pixels = Affine(pose(still, np.zeros((num_frames, 2)), scale=scale).matrix, np.full((num_frames, 2), half))
    view = to_pixels @ camera
    y, x = np.mgrid[:size, :size].astype(np.float32)
    pixels = np.broadcast_to(np.stack([x, y]), (num_frames, 2, size, size))
    world = view.inverse()(pixels)
    texels = world * scale + half + size / 2  # the backdrop is twice as wide as the frame and centred on it
    canvas = np.stack([sample(backdrop, *place) for place in texels])
    flow = onward(view)(world[:-1]) - pixels[:-1]
    seen = np.full((num_frames, size, size), -1)
    if stream is not None:
        paint_stream(canvas, flow, stream, world, camera, scale)
    for actor in actors:
        if actor.track.kind == "ball":
            paint_shadow(canvas, actor, world)
    for index, actor in enumerate(actors):
        paint_actor(canvas, flow, seen, index, actor, view, pixels)
    for block in blocks:
        distance = block.shape(world)
        for grown, colour in ((OUTLINE, DARK), (0.0, block.colour)):
            cover = np.clip(0.5 - (distance - grown) / EDGE, 0, 1)[..., None]
            canvas += cover * (np.asarray(colour, np.float32) - canvas)
        front = distance < OUTLINE
        seen[front] = -1
        flow = np.where(front[:-1, None], onward(view)(world[:-1]) - pixels[:-1], flow)
    positions = np.zeros((num_frames, len(actors), 2), np.float32)
    for index, actor in enumerate(actors):
        positions[:, index] = view(actor.track.centre.astype(np.float32)[:, :, None])[..., 0]
    moves = np.linalg.norm(np.diff(positions, axis=0) if actors else np.moveaxis(flow, 1, -1), axis=-1)
    turned = np.arctan2(camera.matrix[:, 1, 0], camera.matrix[:, 0, 0])
    headings = [actor.track.heading + turned for actor in actors]
    return SyntheticClip(
        frames=np.round(canvas * 255).clip(0, 255).astype(np.uint8),
        positions=positions,
        headings=np.array(headings, np.float32).reshape(len(actors), num_frames).T,
        masks=np.array([seen == index for index in range(len(actors))], bool)
        .reshape(len(actors), num_frames, size, size)
        .swapaxes(0, 1),
        flow=flow.astype(np.float32),
        colours=np.array([(p.front, p.rear) for p in palettes], np.float32).reshape(len(actors), 2, 3),
        kinds=tuple(actor.track.kind for actor in actors),
        fps=fps,
        motion_bucket_id=motion_bucket(float(moves.mean()), size),
    )


def onward(place: Affine) -> Affine:
    """The maps of frames 1 .. F - 1: where a point of frame f is in the next."""
    return Affine(place.matrix[1:], place.offset[1:])


def paint_stream(canvas: Array, flow: Array, stream: Stream, world: Array, camera: Affine, scale: float) -> None:
    """The flowing band, in place; `world` (F, 2, S, S) are the world coordinates of the pixels."""
    drift = stream.speed * np.arange(len(world))[:, None, None]
    distance = np.maximum(stream.top - world[:, 1], world[:, 1] - stream.bottom)
    cover = np.clip(0.5 - distance / EDGE, 0, 1)[..., None]
    period = stream.texture.shape[1] - 1
    water = [
        sample(stream.texture, np.mod(x * scale, period), y * scale)
        for x, y in zip(world[:, 0] - drift, world[:, 1] - stream.top, strict=True)
    ]
    canvas += cover * (np.stack(water) - canvas)
    along = camera.matrix[1:, :, 0] * stream.speed * scale  # what the camera makes of a step along x
    flow += np.where(distance[:-1, None] < 0, along[:, :, None, None], 0)


def paint_shadow(canvas: Array, actor: Actor, world: Array) -> None:
    """The shadow of a ball on the ground below it, paler the higher the ball is; in place."""
    ground = HORIZON * DESIGN_SIZE
    centre = actor.track.centre
    height = np.clip((ground - 7 - centre[:, 1]) / 40, 0, 1)
    x = world[:, 0] - centre[:, 0, None, None]
    y = world[:, 1] - ground - 1.5
    distance = (np.hypot(x / 7, y / 2) - 1) * 2
    cover = np.clip(0.5 - distance / EDGE, 0, 1) * (0.45 - 0.3 * height)[:, None, None]
    canvas *= 1 - cover[..., None]


def paint_actor(
    canvas: Array, flow: Array, seen: NDArray[np.int_], index: int, actor: Actor, view: Affine, pixels: Array
) -> None:
    """One object with its outline, in place."""
    body = view @ actor.body()
    places = [body if part.joint is None else body @ part.joint for part in actor.track.parts]
    locals_ = [place.inverse()(pixels) for place in places]
    distances = [part.shape(local) * actor.size for part, local in zip(actor.track.parts, locals_, strict=True)]
    nearest = np.argmin(distances, axis=0)
    outline = np.min(distances, axis=0) - OUTLINE * actor.outlined
    if actor.outlined:
        cover = np.clip(0.5 - outline / EDGE, 0, 1)[..., None]
        canvas += cover * (DARK - canvas)
    seen[outline < 0] = index
    for number, (part, place, local, distance) in enumerate(
        zip(actor.track.parts, places, locals_, distances, strict=True)
    ):
        cover = np.clip(0.5 - distance / EDGE, 0, 1)[..., None]
        paint = np.clip(part.colour * actor.skin.brightness(local)[..., None], 0, 1)
        canvas += cover * (paint.astype(np.float32) - canvas)
        mine = (distance < 0) | ((nearest == number) & (outline < 0) & (np.min(distances, axis=0) >= 0))
        ahead = onward(place)(local[:-1]) - pixels[:-1]
        np.copyto(flow, ahead, where=mine[:-1, None])
