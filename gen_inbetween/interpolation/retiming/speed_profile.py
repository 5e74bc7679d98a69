"""Speed profile of a clip, and resampling at constant speed.

    step_k = mean |F_k|                    F_k = F_t1 - F_t0 at t = 1/2: the interpolator's own flows across step k
    constant speed:  u_j with path(u_j) = j / (N - 1) path(n - 1)        path: the steps added up, linear between frames

This is distance indexing (InterpAny-Clearer) along a clip. Lengths are in pixels of a frame whose shorter side is
64, as in the measures of evaluation, and reversals are those of its `bounce` (`reversals.py`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from gen_inbetween.interpolation.interpolator import FrameInterpolator
from gen_inbetween.interpolation.pairs import frame_tensor
from gen_inbetween.interpolation.registry import DEFAULT, open_interpolator
from gen_inbetween.interpolation.retiming.curves import Array
from gen_inbetween.interpolation.retiming.frame_pairs import FramePair, TimedFrame, frame_pairs
from gen_inbetween.interpolation.retiming.retime import retime
from gen_inbetween.interpolation.retiming.timing import plan_times
from gen_inbetween.interpolation.reversals import GRID, SIDE, UNIT, bounce, turns
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.image import Frame, load_image
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.progress import track

log = logging.getLogger("gen_inbetween")

STATIC = 1e-6  # pixels of 64 over a whole clip: no path to divide


@dataclass(frozen=True)
class SpeedProfile:
    """The pace of a clip of n frames.

    steps: (n - 1,) mean length of the flow in each step, pixels of 64; NaN over a scene cut.
    turns: (n - 2,) 1 where a step goes on the way of the one before, -1 where it goes back; NaN: no direction.
    bounce: the share of the motion that runs back along its own way, 0 to 1, of the scene that has most; NaN: none.
    """

    steps: Array
    turns: Array
    bounce: float

    @property
    def mean(self) -> float:
        """Pixels of 64 a frame; 0 for a clip of cuts only."""
        moved = self.steps[~np.isnan(self.steps)]
        return float(moved.mean()) if len(moved) else 0.0

    @property
    def unevenness(self) -> float:
        """Standard deviation of the steps over their mean: 0 is one pace. NaN where nothing moves."""
        return float(np.nanstd(self.steps) / self.mean) if self.mean > STATIC else float("nan")

    @property
    def reversals(self) -> tuple[int, ...]:
        """The frames at which the motion turns back."""
        return tuple((np.flatnonzero(self.turns < 0) + 1).tolist())

    @property
    def path(self) -> Array:
        """(n,) the way travelled until each frame, pixels of 64; a cut adds nothing."""
        return np.concatenate([[0.0], np.cumsum(np.nan_to_num(self.steps))])

    def __str__(self) -> str:
        back = ", ".join(map(str, self.reversals)) or "none"
        return (
            f"{len(self.steps) + 1} frames, {self.mean:.3g} px of 64 a frame, unevenness {self.unevenness:.2f}, "
            f"bounce {self.bounce:.2f}, turns back at frame {back}"
        )


def speed_profile(
    frames: str | os.PathLike[str] | Clip | Sequence[Frame],
    interpolator: str | Path | FrameInterpolator = DEFAULT,
    *,
    cuts: bool = True,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> SpeedProfile:
    """The pace of two frames or more, of one size, sides of 16 pixels or more.

    Args:
        frames: a Clip, a list of frames, or a path that `Clip.open` takes.
        interpolator: one that has flows: "tiny-di", "rife", "dis", ...; "blend" sees no motion, FILM shows none.
        cuts: leave scene cuts out.
        device: where the interpolator is opened; None: the best there is.
        progress: show a bar on stderr.

    Raises:
        InterpolatorError: frames that cannot be used, an interpolator without flows. FrameError: a frame cannot be
            opened.
    """
    if isinstance(frames, str | os.PathLike):
        frames = Clip.open(frames)
    opened = open_interpolator(interpolator, device)
    timed = [TimedFrame(np.asarray(load_image(frame)), float(index)) for index, frame in enumerate(frames)]
    pairs = list(frame_pairs(timed, cuts=cuts))
    motions = [
        _motion(pair, opened) for pair in track(pairs, f"pace by {opened.info.name}", unit="pair", shown=progress)
    ]
    lengths, cameras, cells = (np.stack(column) for column in zip(*motions, strict=True))
    turned, shares = np.full(max(len(pairs) - 1, 0), np.nan), []
    for scene in _scenes([pair.cut for pair in pairs]):
        turned[scene.start : scene.stop - 1] = turns(cells[scene], cameras[scene])
        shares.append(bounce(cells[scene], cameras[scene]))
    most = max((share for share in shares if not np.isnan(share)), default=float("nan"))
    return SpeedProfile(np.where([pair.cut for pair in pairs], np.nan, lengths), turned, most)


def _scenes(cuts: list[bool]) -> Iterator[slice]:
    """The steps between cuts, where there are any."""
    edges = [-1, *np.flatnonzero(cuts).tolist(), len(cuts)]
    for before, after in zip(edges, edges[1:], strict=False):
        if after - before > 1:
            yield slice(before + 1, after)


def _motion(pair: FramePair, interpolator: FrameInterpolator) -> tuple[NDArray, NDArray, NDArray]:
    """Of one step, in pixels of 64: mean length (), the camera's (2,), and the rest in cells (rows, columns, 2)."""
    height, width = pair.first.pixels.shape[:2]
    scale = SIDE / min(width, height)
    size = round(width * scale), round(height * scale)
    if pair.hold:
        flow = torch.zeros(1, 2, *reversed(size))
    else:
        a, b = (
            frame_tensor(Image.fromarray(frame.pixels).resize(size, Image.Resampling.BICUBIC), interpolator.device)
            for frame in (pair.first, pair.last)
        )
        flows = interpolator.flows(a, b, 0.5)
        flow = (flows.to1 - flows.to0).cpu() * (UNIT / min(size))
    camera = flow.flatten(2).median(-1).values
    rows, columns = (round(side / min(size) * GRID) for side in reversed(size))
    cells = functional.adaptive_avg_pool2d(flow - camera[..., None, None], (rows, columns))[0].permute(1, 2, 0)
    return flow.norm(dim=1).mean().double().numpy(), camera[0].double().numpy(), cells.double().numpy()


def constant_speed(
    clip: str | os.PathLike[str] | Clip | Sequence[Frame],
    num_frames: int | None = None,
    *,
    fps: float | None = None,
    duration: float | None = None,
    passthrough: bool = True,
    cuts: bool = True,
    interpolator: str | Path | FrameInterpolator | None = None,
    iters: int | None = None,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> tuple[Clip, SpeedProfile]:
    """The clip resampled so that each step travels as far as the others, and its pace as it was.

    The first and the last frame stay. A pause takes no time any more; a clip in which nothing moves stays as it is.

    Args:
        num_frames, fps, duration: as in `plan_times`; as many frames as before unless given.
        clip, passthrough, cuts, interpolator, iters, device, progress: as in `retime`. The interpolator also measures
            the pace.

    Returns:
        The clip, and the speed profile of the one given; `speed_profile(new_clip, interpolator)` is the one after.

    Raises:
        InterpolatorError: as `retime` and `speed_profile`.
    """
    if isinstance(clip, str | os.PathLike):
        clip = Clip.open(clip)
    frames = clip if isinstance(clip, Clip) else [load_image(frame) for frame in clip]
    rate = clip.fps if isinstance(clip, Clip) else None
    timing = plan_times(len(frames), rate, fps=fps, num_frames=num_frames, duration=duration)
    opened = open_interpolator(interpolator, device)
    profile = speed_profile(frames, opened, cuts=cuts, progress=progress)
    retimed = retime(
        frames,
        times=even_positions(profile.path, timing.positions),
        fps=timing.fps,
        passthrough=passthrough,
        cuts=cuts,
        interpolator=opened,
        iters=iters,
        progress=progress,
    )
    parts = {name: part for name, part in retimed.manifest.items() if name in manifests.PARTS}
    parts["settings"] = {**parts["settings"], "method": "constant-speed"}
    parts["pace_before"] = [None if np.isnan(step) else float(step) for step in profile.steps]
    return Clip(retimed.frames, retimed.fps, manifests.record(**parts), plays=retimed.plays), profile


def even_positions(path: Array, positions: Array) -> Array:
    """Where on a clip `path` (n,) has come as far as positions (N,) in [0, n - 1] have of the number of frames.

    Nothing moves: the positions themselves. At the ends it is the first and the last frame, though pauses stand there.
    """
    if path[-1] < STATIC:
        log.info("nothing moves in this clip, so that its pace stays as it is")
        return positions
    last = len(path) - 1
    even = np.interp(positions / last * path[-1], path, np.arange(len(path)))
    return np.where(positions <= 0, 0.0, np.where(positions >= last, float(last), even))
