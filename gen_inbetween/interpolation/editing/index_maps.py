"""Path-distance maps of edited motion: how far each pixel of frame 0 has come on its way to frame 1, at each time.

    D_t(x) = sum_k w_k(x) curve_k(t)        w_k: object k where its mask is, blurred; the background is one more object

After the editor of InterpAny-Clearer (ECCV 2024): a Gaussian of 9 pixels softens the map at the borders of objects.
There, pixels under no mask stay at 0, so whatever was not masked freezes in frame 0 until the last frame, where it
jumps to frame 1. Here the background has a curve of its own, which is said, and which moves unless told to hold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gen_inbetween.interpolation.editing.masks import Bool, MaskError, uncovered
from gen_inbetween.interpolation.retiming.curves import PathCurve, parse_curve

FEATHER = 9  # pixels: width of the Gaussian over the border of a mask

Curve = str | PathCurve | Sequence[tuple[float, float]]


def index_maps(
    masks: Bool, curves: Sequence[Curve], background: Curve, num_frames: int, feather: int = FEATHER
) -> Tensor:
    """The maps of a clip of `num_frames`, equally spaced in time, both ends counted.

    Args:
        masks: bool (M, H, W) in frame 0, the top one first; M may be 0.
        curves: one for each mask, as `parse_curve` takes them.
        background: the curve of what no mask covers.
        num_frames: 2 or more.
        feather: odd width in pixels of the blur at the borders of masks; 1 leaves them hard.

    Returns:
        float32 (num_frames, 1, H, W) in [0, 1].

    Raises:
        MaskError: not one curve for each mask, a mask wholly under others, a feather that is no odd number.
        CurveError: no such curve.
        ValueError: fewer than 2 frames.
    """
    if num_frames < 2:
        raise ValueError(f"expected num_frames to be 2 or more, both ends counted; got {num_frames}")
    layers = feathered_layers(masks, feather)
    positions = layer_positions(curves, background, torch.linspace(0, 1, num_frames, dtype=torch.float64), len(masks))
    return torch.stack([index_map(layers, values) for values in positions])


def feathered_layers(masks: Bool, feather: int = FEATHER) -> Tensor:
    """Weights float32 (M + 1, H, W) of the objects and, last, of the background; 1 in sum at each pixel."""
    if feather < 1 or feather % 2 == 0:
        raise MaskError(f"expected feather to be an odd number of pixels, 1 for hard borders; got {feather}")
    parts = uncovered(masks)
    rest = np.logical_not(parts.any(0, keepdims=True))
    return blurred(torch.from_numpy(np.concatenate([parts, rest])).float(), feather)


def layer_positions(curves: Sequence[Curve], background: Curve, times: Tensor, num_masks: int) -> Tensor:
    """How far each layer has come at each of `times`: float32 (len(times), M + 1). Raises as `index_maps`."""
    if isinstance(curves, (str, PathCurve)):
        raise MaskError("expected a list of curves, one for each mask; got a single one: put it into a list")
    if len(curves) != num_masks:
        raise MaskError(f"expected one curve for each mask, got {len(curves)} for {num_masks}")
    parsed = [parse_curve(curve) for curve in (*curves, background)]
    values = np.stack([curve(times.numpy()) for curve in parsed], 1)
    return torch.from_numpy(values).float().clamp(0, 1)


def index_map(layers: Tensor, positions: Tensor) -> Tensor:
    """The map (1, H, W) in [0, 1] in which each of the layers (M + 1, H, W) is at its one of `positions` (M + 1,)."""
    if bool((positions == positions[0]).all()):  # weighed, one number would not stay that number to the last bit
        return positions[0].expand(1, *layers.shape[1:]).clone()
    return torch.einsum("lhw,l->hw", layers, positions).clamp(0, 1)[None]


def blurred(layers: Tensor, feather: int) -> Tensor:
    """Each of the layers (L, H, W) under a Gaussian as wide as OpenCV makes one of that size; borders go on."""
    if feather == 1:
        return layers
    reach = feather // 2
    sigma = 0.3 * ((feather - 1) * 0.5 - 1) + 0.8
    kernel = torch.exp(-(torch.arange(-reach, reach + 1.0, device=layers.device) ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    padded = functional.pad(layers[:, None], (reach,) * 4, mode="replicate")
    rows = functional.conv2d(padded, kernel.view(1, 1, 1, -1))
    return functional.conv2d(rows, kernel.view(1, 1, -1, 1))[:, 0].clamp(0, 1)
