"""Masks of objects from files, images and arrays, as stacks of bool."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeAlias, Union

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.media.image import FrameError, load_image

Mask: TypeAlias = Union[Image.Image, str, "os.PathLike[str]", np.ndarray, torch.Tensor]
Bool: TypeAlias = NDArray[np.bool_]

BLACK = (0, 0, 0)  # what is transparent in a mask is not of the object
TINY, HUGE = 0.001, 0.5  # of the picture: shares that are seldom one thing
EDGE_SHARE = 0.02  # of a side of the picture: a mask that covers less of it does not count as touching it
SURROUNDING = 0.4  # of the picture's border: a mask of a click that covers as much of it is the background


class MaskError(ValueError):
    """A mask that cannot be used; says which, what was expected, what came and what to do."""


def open_masks(masks: Sequence[Mask] | np.ndarray | torch.Tensor, size: tuple[int, int]) -> Bool:
    """Open masks that belong to a frame.

    Args:
        masks: one for each object, the top one first; each a path, a PIL image, or an array (H, W) of bool, whole
            numbers or floats from 0 on. What is brighter than half of a mask's brightest pixel is the object, so that
            0/1, 0..255 and the coloured masks of data sets all are understood.
        size: (width, height) of the frame, in pixels.

    Returns:
        bool (M, H, W), as given: overlaps are settled by `uncovered`.

    Raises:
        MaskError: another size than the frame's, nothing in the mask, a file or an array that is no mask.
    """
    if isinstance(masks, (str, os.PathLike, Image.Image)):
        raise MaskError("expected a list of masks, one for each object; got a single one: put it into a list")
    if not isinstance(masks, (Sequence, np.ndarray, torch.Tensor)):
        raise MaskError(f"expected a list of masks, one for each object; got {masks!r:.100}")
    opened = [_open(mask, f"mask {number}", size) for number, mask in enumerate(masks, 1)]
    return np.stack(opened) if opened else np.zeros((0, size[1], size[0]), bool)


def mask_notices(mask: Bool, *, clicked: bool = False) -> list[str]:
    """What a person should be told about a mask (H, W) before work goes into it; [] where it looks like a thing.

    clicked: it comes from a click, which may have been on the background.
    """
    share = float(mask.mean())
    sides = {"left": mask[:, 0], "right": mask[:, -1], "top": mask[0], "bottom": mask[-1]}
    touched = [name for name, side in sides.items() if side.mean() > EDGE_SHARE]
    if clicked and (np.concatenate(list(sides.values())).mean() > SURROUNDING or len(touched) == 4):
        return ["this is the background, it seems: it covers most of the picture's border; click on the thing itself"]
    notices = []
    if share < TINY:
        notices.append(f"it is tiny, {100 * share:.2g} % of the picture: a part of the thing, perhaps")
    if share > HUGE:
        notices.append(f"it is huge, {100 * share:.0f} % of the picture: more than the thing, perhaps")
    if touched:
        notices.append(f"it touches the picture's border ({', '.join(touched)}): what lies beyond stays unseen")
    return notices


def uncovered(masks: Bool) -> Bool:
    """The part of each mask (M, H, W) that no mask before it covers: the first is on top.

    MaskError: nothing is left of one.
    """
    covered = np.zeros(masks.shape[1:], bool)
    parts = []
    for number, mask in enumerate(masks, 1):
        parts.append(mask & ~covered)
        if not parts[-1].any():
            raise MaskError(f"mask {number} lies wholly under those before it; list what is on top first")
        covered |= mask
    return np.stack(parts) if parts else masks


def _open(mask: Mask, number: str, size: tuple[int, int]) -> Bool:
    name = f"{number} ({mask})" if isinstance(mask, (str, os.PathLike)) else number
    if isinstance(mask, (str, os.PathLike, Image.Image)):
        try:
            values = np.asarray(load_image(mask, background=BLACK)).max(2)
        except FrameError as error:
            raise MaskError(f"{number}: {error}") from error
    else:
        values = _plane(mask.detach().cpu().numpy() if isinstance(mask, torch.Tensor) else np.asarray(mask), name)
    height, width = values.shape
    if (width, height) != size:
        raise MaskError(f"{name} is {width}x{height}, the frame {size[0]}x{size[1]}: a mask has the size of its frame")
    brightest = values.max()
    if not brightest:
        raise MaskError(f"{name} is empty: nothing in it is brighter than black")
    return np.asarray(values > brightest / 2)


def _plane(values: NDArray[Any], name: str) -> NDArray[Any]:
    """An array of numbers from 0 on with two axes."""
    shape = values.shape
    if values.ndim == 3 and 1 in (shape[0], shape[2]):
        values = values[0] if shape[0] == 1 else values[..., 0]
    if values.ndim != 2 or not values.size or values.dtype.kind not in "biuf":
        raise MaskError(f"{name}: expected an array (height, width) of bool or numbers, got {shape} of {values.dtype}")
    values = values.astype(np.float32)
    if not (np.isfinite(values).all() and values.min() >= 0):
        raise MaskError(f"{name}: expected numbers from 0 (outside of the object) on, got NaN or negative ones")
    return values
