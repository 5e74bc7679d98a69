"""Synthetic clips with an arrow of time and exact ground truth.

Generative inbetweening is about the arrow of time: a clip sampled backwards from its last keyframe must still run
forwards. The clips made here show that arrow: things travel nose-first (their front is painted in a warm colour, their
rear in a cool one), wheels roll the way their cart drives, walkers lean and step the way they look, balls lose height
with every bounce. Everything is a rigid part that moves by an affine map, so positions, headings, visible masks and
optical flow are exact, not estimated.

Coordinates: pixels, x to the right, y down, (0, 0) the centre of the top left pixel; angles in radians, x towards y.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.data.sprites import KINDS, SEEN_FROM_ABOVE, Affine, Array, Palette, Part, palette, pose
from gen_inbetween.data.textures import HORIZON, background, sample

HELD_OUT_SEED = 10_000_000  # seeds of training clips lie below, those of held-out clips from here on
DESIGN_SIZE = 64  # shapes and speeds below are in pixels of a 64 x 64 frame and scale with the size asked for
BUCKETS_PER_SPEED = 64.0  # motion_bucket_id of one pixel (of 64) a frame; SVD's default 127 is then two pixels a frame
FRAME_RATES = (6, 7, 8, 10, 12)
EDGE = 2.0  # pixels (of 64) over which an edge fades: a soft lens, so that small models need not draw every staircase
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
    """A ball falls onto the ground and loses part of its height with each bounce."""
    ground, fall = HORIZON * DESIGN_SIZE, GRAVITY / fps**2
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
        textures: photographs, (H, W, 3) uint8, for half of the backgrounds.

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


def make_loop(
    seed: int, *, num_frames: int = 27, size: int = 64, textures: Sequence[NDArray[np.uint8]] = ()
) -> SyntheticClip:
    """Draw a clip whose last frame is its first again: one object, seen from above, goes round an ellipse nose-first.

    Arguments as of `make_clip`; the object moves 1 to 3 pixels (of 64) a frame, the camera stands still.

    Raises:
        ValueError: fewer than four frames, or a size below 16.
    """
    if num_frames < 4 or size < 16:
        raise ValueError(f"expected num_frames >= 4 and size >= 16, got num_frames={num_frames}, size={size}")
    rng = np.random.default_rng(seed)
    kind = str(rng.choice(SEEN_FROM_ABOVE))
    fps, colours = int(rng.choice(FRAME_RATES)), palette(rng)
    radius = min(rng.uniform(1.0, 3.0) * (num_frames - 1) / (2 * np.pi), 20.0)
    axes = radius * np.array([1.0, rng.uniform(0.7, 1.0)])
    turn, tilt = rng.choice([-1.0, 1.0]), rng.uniform(-np.pi, np.pi)
    angle = turn * 2 * np.pi * (np.arange(num_frames) % (num_frames - 1)) / (num_frames - 1) + rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    path = np.stack([axes[0] * np.cos(angle), axes[1] * np.sin(angle)], -1) @ rotation.T
    ahead = turn * np.stack([-axes[0] * np.sin(angle), axes[1] * np.cos(angle)], -1) @ rotation.T
    wags = max(1, round(radius / 2.5))  # a fish wags its tail once in 2.5 x 2 pi pixels, here a whole number of times
    travelled = turn * (angle - angle[0]) * 2.5 * wags
    track = Track(kind, path + np.array([32.0, 32.0]), np.arctan2(ahead[:, 1], ahead[:, 0]), travelled)
    track.parts = KINDS[kind](colours, travelled)
    return render([track], [colours], background(rng, size, textures, False), np.zeros(2), size, fps)


def render(
    tracks: list[Track], palettes: list[Palette], texture: Array, drift: Array, size: int, fps: int
) -> SyntheticClip:
    """Paint the objects over the drifting background, back to front; `drift` is the camera's, design pixels a frame."""
    num_frames, scale = len(tracks[0].centre), size / DESIGN_SIZE
    y, x = np.mgrid[:size, :size].astype(np.float32)
    pixels = np.broadcast_to(np.stack([x, y]), (num_frames, 2, size, size))
    shift = np.arange(num_frames)[:, None] * drift[None] * scale
    camera = (
        np.abs(drift) * (num_frames - 1) * scale
    )  # the texture is wider than the frame; side views keep y = 0 on top
    start = np.where(drift < 0, camera, 0.0)
    canvas = np.stack([sample(texture, x + start[0] + s[0], y + start[1] + s[1]) for s in shift])
    seen = np.full((num_frames, size, size), -1)
    flow = np.broadcast_to(
        (-drift * scale).astype(np.float32)[None, :, None, None], (num_frames - 1, 2, size, size)
    ).copy()
    half = (scale - 1) / 2  # pixel centres: design coordinate c is pixel c * scale + half
    centres = []
    for index, track in enumerate(tracks):
        centre = (track.centre - np.arange(num_frames)[:, None] * drift) * scale + half
        centres.append(centre)
        angle = np.nan_to_num(track.heading)
        mirror = track.kind not in SEEN_FROM_ABOVE and bool(np.cos(angle[0]) < 0)
        body = pose(angle, centre, mirror=mirror, scale=scale)
        for part in track.parts:
            pose_of_part = body if part.joint is None else body @ part.joint
            local = pose_of_part.inverse()(pixels)
            cover = np.clip(0.5 - part.shape(local) / EDGE, 0, 1)
            canvas += cover[..., None] * (np.asarray(part.colour, np.float32) - canvas)
            front = cover > 0.5
            seen[front] = index
            ahead = Affine(pose_of_part.matrix[1:], pose_of_part.offset[1:])(local[:-1]) - pixels[:-1]
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
