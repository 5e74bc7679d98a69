"""ComfyUI's IMAGE, MASK and VIDEO to pictures and clips, and back.

IMAGE is a tensor (batch, height, width, 3 or 4) of floats in [0, 1], MASK (batch, height, width) or (height, width).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from comfy_api.latest import InputImpl, Types
from PIL import Image
from torch import Tensor

if TYPE_CHECKING:
    from gen_inbetween.media.clip import Clip


def pictures_of(images: Tensor) -> list[Image.Image]:
    """The pictures of an IMAGE; other nodes leave [0, 1] by a little, which is cut off.

    ValueError: a batch of none, or no batch. FrameError: NaN, no pixels, channels that are no colours.
    """
    from gen_inbetween.media.image import open_images

    if images.ndim != 4 or not len(images):
        shape = tuple(images.shape)
        raise ValueError(f"expected an IMAGE (batch, height, width, channels) of one picture or more, got {shape}")
    return open_images(image.detach().float().cpu().clamp(0, 1).movedim(-1, 0) for image in images)


def images_of(pictures: Sequence[Image.Image]) -> Tensor:
    """Pictures of one size as an IMAGE."""
    pixels = np.stack([np.asarray(picture) for picture in pictures])
    return torch.from_numpy(pixels.astype(np.float32) / 255)


def mask_of(mask: Tensor | None) -> np.ndarray | None:
    """The first of a MASK as bool (height, width); None where nothing is painted, as of a picture without alpha.

    ValueError: it holds no mask.
    """
    if mask is None:
        return None
    if mask.ndim < 2 or not mask.numel():
        raise ValueError(f"expected a MASK (batch, height, width) of one mask or more, got {tuple(mask.shape)}")
    painted: np.ndarray = mask.detach().float().cpu().reshape(-1, *mask.shape[-2:])[0].numpy() > 0.5
    return painted if painted.any() else None


def video_of(clip: Clip) -> Any:
    """A clip as a VIDEO without sound, over white where it is transparent."""
    from gen_inbetween.media.image import load_image
    from gen_inbetween.media.times.rates import exact_rate

    images = images_of([load_image(picture) for picture in clip])  # over white: convert() would show hidden colours
    return InputImpl.VideoFromComponents(Types.VideoComponents(images=images, frame_rate=exact_rate(clip.fps)))


def outputs_of(clip: Clip) -> tuple[Tensor, Any, str]:
    """A clip as IMAGE, VIDEO and its manifest as text."""
    return images_of(clip), video_of(clip), json.dumps(clip.manifest, indent=2, default=str)
