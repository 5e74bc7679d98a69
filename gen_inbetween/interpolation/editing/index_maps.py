"""Distance-index maps of edited motion, from masks and curves.

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

from gen_inbetween.interpolation.distance_index import blur_maps
from gen_inbetween.interpolation.editing.masks import Bool, MaskError, uncovered
from gen_inbetween.interpolation.retiming.curves import PathCurve, parse_curve
from gen_inbetween.runtime.checks import check_whole

FEATHER = 9  # pixels: width of the Gaussian over the border of a mask

Curve = str | PathCurve | Sequence[tuple[float, float]]


def feathered_layers(masks: Bool, feather: int = FEATHER) -> Tensor:
    """Weights float32 (M + 1, H, W) of the objects and, last, of the background; 1 in sum at each pixel."""
    if check_whole("feather", feather) < 1 or feather % 2 == 0:
        raise MaskError(f"expected feather to be an odd number of pixels, 1 for hard borders; got {feather}")
    if feather > (most := max(FEATHER, *masks.shape[1:])):
        raise MaskError(f"expected feather to be {most} pixels at most, for frames of this size; got {feather}")
    parts = uncovered(masks)
    rest = np.logical_not(parts.any(0, keepdims=True))
    return blur_maps(torch.from_numpy(np.concatenate([parts, rest])).float(), feather)


def layer_positions(curves: Sequence[Curve], background: Curve, times: Tensor, num_masks: int) -> Tensor:
    """How far each layer has come at each of `times`: float32 (len(times), M + 1), the background last.

    Raises:
        MaskError: not one curve for each mask. CurveError: no such curve.
    """
    if isinstance(curves, (str, PathCurve)):
        raise MaskError("expected a list of curves, one for each mask; got a single one: put it into a list")
    if not isinstance(curves, Sequence):
        raise MaskError(f"expected a list of curves, one for each mask; got {curves!r:.100}")
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
