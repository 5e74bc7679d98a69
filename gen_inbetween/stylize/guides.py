"""Pictures of moving points, and the input averaged along its motion.

Both after Texler et al. (SIGGRAPH 2020, section 3.3), with DIS flow (Kroeger et al., ECCV 2016) or that of any
interpolator. Points: the network sees patches and cannot tell apart regions that look alike. Points of random colours
are strewn over each keyframe, carried through the film by its optical flow and drawn as soft dots,
O <- O + (colour - O) exp(-d^2 / sigma^2): patches of one region see the same dots in every frame. Averaging: a
bilateral filter in time, whose samples follow the flow,

    out(x) = sum_d w_d I_{t+d}(x_d) / sum_d w_d,    w_d = exp(-d^2 / 2 s_t^2) exp(-|I_{t+d}(x_d) - I_t(x)|^2 / 2 s_c^2),

takes away noise of the input, which a trained network would turn into flicker.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.interpolation.dis_flow import grey_dis_flows, opencv

Picture = NDArray[np.uint8]  # (H, W, 3)
Flow = NDArray[np.float32]  # (H, W, 2) pixels, x and y
Points = NDArray[np.float32]  # (P, 2) pixels, x and y
Estimator: TypeAlias = Callable[[Picture, Picture], Flow]  # optical flow from one frame to another

GRID = 4  # pixels between the kept values of a flow: it is smooth, and points are only guides
TRIES = 40_000  # points that are proposed for a picture; those too near to earlier ones are left out
LARGE = 1280  # pixels of the longer side; above it the search at full size took half of a frame's time
NO_FLOW = np.zeros((0, 0, 2), np.float32)
CUTOFF = 3.0  # sigmas within which a dot is drawn


def flow_between(source: Picture, target: Picture) -> Flow:
    """Optical flow from one frame to another, by DIS; the search ends at half of the size in those that are LARGE."""
    cv2 = opencv()
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (source, target)]
    return next(grey_dis_flows(grey[:1], grey[1:], "fast", finest_scale=int(max(source.shape) > LARGE)))


def strew(mask: NDArray[np.bool_], distance: float, generator: np.random.Generator) -> Points:
    """Random points of a mask (H, W), no two nearer than `distance` pixels."""
    tries = generator.permutation(np.argwhere(mask))[:TRIES, ::-1]
    cell = distance / math.sqrt(2)
    taken: dict[tuple[int, int], tuple[float, float]] = {}
    for x, y in (tries + generator.uniform(-0.5, 0.5, tries.shape)).tolist():
        column, row = int(x // cell), int(y // cell)
        near = (taken.get((column + i, row + j)) for i in range(-2, 3) for j in range(-2, 3))
        if all(other is None or math.hypot(other[0] - x, other[1] - y) >= distance for other in near):
            taken[column, row] = (x, y)
    return np.array(list(taken.values()), np.float32).reshape(-1, 2)


@dataclass(frozen=True)
class GuidePoints:
    """Where the points of every keyframe are in every frame. F frames, P points."""

    positions: NDArray[np.float32]  # (F, P, 2) pixels; NaN once out of the picture
    colours: NDArray[np.float32]  # (P, 3) in [0, 1]
    sigma: float
    size: tuple[int, int]  # height, width

    def draw(self, frame: int) -> Picture:
        """The guide picture of a frame; points of later keyframes lie underneath."""
        height, width = self.size
        picture = np.zeros((3, height, width), np.float32)
        radius = int(np.ceil(CUTOFF * self.sigma))
        for (x, y), colour in zip(self.positions[frame][::-1], self.colours[::-1], strict=True):
            if not np.isfinite(x):
                continue
            left, right = max(0, int(x) - radius), min(width, int(x) + radius + 1)
            top, bottom = max(0, int(y) - radius), min(height, int(y) + radius + 1)
            if left >= right or top >= bottom:
                continue
            across = np.exp(-np.square((np.arange(left, right) - x) / self.sigma))
            down = np.exp(-np.square((np.arange(top, bottom) - y) / self.sigma))
            part = picture[:, top:bottom, left:right]
            part += np.outer(down, across).astype(np.float32) * (colour[:, None, None] - part)
        return np.round(picture.transpose(1, 2, 0) * 255).astype(np.uint8)


def carry_points(
    frames: Iterable[Picture],
    masks: Mapping[int, NDArray[np.bool_] | None],
    *,
    distance: float,
    sigma: float,
    seed: int,
    estimate: Estimator = flow_between,
) -> GuidePoints:
    """Strew points over the keyframes and carry them through all frames, both ways, two frames in memory.

    Args:
        frames: all frames of the film in order, (H, W, 3) uint8.
        masks: by number of the keyframe; (H, W), or None for the whole picture.

    Points forwards are carried while the film is read; those backwards follow the flows' way back, which is kept as the
    few numbers that the points of later keyframes need: a coarse grid of each flow.
    """
    generator = np.random.default_rng(seed)
    before: Picture | None = None
    back: list[Flow] = []  # from frame k + 1 to frame k, on a grid of GRID pixels
    tracks: dict[int, list[Points]] = {}  # by keyframe: its points from its frame on
    size = (0, 0)
    for number, frame in enumerate(frames):
        size = frame.shape[:2]
        if before is not None:
            ahead = estimate(before, frame)
            for points in tracks.values():
                points.append(_moved(points[-1], ahead))
            back.append(estimate(frame, before)[::GRID, ::GRID].astype(np.float16))
        if number in masks:
            mask = masks[number]
            where = np.ones(size, bool) if mask is None else mask
            tracks[number] = [strew(where, distance, generator)]
        before = frame
    positions, colours = [], []
    for number in sorted(tracks):
        path = tracks[number]
        for flow in reversed(back[:number]):
            path.insert(0, _moved(path[0], flow, GRID, size))
        positions.append(np.stack(path))
        colours.append(generator.uniform(0.15, 1, (len(path[0]), 3)).astype(np.float32))
    return GuidePoints(np.concatenate(positions, 1), np.concatenate(colours), sigma, size)


def _moved(points: Points, flow: Flow, grid: int = 1, size: tuple[int, int] | None = None) -> Points:
    """Points carried along a flow; NaN once they are out of the picture."""
    height, width = size or flow.shape[:2]
    column, row = (np.nan_to_num(points[:, axis] / grid).round().astype(int) for axis in (0, 1))
    step = flow[row.clip(0, flow.shape[0] - 1), column.clip(0, flow.shape[1] - 1)].astype(np.float32)
    moved = points + step
    outside = ~((moved >= -0.5) & (moved < np.array([width, height]) - 0.5)).all(1)
    moved[outside] = np.nan
    return moved


def filter_in_time(
    frames: Iterable[Picture],
    radius: int,
    temporal_sigma: float,
    colour_sigma: float,
    needed: Callable[[int], bool] = lambda number: True,
    estimate: Estimator = flow_between,
) -> Iterator[Picture]:
    """Frames averaged along their motion, one after the other; 2 * radius + 1 of them are in memory.

    Args:
        frames: (H, W, 3) uint8. radius: frames on either side; at the film's ends those that are there.
        temporal_sigma: frames. colour_sigma: grey levels.
        needed: whether a frame, by number, is averaged; others come as they are, and sooner.
    """
    if radius == 0:
        yield from frames
        return
    window: deque[Picture] = deque(maxlen=2 * radius + 1)
    ahead: deque[Flow] = deque(maxlen=2 * radius)  # ahead[k]: from window[k] to window[k + 1]
    back: deque[Flow] = deque(maxlen=2 * radius)  # back[k]: from window[k + 1] to window[k]
    waiting = 0  # frames at the window's end that are not yet given
    given = 0

    def averaged(centre: int) -> Picture:
        nonlocal given
        given += 1
        if not needed(given - 1):
            return window[centre]
        return _averaged(window, ahead, back, centre, radius, temporal_sigma, colour_sigma)

    for number, frame in enumerate(frames):
        if window and not any(map(needed, range(max(0, number - radius), number + radius))):
            ahead.append(NO_FLOW)  # no frame that is needed looks across it
            back.append(NO_FLOW)
        elif window:
            ahead.append(estimate(window[-1], frame))
            back.append(estimate(frame, window[-1]))
        window.append(frame)
        waiting += 1
        if waiting == radius + 1:
            yield averaged(len(window) - waiting)
            waiting -= 1
    for centre in range(len(window) - waiting, len(window)):
        yield averaged(centre)


def _averaged(
    window: Sequence[Picture],
    ahead: Sequence[Flow],
    back: Sequence[Flow],
    centre: int,
    radius: int,
    temporal_sigma: float,
    colour_sigma: float,
) -> Picture:
    cv2 = opencv()
    own = window[centre].astype(np.float32)
    height, width = own.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
    total, weights = own.copy(), np.ones((height, width, 1), np.float32)
    for direction in (1, -1):
        place = grid
        for distance in range(1, radius + 1):
            other = centre + direction * distance
            if not 0 <= other < len(window):
                break
            flow = ahead[other - 1] if direction == 1 else back[other]
            place = place + cv2.remap(flow, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            sample = cv2.remap(window[other], place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            sample = sample.astype(np.float32)
            unlike = np.square(sample - own).sum(-1, keepdims=True) / (2 * colour_sigma**2)
            weight = np.exp(-(distance**2) / (2 * temporal_sigma**2) - unlike)
            total += weight * sample
            weights += weight
    return np.round(total / weights).astype(np.uint8)
