"""Motion editing of a clip: each masked object along its own time.

    out(s) = background at its time u_b(s), without what is elsewhere in time,
             and over it each thing k as it is at its time u_k(s), cut out by its mask there

For a pair of frames `edit_motion` asks an interpolator for the picture at different distances along the way; a clip
knows the way itself, so here its frames are looked up at different times. Masks of the first frame are propagated
(`mask_propagation.py`); what objects leave behind is filled with what the background shows there at other times
(`clean_plates.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gen_inbetween.interpolation.carried_interpolator import dis_interpolator
from gen_inbetween.interpolation.dis_flow import opencv
from gen_inbetween.interpolation.editing.clean_plates import Pixels, clean_plates, grow_mask
from gen_inbetween.interpolation.editing.edit_motion import edit_record
from gen_inbetween.interpolation.editing.index_maps import Curve, layer_positions
from gen_inbetween.interpolation.editing.mask_propagation import follow_things, masks_between
from gen_inbetween.interpolation.editing.masks import Bool, Mask, open_masks
from gen_inbetween.interpolation.film import draw_parts
from gen_inbetween.interpolation.interpolator import FrameInterpolator, InterpolatorError, PairInterpolator
from gen_inbetween.interpolation.pairs import check_held, frame_tensor, tensor_frame
from gen_inbetween.interpolation.registry import open_interpolator
from gen_inbetween.interpolation.retiming.curves import parse_curve
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.image import Frame, load_image
from gen_inbetween.runtime.checks import check_positive, check_whole
from gen_inbetween.runtime.hashing import image_sha256, mask_sha256
from gen_inbetween.runtime.progress import track

_WHOLE = 1e-4  # of a step: as near as shares of single precision come to a frame
SOFT = 1.0  # pixels: sigma of the blur over the edge along which a thing is pasted


def retime_objects(
    clip: str | os.PathLike[str] | Clip | Sequence[Frame],
    masks: Sequence[Mask] | np.ndarray | Tensor,
    curves: Sequence[Curve],
    *,
    background: Curve = "linear",
    num_frames: int | None = None,
    fps: float | None = None,
    interpolator: str | Path | FrameInterpolator | None = None,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> Clip:
    """The clip in which each masked thing goes along its own path at its own pace.

    Args:
        clip: a Clip, a path that `Clip.open` takes, or a list of frames: 2 or more, of one size, all held in memory,
            so meant for clips of seconds.
        masks: of the things where they are in the first frame, the top one first, as `open_masks` takes them.
        curves: one for each mask: at the share s of the new clip, the thing is where it was at the share curve(s) of
            the old one. Names of EASES, knots "0:0,0.5:0.8,1:1", pairs, or a PathCurve.
        background: the curve of everything else.
        num_frames: of the new clip. [default: as many as the old one has]
        fps: [default: the clip's; 7 for a list of frames]. A clip of varying rate keeps the times of its frames unless
            one of the two is given.
        interpolator: of any kind: draws the frames between two old ones; None: dis-splat.
        device: where the interpolator is opened; None: the best there is. One that is open keeps its own.
        progress: show a bar on stderr.

    Where all curves are at one time, the frame is the old one at that time, whole.

    What this cannot do: a thing takes its light and its size from its own time, and leaves its shadow and reflection in
    the background's. Two things that touch each other (a hand and a cup) come apart. What was covered when it was
    filmed stays missing, also where it would now be seen; so does what was outside of the picture in the first frame.
    The background must be one plane, or far away: with a near and a far part under a moving camera, what fills holes is
    displaced. What no frame shows is painted over, blurred. Masks follow by flow and colour: of a thing that turns, or
    has the colours of its surroundings, parts are lost on the way. Where a thing is lost altogether, the log says so,
    and the manifest: frames and seconds.

    Returns:
        The clip, with its manifest.

    Raises:
        InterpolatorError: fewer than 2 frames, before or after; an interpolator that cannot be opened.
        MaskError, CurveError: see `edit_motion`.
        VideoError: frames of two sizes. FrameError: a frame cannot be opened. ImportError: OpenCV is not installed.
    """
    if isinstance(clip, str | os.PathLike):
        clip = Clip.open(clip)
    if fps is not None:
        check_positive("fps", fps)
    rate = fps or (clip.fps if isinstance(clip, Clip) else 7)
    old = clip if isinstance(clip, Clip) else Clip(clip, rate)
    count = len(old) if num_frames is None else check_whole("num_frames", num_frames)
    if min(len(old), count) < 2:
        raise InterpolatorError(f"expected 2 frames or more, in the clip and of it; got {len(old)} and {count}")
    check_held(*old.size, count)
    opened = open_masks(masks, old.size)
    starts = old.starts if num_frames is None and fps is None else None
    shares = layer_positions(curves, background, times_of(count, starts), len(opened)).numpy()
    positions = frames_at(shares, len(old), old.starts).tolist()
    draw = open_interpolator(interpolator, device)
    seen = [load_image(frame) for frame in old]
    propagated, losses = follow_things(old, opened, progress=progress)

    def compose(pictures: list[Image.Image]) -> list[Image.Image]:
        layers = _Layers(pictures, seen, propagated, draw)
        return [_compose(layers, at) for at in track(positions, "compose", shown=progress)]

    frames = draw_parts(compose, old.frames)
    settings = {
        "method": "retime-objects",
        "masks": [{"sha256": mask_sha256(mask), **lost} for mask, lost in zip(opened, losses, strict=True)],
        "curves": [asdict(parse_curve(curve)) for curve in curves],
        "background": asdict(parse_curve(background)),
        "num_frames": count,
        "fps": rate,
    }
    sources = {f"frame{number}": {"sha256": image_sha256(frame)} for number, frame in enumerate(old.frames)}
    return Clip(frames, rate, edit_record(sources, draw, settings), starts=starts, plays=old.plays)


def times_of(count: int, starts: Sequence[float] | None) -> Tensor:
    """(count,) when each frame is shown, as a share of the time from the first to the last; starts: `Clip.starts`."""
    if starts is None:
        return torch.linspace(0, 1, count, dtype=torch.float64)
    return torch.tensor(starts[:-1], dtype=torch.float64) / starts[-2]


def frames_at(shares: NDArray[np.float32], count: int, starts: Sequence[float] | None) -> NDArray[np.float64]:
    """Positions in `count` frames at shares in [0, 1] of the time from the first frame to the last."""
    last = count - 1
    if starts is None:
        positions = shares.astype(np.float64) * last
    else:
        positions = np.interp(shares * starts[last], starts[:-1], np.arange(last + 1))
    whole = np.rint(positions)
    return np.where(np.abs(positions - whole) < _WHOLE, whole, positions)


class _Layers:
    """A clip at any position (in frames): its picture, its masks, its clean plate; frames between are drawn.

    seen: the frames as they look, in which the masks' motion is found; the same where nothing is transparent.
    """

    def __init__(
        self,
        frames: Sequence[Image.Image],
        seen: Sequence[Image.Image],
        masks: list[Bool],
        interpolator: FrameInterpolator,
    ) -> None:
        self.frames, self.masks = frames, masks
        self.plates = [Image.fromarray(plate) for plate in clean_plates(frames, masks)]
        dis = dis_interpolator()
        # Things stand at different times of the clip, so a few pictures and pairs of each are asked for in turn.
        self.frame_pair = lru_cache(4)(lambda number: self._pair(interpolator, self.frames, number))
        self.plate_pair = lru_cache(4)(lambda number: self._pair(interpolator, self.plates, number))
        self.flow_pair = lru_cache(4)(lambda number: self._pair(dis, seen, number))
        self.picture = lru_cache(8)(lambda at: self._draw(self.frames, self.frame_pair, at))
        self.plate = lru_cache(8)(lambda at: self._draw(self.plates, self.plate_pair, at))
        self.cover = lru_cache(8)(self._cover)

    def _pair(self, interpolator: FrameInterpolator, images: Sequence[Image.Image], number: int) -> PairInterpolator:
        """Images `number` and the next one."""
        return interpolator.pair(*(frame_tensor(images[k], interpolator.device) for k in (number, number + 1)))

    def _draw(self, images: Sequence[Image.Image], pair: Callable[[int], PairInterpolator], at: float) -> Pixels:
        before, t = self._between(at)
        return np.asarray(images[before] if t == 0 else tensor_frame(pair(before).at(t)))

    def _cover(self, at: float) -> NDArray[np.float32]:
        """(M, H, W) in [0, 1]"""
        before, t = self._between(at)
        if t == 0:
            return self.masks[before].astype(np.float32)
        return masks_between(self.flow_pair(before), self.masks[before], self.masks[before + 1], t).numpy()

    def _between(self, at: float) -> tuple[int, float]:
        before = min(int(at), len(self.frames) - 1)
        return before, at - before


def _compose(layers: _Layers, at: Sequence[float]) -> Image.Image:
    """One frame, of the positions of the things and, last, of the background."""
    *objects, ground = at
    canvas = layers.picture(ground)
    elsewhere = [number for number, position in enumerate(objects) if position != ground]
    if not elsewhere:
        return Image.fromarray(canvas)
    left = grow_mask(layers.cover(ground)[elsewhere].max(0) > 0.5).astype(np.float32)
    mixed = _paste(canvas.astype(np.float32), layers.plate(ground), left)
    # From the deepest on up; those at the background's time are pasted too, for they may lie over the others.
    for number in reversed(range(len(objects))):
        mixed = _paste(mixed, layers.picture(objects[number]), layers.cover(objects[number])[number])
    return Image.fromarray(mixed.round().clip(0, 255).astype(np.uint8))


def _paste(below: NDArray[np.float32], above: Pixels, cover: NDArray[Any]) -> NDArray[np.float32]:
    """`above` where it covers, with a soft edge."""
    soft = opencv().GaussianBlur(cover.astype(np.float32), (0, 0), SOFT)[..., None]
    mixed: NDArray[np.float32] = below + soft * (above.astype(np.float32) - below)
    return mixed
