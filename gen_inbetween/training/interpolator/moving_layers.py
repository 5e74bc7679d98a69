"""Synthetic training triplets of moving layers, with their exact motion.

A frame is a background and up to three things in front of it, each a textured layer with a soft edge. A layer moves
along a straight line while it turns and grows a little; at time t it has come the share t ** gamma of its way, and
gamma is its own. So a time leaves open where things are, a map of path distances does not (InterpAny-Clearer, ECCV
2024), and flows, what hides what, and that map are known exactly. `synthetic.py` draws clips for the diffusion model,
at a near-uniform pace and with the motion to the next frame only; those clips are what the flow networks are tested on.

Coordinates: pixels, x to the right, y down, (0, 0) the centre of the top left pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn import functional

from gen_inbetween.interpolation.distance_index import estimate_distance_index

LAYERS = 4  # the background and the most things in front of it
TEXTURE = 96  # pixels along a side of a layer's texture
PLAIN, PHOTOGRAPH = 0.2, 0.5  # shares of textures of one colour, and of photographs; the others are blotches
UNIFORM = 0.4  # share of samples in which everything moves at uniform speed
SLOWEST, FASTEST = 0.4, 2.5  # gamma of the others


@dataclass(frozen=True)
class Triplets:
    """B samples of S x S pixels. Flows in pixels; index maps in coordinates of the first frame."""

    a: Tensor  # (B, 3, S, S) in [0, 1]
    target: Tensor  # (B, 3, S, S)
    b: Tensor  # (B, 3, S, S)
    time: Tensor  # (B, 1, 1, 1) of the target
    index: Tensor  # (B, 1, S, S) share of its way that each pixel of a has come at `time`
    reference: Tensor  # (B, 3, S, S) another frame of the same motion
    reference_time: Tensor  # (B, 1, 1, 1)
    reference_index: Tensor  # (B, 1, S, S)
    flow: Tensor  # (B, 4, S, S) from the target to a, then to b
    between: Tensor  # (B, 4, S, S) from a to b, then from b to a
    seen: Tensor  # (B, 2, S, S) what of the target is seen in a, and in b
    seen_between: Tensor  # (B, 2, S, S) what of a is seen in b, and what of b in a


@dataclass(frozen=True)
class Scene:
    """Layers (B, L, ...), background first."""

    start: Tensor  # (B, L, 4) x, y, angle, log of size
    way: Tensor  # (B, L, 4) what is added to it from the first frame to the second
    gamma: Tensor  # (B, L)
    radii: Tensor  # (B, L, 2) pixels; infinite for the background, 0 for a layer that is not there
    power: Tensor  # (B, L) of the super-ellipse: 1 a diamond, 2 an ellipse, 4 nearly a box
    waves: Tensor  # (B, L, 3, 2) how the outline swells, cosine and sine, once to three times around
    softness: Tensor  # (B, L) pixels over which the edge fades
    texture: Tensor  # (B, L, 3, T, T) in [0, 1]
    stretch: Tensor  # (B, L) pixels of the frame from the centre of the texture to its border


def draw_triplets(
    generator: Generator,
    count: int,
    size: int,
    *,
    reach: float,
    photographs: Sequence[NDArray[np.uint8]] = (),
    uniform: float = UNIFORM,
    middle: bool = False,
    still: float = 0.0,
) -> Triplets:
    """Draw `count` samples of `size` pixels.

    Args:
        reach: the longest way of a thing, as a share of the frame; backgrounds go half as far.
        photographs: (H, W, 3) pictures for half of the textures; without them those are blotches too.
        uniform: share of samples in which everything moves at uniform speed.
        middle: every target is at t = 1/2, for networks that know no other time; the scenes stay the same.
        still: share of samples whose background does not move at all, as before a camera on a tripod.
    """
    scene = draw_scene(generator, count, size, reach, photographs, uniform)
    time = torch.rand(count, generator=generator)
    time = torch.full_like(time, 0.5) if middle else time
    # Half of the references are the first frame, so that a single step from it works too.
    reference_time = torch.rand(count, generator=generator) * (torch.rand(count, generator=generator) < 0.5)
    fixed = torch.rand(count, generator=generator) < still  # drawn last: without it the samples are as they were
    scene.way[fixed, 0] = 0.0
    moments = [scene.start.new_zeros(count), time, torch.ones(count), reference_time]
    poses = [pose_at(scene, moment) for moment in moments]
    painted = [paint(scene, pose, size) for pose in poses]
    (a, owner0), (target, owner), (b, owner1), (reference, _) = painted
    to0, seen0 = motion(owner, poses[1], poses[0], owner0)
    to1, seen1 = motion(owner, poses[1], poses[2], owner1)
    there, seen01 = motion(owner0, poses[0], poses[2], owner1)
    back, seen10 = motion(owner1, poses[2], poses[0], owner0)
    gone, _ = motion(owner0, poses[0], poses[1], owner)
    gone_to_reference, _ = motion(owner0, poses[0], poses[3], owner)
    return Triplets(
        a, target, b, _map(time), estimate_distance_index(gone, there, _map(time)), reference, _map(reference_time),
        estimate_distance_index(gone_to_reference, there, _map(reference_time)), torch.cat((to0, to1), 1),
        torch.cat((there, back), 1), torch.cat((seen0, seen1), 1), torch.cat((seen01, seen10), 1),
    )  # fmt: skip


def draw_scene(
    generator: Generator,
    count: int,
    size: int,
    reach: float,
    photographs: Sequence[NDArray[np.uint8]],
    uniform_share: float,
) -> Scene:
    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, LAYERS, *shape, generator=generator)

    behind = torch.arange(LAYERS) == 0
    angle = uniform(-math.pi, math.pi)
    far = reach * size * uniform(0, 1).square() * torch.where(behind, 0.5, 1.0)  # short ways are the most common
    turn = torch.where(behind, 0.1, 1.0) * uniform(-0.5, 0.5) * uniform(0, 1)
    grow = torch.where(behind, 0.3, 1.0) * uniform(-0.2, 0.2)
    way = torch.stack((far * angle.cos(), far * angle.sin(), turn, grow), -1)
    centre = uniform(0.1, 0.9, 2) * size - way[..., :2] / 2
    start = torch.cat((centre, uniform(-math.pi, math.pi, 1) * ~behind[:, None], -way[..., 3:] / 2), -1)
    gamma = torch.exp(uniform(math.log(SLOWEST), math.log(FASTEST)))
    gamma[torch.rand(count, generator=generator) < uniform_share] = 1.0
    radii = size * uniform(0.06, 0.3, 2)
    things = torch.randint(1, LAYERS, (count, 1), generator=generator)
    radii = torch.where((torch.arange(LAYERS) > things)[..., None], 0.0, radii)
    stretch = 1.3 * radii.amax(-1)
    radii[:, 0], stretch[:, 0] = math.inf, 0.9 * size
    waves = 0.15 * uniform(-1, 1, 3, 2) * uniform(0, 1, 1, 1)
    textures = torch.stack([draw_texture(generator, photographs) for _ in range(count * LAYERS)])
    return Scene(
        start, way, gamma, radii, torch.exp(uniform(0, 1.4)), waves, uniform(0.7, 2.0),
        textures.unflatten(0, (count, LAYERS)), stretch,
    )  # fmt: skip


def draw_texture(generator: Generator, photographs: Sequence[NDArray[np.uint8]]) -> Tensor:
    """(3, T, T) in [0, 1]: one colour, a piece of a photograph, or blotches of several sizes."""
    colour = torch.rand(3, 1, 1, generator=generator)
    kind = float(torch.rand((), generator=generator))
    if kind < PLAIN:
        return colour.expand(3, TEXTURE, TEXTURE)
    if photographs and kind < PLAIN + PHOTOGRAPH:
        return 0.85 * draw_piece(generator, photographs) + 0.15 * colour
    texture = colour
    for cells in (3, 7, 15, 31, 63):
        noise = torch.randn(1, 3, cells, cells, generator=generator)
        strength = 0.25 * torch.rand((), generator=generator)
        texture = texture + strength * functional.interpolate(noise, (TEXTURE, TEXTURE), mode="bilinear")[0]
    return texture.clamp(0, 1)


def draw_piece(generator: Generator, photographs: Sequence[NDArray[np.uint8]]) -> Tensor:
    """(3, T, T): a square of a photograph, at least as large as the texture where the photograph is."""
    photograph = photographs[int(torch.randint(len(photographs), (), generator=generator))]
    short = min(photograph.shape[:2])
    side = int(min(short, TEXTURE) + float(torch.rand((), generator=generator)) * max(0, short - TEXTURE))
    top, left = (int(torch.randint(extent - side + 1, (), generator=generator)) for extent in photograph.shape[:2])
    piece = torch.from_numpy(photograph[top : top + side, left : left + side] / np.float32(255)).permute(2, 0, 1)
    return functional.interpolate(piece[None], (TEXTURE, TEXTURE), mode="area")[0]


def pose_at(scene: Scene, moment: Tensor) -> Tensor:
    """(B, L, 2, 3): the map from a layer's own coordinates to the frame at `moment` (B,)."""
    done = moment[:, None] ** scene.gamma
    x, y, angle, size = (scene.start + done[..., None] * scene.way).unbind(-1)
    cos, sin = size.exp() * angle.cos(), size.exp() * angle.sin()
    return torch.stack((torch.stack((cos, -sin, x), -1), torch.stack((sin, cos, y), -1)), -2)


def paint(scene: Scene, pose: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The frame (B, 3, S, S), and which layer is in front at each pixel (B, S, S)."""
    count = len(pose)
    local = inverse(pose, pixels(size, count))
    frame = torch.zeros(count, 3, size, size)
    owner = torch.zeros(count, size, size, dtype=torch.long)
    for layer in range(LAYERS):
        own = local[:, layer]
        cover = (0.5 - outline(scene, layer, own) / scene.softness[:, layer, None, None]).clamp(0, 1)
        grid = own.movedim(1, -1) / scene.stretch[:, layer, None, None, None].clamp(min=1e-3)
        colour = functional.grid_sample(
            scene.texture[:, layer], grid, mode="bilinear", padding_mode="reflection", align_corners=False
        )
        frame = frame + cover[:, None] * (colour - frame)
        owner = torch.where(cover > 0.5, layer, owner)
    return frame, owner


def outline(scene: Scene, layer: int, own: Tensor) -> Tensor:
    """Distance to the outline (B, S, S), about in pixels, negative inside; own (B, 2, S, S)."""
    radii = scene.radii[:, layer]
    if layer == 0:
        return torch.full_like(own[:, 0], -math.inf)
    x, y = (own / radii.clamp(min=1e-3)[..., None, None]).abs().clamp(min=1e-4, max=1e3).unbind(1)
    power = scene.power[:, layer, None, None]
    distance = (x**power + y**power) ** (1 / power)
    around = torch.atan2(own[:, 1], own[:, 0])
    swell = torch.ones_like(distance)
    for turn in range(3):
        cosine, sine = scene.waves[:, layer, turn].unbind(-1)
        phase = (turn + 1) * around
        swell = swell + cosine[:, None, None] * phase.cos() + sine[:, None, None] * phase.sin()
    inside = (distance / swell - 1) * radii.amin(-1)[:, None, None]
    return torch.where(radii.amin(-1)[:, None, None] > 0, inside, math.inf)


def motion(owner: Tensor, here: Tensor, there: Tensor, owner_there: Tensor) -> tuple[Tensor, Tensor]:
    """Where each pixel's layer takes it: flow (B, 2, S, S), and whether it is seen there (B, 1, S, S) bool."""
    count, size = len(owner), owner.shape[-1]
    points = pixels(size, count)
    local = _chosen(inverse(here, points), owner)
    moved = _chosen_pose(there, owner, local)
    column, row = moved.round().long().unbind(1)
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    place = row.clamp(0, size - 1) * size + column.clamp(0, size - 1)
    found = owner_there.flatten(1).gather(1, place.flatten(1)).view_as(owner)
    return moved - points, (inside & (found == owner))[:, None]


def inverse(pose: Tensor, points: Tensor) -> Tensor:
    """Frame points (B, 2, S, S) in each layer's own coordinates (B, L, 2, S, S)."""
    matrix = torch.linalg.inv(pose[..., :2])
    return torch.einsum("blij,bljyx->bliyx", matrix, points[:, None] - pose[..., 2][..., None, None])


def pixels(size: int, count: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return torch.stack((x, y)).float().expand(count, 2, size, size)


def _chosen(values: Tensor, owner: Tensor) -> Tensor:
    """(B, L, 2, S, S) -> (B, 2, S, S), of the layer that owns each pixel."""
    return values.gather(1, owner[:, None, None].expand(-1, 1, 2, -1, -1))[:, 0]


def _chosen_pose(pose: Tensor, owner: Tensor, local: Tensor) -> Tensor:
    """The frame points of layer points `local` (B, 2, S, S), each by the pose of the layer that owns it."""
    flat = pose.flatten(2).transpose(1, 2)  # (B, 6, L)
    each = flat.gather(2, owner.flatten(1)[:, None].expand(-1, 6, -1)).unflatten(2, owner.shape[1:])
    x, y = local.unbind(1)
    return torch.stack((each[:, 0] * x + each[:, 1] * y + each[:, 2], each[:, 3] * x + each[:, 4] * y + each[:, 5]), 1)


def _map(time: Tensor) -> Tensor:
    return time.view(-1, 1, 1, 1)
