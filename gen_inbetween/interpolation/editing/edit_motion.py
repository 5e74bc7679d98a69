"""Motion editing between two frames: each masked object along its own curve.

    frame_t = interpolator(frame0, frame1, D_t)        D_t: the distance index of `index_maps.py`

(the editor of InterpAny-Clearer, ECCV 2024.) What can be edited is when each thing is where on its way from frame0 to
frame1; the way itself is the interpolator's estimate, and stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gen_inbetween.interpolation.editing.index_maps import FEATHER, Curve, feathered_layers, index_map, layer_positions
from gen_inbetween.interpolation.editing.masks import Mask, open_masks
from gen_inbetween.interpolation.film import draw_parts
from gen_inbetween.interpolation.interpolator import FrameInterpolator, InterpolatorError, PairInterpolator
from gen_inbetween.interpolation.pairs import check_pair, frame_tensor, tensor_frame
from gen_inbetween.interpolation.registry import DEFAULT, open_interpolator
from gen_inbetween.interpolation.retiming.curves import parse_curve
from gen_inbetween.media.clip import Clip, keyframes_record
from gen_inbetween.media.image import Frame, open_images
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.checks import check_whole
from gen_inbetween.runtime.hashing import mask_sha256
from gen_inbetween.runtime.progress import track

REFERENCE_ITERS = 2  # steps of a network that looks at a reference: the paper's default
MAP_TAKERS = ("dis-splat", "tiny-di", "rife-dr", "dis")  # the interpolators by name that take a map


def edit_motion(
    frame0: Frame,
    frame1: Frame,
    masks: Sequence[Mask] | np.ndarray | Tensor,
    curves: Sequence[Curve],
    *,
    background: Curve = "linear",
    num_frames: int = 25,
    interpolator: str | Path | FrameInterpolator = DEFAULT,
    iters: int | None = None,
    fps: float = 7,
    feather: int = FEATHER,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> Clip:
    """The clip from frame0 to frame1 in which each masked object moves as its curve says.

    Args:
        frame0, frame1: paths, or anything else `load_image` takes; both of one size, sides of SMALLEST pixels or more.
        masks: of the objects where they are in frame0, the top one first, as `open_masks` takes them; may be none.
        curves: one for each mask: a name of EASES, knots such as "0:0,0.5:0.8,1:1", pairs, or a PathCurve.
        background: the curve of everything else. "linear" keeps it moving evenly: the published editor leaves what no
            mask covers at 0, so that it freezes in frame0 and jumps at the end; say "0:0,1:0" to hold it in frame0.
        num_frames: 2 or more, both ends counted; equally spaced in time.
        interpolator: one that takes a map for the time: a name of MAP_TAKERS, a file of such weights, or one opened.
        iters: steps along references. [default: 2 for the kinds that look at one, otherwise 1]
        fps: of the clip.
        feather: odd width in pixels of the blur of the map at the borders of masks.
        device: where the interpolator is opened; None: the best there is. One that is open keeps its own.
        progress: show a bar on stderr.

    Returns:
        The clip with its manifest. A frame in which everything is at 0 is frame0 exactly, one with everything at 1
        frame1: with curves from 0 to 1 these are the ends.

    Raises:
        InterpolatorError: the interpolator takes no map, fewer than 2 frames, frames of two sizes or too small.
        MaskError: a mask of another size, empty or wholly covered; not one curve for each.
        CurveError: a curve that cannot be.
        FrameError: a frame cannot be opened.
    """
    first, last = open_images((frame0, frame1))
    check_pair(first, last, num_frames)
    opened = open_masks(masks, first.size)
    layers = feathered_layers(opened, feather)
    times = torch.linspace(0, 1, num_frames, dtype=torch.float64)
    positions = layer_positions(curves, background, times, len(opened))
    network = open_interpolator(interpolator, device)
    iters = check_takes_maps(network, iters)

    def draw(ends: list[Image.Image]) -> list[Image.Image]:
        pair = network.pair(*(frame_tensor(frame, network.device) for frame in ends))
        return [
            _frame(ends[0], ends[1], pair, index_map(layers, values), iters)
            for values in track(positions, "edit", shown=progress)
        ]

    frames = draw_parts(draw, (first, last))
    settings = {
        "method": "edit",
        "masks": [{"sha256": mask_sha256(mask)} for mask in opened],
        "curves": [asdict(parse_curve(curve)) for curve in curves],
        "background": asdict(parse_curve(background)),
        "num_frames": num_frames,
        "iters": iters,
        "feather": feather,
        "fps": fps,
    }
    return Clip(frames, fps, edit_record(keyframes_record((frame0, frame1), (first, last)), network, settings))


def check_takes_maps(interpolator: FrameInterpolator, iters: int | None = None) -> int:
    """The steps to take with this interpolator. InterpolatorError: it takes one time for the whole frame only."""
    if not interpolator.info.kind.startswith("index"):
        info = interpolator.info
        raise InterpolatorError(
            f"{info.name} is of kind {info.kind!r}, one time for the whole frame; moving things at different paces "
            f"needs one that takes a map: {', '.join(MAP_TAKERS)}"
        )
    if iters is not None:
        check_whole("iters", iters, 1)
    if iters is None:
        return REFERENCE_ITERS if interpolator.info.kind.endswith("+ref") else 1
    return iters


def _frame(first: Image.Image, last: Image.Image, pair: PairInterpolator, index: Tensor, iters: int) -> Image.Image:
    """The frame at a map (1, H, W); the given ones where everything is there."""
    if not bool(index.any()):
        return first
    if bool((index == 1).all()):
        return last
    return tensor_frame(pair.at(index[None].to(pair.a.device), iters=iters))


def edit_record(frames: dict[str, Any], network: FrameInterpolator, settings: dict[str, Any]) -> dict[str, Any]:
    """The manifest of an edited clip: the frames it was made of (name -> path, hash), what drew it, its settings."""
    return manifests.record(frames=frames, interpolator=asdict(network.info), settings=settings)
